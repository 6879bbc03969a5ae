//! The operations with the database 1 ms away, as it is on AWS: through a proxy that holds back what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::database::start;
use crate::history::READER;
use crate::report::Report;
use crate::requests::Request;
use crate::samples::Way;

/// How long bytes take in one direction.
const DELAY: Duration = Duration::from_micros(500);
const GROUP: &str = "The database 1 ms away";

/// Measures the hot paths and the usual way through the proxy.
pub fn measure(bench: &Bench, report: &mut Report) {
    let database = &bench.database;
    let (near, far) = (database.address(), Proxy::start(database.address()));
    let (ours, usuals) = (Proxy::start(database.address()), Proxy::start(database.address()));
    let through = |proxy: &Proxy, url: &str| url.replace(&near, &proxy.address);

    let mut direct = database.connect();
    let mut delayed = database.connect_through(&far.address);
    report.compare(
        GROUP,
        "DO 0",
        bench.runs,
        &mut [
            Way::new("not delayed", || direct.timed("DO 0")),
            Way::new("function", || delayed.timed("DO 0")),
        ],
    );

    let usual = start("usual", 1, &through(&usuals, &database.admin_url()));
    let users = &bench.history.users;
    let page = Request::page(&bench.history.probes[1]);
    let list = Request::new("get_users", READER);
    let send = || Request::message(&users[0], &users[1]);
    let operations: [(_, _, &dyn Fn() -> Request); 3] = [
        ("SendMessage", "send_message", &send),
        ("GetMessages, 50", "get_messages", &|| page.clone()),
        ("GetUsers, 100", "get_users", &|| list.clone()),
    ];
    for (case, name, next) in operations {
        let function = start(name, 1, &through(&ours, &database.functions_url()));
        // Under load, and by turns: while the usual way waits for its replies, the function's processor goes to sleep.
        for (way, function) in [("function", &function), ("usual way", &usual)] {
            report.compare(GROUP, case, bench.runs / 2, &mut [Way::new(way, || next().send(function))]);
        }
        let ways = &mut [
            Way::new("function, by turns", || next().send(&function)),
            Way::new("usual way, by turns", || next().send(&usual)),
        ];
        report.compare(GROUP, case, bench.runs / 10, ways);
        for (way, proxy, function) in
            [("function: round trips", &ours, &function), ("usual way: round trips", &usuals, &usual)]
        {
            let before = proxy.requests.load(Ordering::Relaxed);
            for _ in 0..100 {
                next().send(function);
            }
            // The usual way's pool asks once more after the response.
            thread::sleep(10 * DELAY);
            let requests = proxy.requests.load(Ordering::Relaxed) - before;
            report.figure(GROUP, case, way, "", f64::from(u32::try_from(requests).expect("few")) / 100.0);
        }
        report.at_most(
            format!("{case}: round trips"),
            "",
            report.get(GROUP, case, "function: round trips"),
            1.0,
        );
    }
    let ratio = report.get(GROUP, "SendMessage", "usual way") / report.get(GROUP, "SendMessage", "function");
    report.at_least("SendMessage through 1 ms: times faster than the usual way", "×", ratio, 4.0);
}

/// A proxy in front of the server. It lives as long as the process.
struct Proxy {
    address: String,
    /// How often a client has sent something.
    requests: Arc<AtomicU64>,
}

impl Proxy {
    fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let requests = Arc::new(AtomicU64::new(0));
        let proxy = Self { address, requests: Arc::clone(&requests) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server).expect("the server");
                let clone = |stream: &TcpStream| stream.try_clone().expect("another handle");
                pump(clone(&client), clone(&server), Arc::clone(&requests));
                pump(server, client, Arc::default());
            }
        });
        proxy
    }
}

/// Passes on what comes from one side to the other, each piece [`DELAY`] after its arrival.
fn pump(mut from: TcpStream, mut to: TcpStream, pieces: Arc<AtomicU64>) {
    to.set_nodelay(true).expect("a socket");
    let (sender, receiver) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            pieces.fetch_add(1, Ordering::Relaxed);
            if sender.send((Instant::now() + DELAY, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            wait_until(due);
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Both).ok();
    });
}

/// Sleeps most of the time and spins the rest: a sleep alone ends up to 0.1 ms late.
fn wait_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(Instant::now() + Duration::from_micros(120)));
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}
