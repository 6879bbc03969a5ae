//! The first moments of an environment, and what it needs: time, disk, memory.

use std::fs;
use std::time::{Duration, Instant};

use local::Function;
use serde_json::json;
use shared::message::SEND_MESSAGE;

use crate::Bench;
use crate::database::binary;
use crate::history::{READER, open_sessions};
use crate::report::Report;
use crate::requests::Request;
use crate::samples::{Samples, timed};

const GROUP: &str = "Cold start";
const SIZE: &str = "Size";

/// The functions that need no password.
const FUNCTIONS: [&str; 5] = ["hello_world", "send_message", "get_messages", "get_users", "logout"];

/// Makes requests that succeed.
struct Requests<'a> {
    bench: &'a Bench,
    sessions: Vec<String>,
}

impl Requests<'_> {
    fn next(&mut self, function: &str) -> Request {
        let users = &self.bench.history.users;
        match function {
            "send_message" => Request::message(&users[0], &users[1]),
            "get_messages" => Request::page(&self.bench.history.probes[1]),
            "logout" => Request::new(function, &self.sessions.pop().expect("a session"))
                .body(&json!({"username": users[0]})),
            _ => Request::new("get_users", READER),
        }
    }
}

/// Measures starts, then sizes.
pub fn measure(bench: &Bench, report: &mut Report) {
    let (starts, requests) = (bench.runs / 10, bench.runs * 5);
    let names: Vec<_> = (0..2 * (starts + requests)).map(|n| format!("cold{n}")).collect();
    open_sessions(&mut bench.database.connect(), &names, Some(&bench.history.users[0]));
    let mut next = Requests { bench, sessions: names };

    eprintln!("{GROUP}");
    let url = bench.database.functions_url();
    let mut polls = [const { Vec::new() }; FUNCTIONS.len()];
    let mut answers = [const { Vec::new() }; FUNCTIONS.len()];
    let (mut connects, mut prepares) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        for (n, name) in FUNCTIONS.into_iter().enumerate() {
            let request = next.next(name);
            let started = Instant::now();
            let function = Function::start(binary(name), 1, &[("DATABASE_URL", &url)]);
            function.warm();
            polls[n].push(started.elapsed());
            request.send(&function);
            answers[n].push(started.elapsed());
        }
        let started = Instant::now();
        let mut connection = bench.database.connect_as_functions();
        connects.push(started.elapsed());
        prepares.push(timed(|| {
            connection.number("SELECT CAST(@@wait_timeout AS UNSIGNED)");
            connection.prepare(SEND_MESSAGE);
        }));
    }
    let mut add = |case: &str, way, durations: Vec<Duration>| {
        report.samples(GROUP, case, way, &Samples::new(durations));
    };
    for (name, (polls, answers)) in FUNCTIONS.into_iter().zip(polls.into_iter().zip(answers)) {
        add(name, "first poll", polls);
        add(name, "first answer", answers);
    }
    add("connect to the database", "time", connects);
    add("ask for wait_timeout, prepare the CALL", "time", prepares);

    let connect = report.get(GROUP, "connect to the database", "time");
    let limit = report.get(GROUP, "hello_world", "first answer") + connect + 5.0;
    let slowest = most(report, GROUP, "first answer");
    report.at_most("cold start to first answer: hello world + connect + 5 ms", "ms", slowest, limit);

    eprintln!("{SIZE}");
    for name in FUNCTIONS.into_iter().chain(["login", "create_user", "migrate"]) {
        let bytes = fs::metadata(binary(name)).expect("the binary").len();
        let megabytes = f64::from(u32::try_from(bytes).expect("a small file")) / 1e6;
        report.figure(SIZE, name, "bundle", "MB", megabytes);
    }
    report.at_most("the largest bundle", "MB", most(report, SIZE, "bundle"), 5.0);
    for name in FUNCTIONS {
        let function = bench.database.function(name, 1);
        let before = processor_ms(&function);
        for _ in 0..requests {
            next.next(name).send(&function);
        }
        let used = (processor_ms(&function) - before) / f64::from(u32::try_from(requests).expect("few"));
        report.figure(SIZE, name, "processor time of a request", "ms", used);
        let megabytes = resident(&function);
        report.figure(SIZE, name, "resident after the requests", "MB", megabytes);
    }
    let resident = most(report, SIZE, "resident after the requests");
    report.at_most(format!("resident memory after {requests} requests"), "MB", resident, 12.0);
}

/// The largest figure of its kind.
fn most(report: &Report, group: &str, way: &str) -> f64 {
    report.group(group).filter(|figure| figure.way == way).map(|figure| figure.value).fold(0.0, f64::max)
}

/// How long the function's process, which has one thread, has used a processor, in ms.
fn processor_ms(function: &Function) -> f64 {
    let path = format!("/proc/{}/schedstat", function.processes()[0]);
    let nanoseconds = fs::read_to_string(path).unwrap_or_default();
    let nanoseconds = nanoseconds.split(' ').next().and_then(|text| text.parse::<f64>().ok());
    nanoseconds.unwrap_or(f64::NAN) / 1e6
}

/// The resident memory of the function's process, in MB.
pub fn resident(function: &Function) -> f64 {
    let path = format!("/proc/{}/status", function.processes()[0]);
    let status = fs::read_to_string(path).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024.0 / 1e6
}
