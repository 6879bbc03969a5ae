//! Promise 11: an environment runs for ever. What it holds does not grow with the requests that it has served.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::Service;
use crate::support::service::{Call, PASSWORD};

/// Requests before the first look, by when everything that is made once has been made.
const FIRST: usize = 50;
/// Requests before the second look.
const LAST: usize = 500;
/// How much more resident memory an environment may have then, in KiB.
const GROWTH: u64 = 2_048;

/// A request of each operation, one that succeeds or one that is refused, by `n`.
type Request = for<'a> fn(&'a Service, token: &str, n: usize) -> Call<'a>;

const OPERATIONS: [(&str, Request); 6] = [
    ("create_user", |service, _, n| {
        let username = if n % 2 == 0 { format!("user{n}") } else { "alice".into() };
        service.call("create_user").json(json!({"username": username, "password": PASSWORD}))
    }),
    ("login", |service, _, n| {
        let password = if n % 2 == 0 { PASSWORD } else { "wrong password" };
        let source = format!("192.0.2.{}", n / 20);
        service.call("login").json(json!({"username": "alice", "password": password})).from(&source)
    }),
    // One that succeeds needs a session of its own.
    ("logout", |service, token, n| {
        let token = if n % 25 == 0 { service.log_in("alice").token } else { token.to_owned() };
        let username = if n % 25 == 0 { "alice" } else { "bob" };
        service.call("logout").token(&token).json(json!({"username": username}))
    }),
    ("get_users", |service, token, n| {
        service.call("get_users").token(token).query(if n % 2 == 0 { "limit=100" } else { "limit=0" })
    }),
    ("send_message", |service, token, n| {
        let receiver = if n % 2 == 0 { "alice" } else { "nobody" };
        let body = json!({"sender": "alice", "receiver": receiver, "message": "x".repeat(1 + n * 31)});
        service.call("send_message").token(token).json(body)
    }),
    ("get_messages", |service, token, n| {
        let sender = if n % 2 == 0 { "alice" } else { "carol" };
        service
            .call("get_messages")
            .token(token)
            .json(json!({"sender": sender, "receiver": "bob", "limit": 200}))
    }),
];

/// What a process holds: resident memory in KiB, open files and threads.
fn held(process: u32) -> (u64, usize, usize) {
    let directory = Path::new("/proc").join(process.to_string());
    let status = fs::read_to_string(directory.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let memory = line.trim().trim_end_matches(" kB").parse().unwrap();
    let count = |what| fs::read_dir(directory.join(what)).unwrap().count();
    (memory, count("fd"), count("task"))
}

fn runs_for_ever(operation: &'static str) {
    let (_, request) = OPERATIONS.iter().find(|(name, _)| *name == operation).unwrap();
    let service = Service::start();
    let token = service.session("alice").token;
    service.database.fill("alice", "bob", 200);
    let serve = |from, to| {
        for n in from..to {
            let status = request(&service, &token, n).send().status;
            assert!(status < 500 && status != 429, "{operation}: {status}");
        }
        held(service.function(operation).processes()[0])
    };
    let (first, last) = (serve(0, FIRST), serve(FIRST, LAST));
    println!("{operation}: (KiB, files, threads) {first:?} after {FIRST} requests, {last:?} after {LAST}");
    assert!(last.0 <= first.0 + GROWTH, "{operation} grows");
    assert_eq!((last.1, last.2), (first.1, first.2), "{operation}: files and threads");
}

#[test]
fn create_user_runs_for_ever() {
    runs_for_ever("create_user");
}

#[test]
fn login_runs_for_ever() {
    runs_for_ever("login");
}

#[test]
fn logout_runs_for_ever() {
    runs_for_ever("logout");
}

#[test]
fn get_users_runs_for_ever() {
    runs_for_ever("get_users");
}

#[test]
fn send_message_runs_for_ever() {
    runs_for_ever("send_message");
}

#[test]
fn get_messages_runs_for_ever() {
    runs_for_ever("get_messages");
}

#[test]
fn every_function_that_serves_is_looked_at() {
    let binaries = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin")).unwrap();
    let names = binaries.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    // `migrate` serves once a deploy.
    let names: BTreeSet<_> = names.filter(|name| name != "migrate").collect();
    assert_eq!(names, OPERATIONS.iter().map(|(name, _)| (*name).to_owned()).collect());
}
