//! Promises 8 and 9: unread counts are exact and sync misses nothing, under every race.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use crate::support::inbox::{Device, truth};
use crate::support::{Answer, Call, Database, OwnServer, Service};

const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
const SENDERS: usize = 9;
const MARKERS: usize = 3;
/// Two devices each of the first two users.
const DEVICES: usize = 4;
const ROUNDS: usize = 60;

/// Repeats a request until it is no longer answered with 503.
fn persist(call: &Call<'_>) -> Answer {
    for _ in 0..50 {
        let answer = call.clone().send();
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("fifty times 503");
}

/// Returns how many deadlocks the server has found.
fn hammer(database: Database, kill: Option<&str>) -> i64 {
    let service = Service::on(database).environments(SENDERS + MARKERS + DEVICES);
    let sessions = USERS.map(|name| service.session(name));
    let deadlocks = service.database.deadlocks();
    let done = AtomicBool::new(false);
    let devices: Vec<_> = thread::scope(|scope| {
        let (service, sessions, done) = (&service, &sessions, &done);
        let killer = scope.spawn(move || {
            let mut admin = service.database.connect();
            while !done.load(Ordering::SeqCst) {
                kill.map(|kill| admin.kill(service.database.name(), kill, false));
                thread::sleep(Duration::from_millis(20));
            }
        });
        let senders = (0..SENDERS).map(|n| {
            scope.spawn(move || {
                let mut random = Rng::with_seed(n as u64);
                for round in 0..ROUNDS {
                    let (sender, receiver) =
                        (random.choice(sessions).unwrap(), random.choice(USERS).unwrap());
                    // A third of the keys are sent twice, by two senders at once.
                    let key = if round % 3 == 0 {
                        format!("{}-{round}", n / 2)
                    } else {
                        format!("own-{n}-{round}")
                    };
                    let call = sender.message(receiver, &key).header("Idempotency-Key", &key);
                    let status = persist(&call).status;
                    assert!([201, 422].contains(&status), "{status}");
                }
            })
        });
        let markers = (0..MARKERS).map(|n| {
            scope.spawn(move || {
                let mut random = Rng::with_seed(100 + n as u64);
                for _ in 0..ROUNDS {
                    let (reader, peer) = (random.choice(sessions).unwrap(), random.choice(USERS).unwrap());
                    let newest =
                        persist(&reader.page(peer, json!({"limit": 1}))).body["messages"][0]["id"].as_i64();
                    if let Some(newest) = newest {
                        assert_eq!(persist(&reader.mark(peer, random.i64(1..=newest))).status, 200);
                    }
                }
            })
        });
        let writers: Vec<_> = senders.chain(markers).collect();
        let devices: Vec<_> = (0..DEVICES)
            .map(|n| {
                scope.spawn(move || {
                    let (mut device, mut known) = (Device::default(), Vec::new());
                    let mut random = Rng::with_seed(200 + n as u64);
                    while !done.load(Ordering::SeqCst) {
                        let limit = random.usize(1..=3);
                        if random.u8(..20) == 0 {
                            device = Device::page(&sessions[n / 2], limit, persist);
                        } else {
                            device.sync(&sessions[n / 2], limit, |call| Some(persist(call)));
                        }
                        known.push(device.clone());
                    }
                    known
                })
            })
            .collect();
        let writers: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        killer.join().unwrap();
        for writer in writers {
            writer.unwrap();
        }
        devices.into_iter().map(|device| device.join().unwrap()).collect()
    });
    let deadlocks = service.database.deadlocks() - deadlocks;

    for (session, user) in sessions.iter().zip(USERS) {
        let truth = truth(&service.database, user);
        let fresh = Device::page(session, 2, persist);
        assert_eq!(fresh.state, truth, "the inbox of {user}");
    }
    for (n, known) in devices.into_iter().enumerate() {
        println!("device {n} has asked {} times", known.len());
        let truth = truth(&service.database, USERS[n / 2]);
        // From whatever position it has been told.
        for mut device in known.into_iter().rev().step_by(7) {
            while device.sync(&sessions[n / 2], 200, |call| Some(persist(call))).unwrap() {}
            assert_eq!(device.state, truth, "what device {n} knows");
        }
    }
    deadlocks
}

#[test]
fn under_every_race_nothing_deadlocks_no_change_is_missed_and_every_count_is_exact() {
    let server = OwnServer::start("");
    assert_eq!(hammer(Database::on(&server.url), None), 0, "deadlocks");
}

#[test]
fn with_statements_killed_no_change_is_missed_and_every_count_is_exact() {
    hammer(Database::fresh(), Some("KILL QUERY"));
}

#[test]
fn with_connections_killed_no_change_is_missed_and_every_count_is_exact() {
    hammer(Database::fresh(), Some("KILL"));
}
