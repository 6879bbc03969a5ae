//! Promise 11: an environment runs for ever. What it holds does not grow with the requests that it has served.

use std::fs;
use std::path::Path;

use super::Service;
use super::service::Call;

/// Requests before the first look, by when everything that is made once has been made.
const FIRST: usize = 50;
/// Requests before the second look.
const LAST: usize = 500;
/// How much more resident memory an environment may have then, in KiB.
const GROWTH: u64 = 2_048;

/// A request, one that succeeds or one that is refused, by `n`; the token is alice's.
type Request = for<'a> fn(&'a Service, token: &str, n: usize) -> Call<'a>;

/// What a process holds: resident memory in KiB, open files and threads.
fn held(process: u32) -> (u64, usize, usize) {
    let directory = Path::new("/proc").join(process.to_string());
    let status = fs::read_to_string(directory.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let memory = line.trim().trim_end_matches(" kB").parse().unwrap();
    let count = |what| fs::read_dir(directory.join(what)).unwrap().count();
    (memory, count("fd"), count("task"))
}

/// Drives an operation, and fails if its environment holds more and more. Alice and bob have 200 messages.
pub fn runs_for_ever(operation: &'static str, request: Request) {
    let service = Service::start();
    let token = service.session("alice").token;
    service.database.fill("alice", "bob", 200);
    drive(&service, operation, |n| request(&service, &token, n).send().status);
}

/// The same with any kind of request, whose status `request` returns.
pub fn drive(service: &Service, operation: &'static str, mut request: impl FnMut(usize) -> u16) {
    let mut serve = |from, to| {
        for n in from..to {
            let status = request(n);
            assert!(status < 500 && status != 429, "{operation}: {status}");
        }
        held(service.function(operation).processes()[0])
    };
    let (first, last) = (serve(0, FIRST), serve(FIRST, LAST));
    println!("{operation}: (KiB, files, threads) {first:?} after {FIRST} requests, {last:?} after {LAST}");
    assert!(last.0 <= first.0 + GROWTH, "{operation} grows");
    assert_eq!((last.1, last.2), (first.1, first.2), "{operation}: files and threads");
}
