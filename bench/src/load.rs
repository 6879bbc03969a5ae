//! Many clients at once: messages a second by functions in several environments and by as many bare CALLs, and
//! requests a second over HTTP, with the processor time that they take.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use local::{Client, Gateway, Settings, THREAD, Template, WebSocketSettings};

use crate::Bench;
use crate::database::binary;
use crate::operations::{OPERATIONS, Operation, PAIRS, pair, send};
use crate::report::{Report, float, timed};
use crate::start::processor_ms;

pub const THROUGHPUT: &str = "SendMessage, messages a second";
pub const HTTP: &str = "Over HTTP";

/// The processor time of a request.
pub const GATEWAY: &str = "processor time of the gateway";
const COLUMNS: [(&str, &str); 5] =
    [("requests", "/s"), ("p50", "ms"), ("p99", "ms"), (GATEWAY, "ms"), ("of the function", "ms")];

/// How many rounds are measured, after one to warm up.
pub const ROUNDS: usize = 5;

/// Measures many conversations and one that all write to.
pub fn measure(bench: &Bench, report: &mut Report) {
    let send_message = OPERATIONS.iter().find(|one| one.function == "send_message").expect("the operation");
    for (what, pairs) in [("many conversations", PAIRS), ("one conversation", 1)] {
        for count in [1, 2, 4, 8, 16] {
            let case = format!("{what}, {count} at a time");
            eprintln!("{THROUGHPUT}: {case}");
            let function = bench.database.function("send_message", count);
            let mut connections: Vec<_> = (0..count).map(|_| bench.database.connect()).collect();
            let request = |number| (send_message.request)(&bench.history, number % pairs);
            let (mut calls, mut functions) = (Vec::new(), Vec::new());
            for _ in 0..=ROUNDS {
                let connections = connections.iter_mut();
                let work =
                    connections.map(|connection| |number| connection.timed(send(pair(number % pairs))));
                calls.push(load(bench, work).0);
                functions.push(load(bench, (0..count).map(|_| |number| request(number).send(&function))).0);
            }
            report.add(THROUGHPUT, &case, "bare CALL", "/s", calls.split_off(1));
            report.add(THROUGHPUT, &case, "function", "/s", functions.split_off(1));
        }
    }
}

/// Measures requests through the local API Gateway, with as many environments as connections.
pub fn measure_over_http(bench: &Bench, report: &mut Report) {
    for operation in OPERATIONS.iter().filter(|operation| operation.is_hot) {
        eprintln!("{HTTP}: {}", operation.name);
        let mut runs =
            [1, 4, 16, 64].map(|count| (count, start_gateway(bench, operation.function, count), Vec::new()));
        for round in 0..=ROUNDS {
            for (count, gateway, seen) in &mut runs {
                let figures = requests(bench, operation, gateway, *count);
                seen.extend((round > 0).then_some(figures));
            }
        }
        for (count, _, seen) in runs {
            let case = format!("{}, {count} at a time", operation.name);
            for (n, (way, unit)) in COLUMNS.into_iter().enumerate() {
                report.add(HTTP, &case, way, unit, seen.iter().map(|figures| figures[n]).collect());
            }
        }
    }
}

/// A gateway whose function `name` has so many environments.
pub fn start_gateway(bench: &Bench, name: &str, environments: usize) -> Gateway {
    let settings = Settings {
        template: Template::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml").as_ref()),
        binaries: binary(""),
        environments,
        variables: &[("DATABASE_URL", bench.database.functions.as_str())],
        log: None,
        web_socket: WebSocketSettings::new(TcpListener::bind("127.0.0.1:0").expect("a free port")),
    };
    let gateway = Gateway::start(TcpListener::bind("127.0.0.1:0").expect("a free port"), settings);
    gateway.function(name).expect("a route to it").warm();
    gateway
}

/// A round over so many connections; returns the [`COLUMNS`].
fn requests(bench: &Bench, operation: &Operation, gateway: &Gateway, count: usize) -> [f64; 5] {
    let function = gateway.function(operation.function).expect("a route to it");
    let used = || {
        let functions = function.processes().into_iter().map(|process| processor_ms(process, None));
        [processor_ms(process::id(), Some(THREAD)), functions.sum()]
    };
    let client = |_| {
        let localhost = Ipv4Addr::LOCALHOST.into();
        let mut client = Client::connect(gateway.address(), localhost).expect("a connection");
        move |number| {
            let request = (operation.request)(&bench.history, number).http();
            timed(|| {
                client.send(request.as_bytes()).expect("a connection");
                let answer = client.receive(false).expect("an answer");
                assert!(matches!(answer.status, 200 | 201), "{answer:?}; {}", function.log());
            })
        }
    };
    let before = used();
    let (rate, mut durations) = load(bench, (0..count).map(client));
    let after = used();
    durations.sort_by(f64::total_cmp);
    let at = |percent| durations[durations.len() * percent / 100];
    let each = |n: usize| (after[n] - before[n]) / float(durations.len());
    [rate, at(50), at(99), each(0), each(1)]
}

/// Lets workers work, each in a thread of its own and with numbers of its own: half a second, if a figure rests on 1,000
/// runs. Returns how often a second they have worked, and what the work has returned.
pub fn load<W: FnMut(usize) -> f64 + Send>(
    bench: &Bench,
    workers: impl Iterator<Item = W>,
) -> (f64, Vec<f64>) {
    let time = Duration::from_secs_f64(float(bench.runs) / 2e3);
    let workers: Vec<_> = workers.collect();
    let (count, started) = (workers.len(), Instant::now());
    let results: Vec<f64> = thread::scope(|scope| {
        let run = |(first, work)| {
            let numbers = (first..).step_by(count).take_while(move |_| started.elapsed() < time);
            scope.spawn(move || numbers.map(work).collect::<Vec<_>>())
        };
        let threads: Vec<_> = workers.into_iter().enumerate().map(run).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a worker")).collect()
    });
    (float(results.len()) / started.elapsed().as_secs_f64(), results)
}
