//! A proxy that holds back what passes: it makes the database far away.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

/// How long bytes take in one direction.
pub const DELAY: Duration = Duration::from_micros(500);

/// A proxy in front of a server. It lives as long as the process.
pub struct Proxy {
    /// The server's URL, through the proxy.
    pub url: Url,
    /// How often clients have sent something.
    pub requests: Arc<AtomicU32>,
}

impl Proxy {
    /// A proxy in front of the server of `url`.
    pub fn start(url: &Url) -> Self {
        let server = url.socket_addrs(|| Some(3306)).expect("a URL with a server");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut url = url.clone();
        url.set_host(Some("127.0.0.1")).expect("a URL with a server");
        url.set_port(Some(listener.local_addr().expect("its address").port())).expect("a URL with a server");
        let proxy = Self { url, requests: Arc::default() };
        let counter = Arc::clone(&proxy.requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server[..]).expect("the server");
                let clone = |stream: &TcpStream| stream.try_clone().expect("another handle");
                pump(clone(&client), clone(&server), Arc::clone(&counter));
                pump(server, client, Arc::default());
            }
        });
        proxy
    }
}

/// Passes on what comes from one side to the other, each piece [`DELAY`] after its arrival; a reply may be several.
fn pump(mut from: TcpStream, mut to: TcpStream, counter: Arc<AtomicU32>) {
    to.set_nodelay(true).expect("a socket");
    let (sender, pieces) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            counter.fetch_add(1, Ordering::Relaxed);
            sender.send((Instant::now() + DELAY, buffer[..length].to_vec())).ok();
        }
    });
    thread::spawn(move || {
        for (due, bytes) in pieces {
            // Sleeps most of the time and spins the rest: a sleep alone ends up to 0.1 ms late.
            thread::sleep(due.saturating_duration_since(Instant::now() + Duration::from_micros(120)));
            while Instant::now() < due {}
            to.write_all(&bytes).ok();
        }
        to.shutdown(Shutdown::Both).ok();
    });
}
