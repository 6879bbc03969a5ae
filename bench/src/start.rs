//! The first moments of an environment, what it needs (time, disk, memory), and what passwords cost.

use std::cell::Cell;
use std::fs;

use local::Function;
use serde_json::json;
use shared::message::SEND_MESSAGE;
use shared::password::{Hasher, Password};
use shared::session::{BEGIN_LOGIN, LOGIN};
use sqlx::Row;

use crate::Bench;
use crate::database::{Connection, binary};
use crate::history::READER;
use crate::operations::{OPERATIONS, Request};
use crate::report::{Report, Way, float, timed};

pub const START: &str = "Cold start";
pub const SIZE: &str = "Size";
pub const PASSWORDS: &str = "Passwords";
pub const RESIDENT: &str = "resident after the requests";

/// Measures starts, then sizes.
pub fn measure(bench: &Bench, report: &mut Report) {
    let Bench { database, history, runs } = bench;
    let mut ways = Vec::new();
    for operation in &OPERATIONS {
        let start = || database.function(operation.function, 1);
        let answer = move || {
            let request = (operation.request)(history, 0);
            let answered = |function| (request.send(&function), function);
            timed(|| answered(start()))
        };
        ways.push(Way::new(operation.function, "first poll", move || timed(start)));
        ways.push(Way::new(operation.function, "first answer", answer));
    }
    let connect = || Connection::open(&database.functions);
    let prepare = || {
        let mut connection = connect();
        timed(|| {
            connection.number("SELECT CAST(@@wait_timeout AS UNSIGNED)");
            connection.prepare(SEND_MESSAGE);
        })
    };
    ways.push(Way::new("connect to the database", "time", || timed(connect)));
    ways.push(Way::new("ask for wait_timeout, prepare the CALL", "time", prepare));
    report.compare(START, runs / 10, vec![ways], || ());

    eprintln!("{SIZE}");
    let sources =
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/src/bin")).expect("functions");
    let mut names: Vec<_> = sources.map(|source| source.expect("a file").path()).collect();
    names.sort();
    for name in names.iter().filter_map(|path| path.file_stem()?.to_str()).chain(["hello_world"]) {
        let bytes = fs::metadata(binary(name)).expect("the binary").len();
        report.add(SIZE, name, "bundle", "MB", vec![float(usize::try_from(bytes).expect("64 bits")) / 1e6]);
    }
    for operation in &OPERATIONS {
        let function = database.function(operation.function, 1);
        let used = || processor_ms(function.processes()[0], None);
        let before = used();
        for _ in 0..5 * runs {
            (operation.request)(history, 0).send(&function);
        }
        let used = (used() - before) / float(5 * runs);
        report.add(SIZE, operation.function, "processor time of a request", "ms", vec![used]);
        report.add(SIZE, operation.function, RESIDENT, "MB", vec![resident(&function)]);
    }
}

/// Measures Login and `CreateUser` beside the hashing alone, which is slow by intent.
pub fn measure_passwords(bench: &Bench, report: &mut Report) {
    let text = "correct horse battery";
    let password: Password = text.parse().expect("a password");
    let hasher = Hasher::new();
    let hash = || timed(|| hasher.hash(&password));
    let count = Cell::new(0);
    let create_user = ("CreateUser", "create_user", include_str!("../../events/create_user.json"));
    let login = ("Login", "login", include_str!("../../events/login.json"));
    for (case, name, event) in [create_user, login] {
        let function = bench.database.function(name, 1);
        let run = || {
            count.set(count.get() + 1);
            let username = if case == "Login" { "new1".into() } else { format!("new{}", count.get()) };
            Request::new(event, READER, &json!({"username": username, "password": text})).send(&function)
        };
        let mut ways = vec![
            Way::new(case, "argon2", hash),
            Way::new(case, "function", run),
            Way::new(case, "all but argon2", || run() - hash()),
        ];
        if case == "Login" {
            let mut connection = bench.database.connect();
            let source = || vec![192_u8, 0, 2, 1];
            let mut calls = move || {
                let begin = sqlx::query(BEGIN_LOGIN).bind("new1").bind(source());
                let hash: String = connection.fetch(begin)[0].get(1);
                let token = [fastrand::u128(..).to_be_bytes(); 2].concat();
                connection.fetch(
                    sqlx::query(LOGIN).bind(token).bind("new1").bind(hash).bind(source()).bind(None::<&[u8]>),
                );
            };
            ways.push(Way::new(case, "bare CALLs", move || timed(&mut calls)));
        }
        report.compare(PASSWORDS, bench.runs / 5, vec![ways], || ());
        // argon2's 19 MiB, taken once, and what every function has.
        report.add(PASSWORDS, case, RESIDENT, "MB", vec![resident(&function)]);
    }
}

/// How long a process has used a processor, in ms; if there is a `name`, its threads of that name.
pub fn processor_ms(process: u32, name: Option<&str>) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process lives");
    let threads = threads.map(|thread| thread.expect("a thread").path());
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let threads =
        threads.filter(|thread| name.is_none_or(|name| read(thread.join("comm")).trim_end() == name));
    let nanoseconds = |text: String| text.split(' ').next().and_then(|used| used.parse::<f64>().ok());
    threads.filter_map(|thread| nanoseconds(read(thread.join("schedstat")))).sum::<f64>() / 1e6
}

/// The resident memory of the function's process, in MB.
fn resident(function: &Function) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", function.processes()[0])).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0 / 1e6
}
