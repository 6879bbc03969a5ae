//! Promises 8 and 9: unread counts are exact and sync misses nothing, under every race.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use sqlx::Row;

use crate::support::service::Call;
use crate::support::{Answer, Database, OwnServer, Service, Session};

const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
const SENDERS: usize = 9;
const MARKERS: usize = 3;
/// Two devices each of the first two users.
const DEVICES: usize = 4;
const ROUNDS: usize = 60;

/// A user's conversations by peer, as a client or the truth has them: the newest id, unread, and both markers.
type State = BTreeMap<String, [i64; 4]>;

/// A client that knows everything up to a position.
#[derive(Clone, Default)]
struct Device {
    state: State,
    position: i64,
}

impl Device {
    /// Asks for changes once, and returns whether more are to be had at once.
    fn sync(&mut self, session: &Session<'_>, limit: usize) -> bool {
        let query = format!("after={}&limit={limit}", self.position);
        let changes = persist(&session.service.call("get_changes").token(&session.token).query(&query)).body;
        self.learn(&changes);
        let position = changes["position"].as_i64().unwrap();
        assert!(position >= self.position, "positions never go back");
        self.position = position;
        changes["more"] == true
    }

    fn learn(&mut self, page: &Value) {
        for conversation in page["conversations"].as_array().unwrap() {
            let number = |value: &Value| value.as_i64().unwrap();
            let seen = [
                number(&conversation["last_message"]["id"]),
                number(&conversation["unread"]),
                number(&conversation["read_id"]),
                number(&conversation["peer_read_id"]),
            ];
            let known = self.state.insert(conversation["peer"].as_str().unwrap().into(), seen);
            assert!(
                known.is_none_or(|known| [0, 2, 3].iter().all(|n| known[*n] <= seen[*n])),
                "nothing goes back"
            );
        }
    }

    /// Pages through the inbox as a client does that knows nothing.
    fn page(&mut self, session: &Session<'_>, limit: usize) {
        *self = Self::default();
        let mut query = format!("limit={limit}");
        loop {
            let page =
                persist(&session.service.call("get_conversations").token(&session.token).query(&query)).body;
            let mut shown = Self::default();
            shown.learn(&page);
            for (peer, seen) in shown.state {
                self.state.entry(peer).or_insert(seen);
            }
            if query == format!("limit={limit}") {
                self.position = page["position"].as_i64().unwrap();
            }
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit={limit}&before={next}");
        }
    }
}

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

/// What a user's conversations are, computed from the messages and the markers.
fn truth(database: &Database, user: &str) -> State {
    let rows = database.rows(&format!(
        "SELECT m.peer,
                (SELECT MAX(id) FROM messages l WHERE l.conversation_id = m.conversation_id),
                (SELECT COUNT(*) FROM messages l
                  WHERE l.conversation_id = m.conversation_id AND l.id > m.read_id
                    AND l.sender = m.peer AND m.peer <> m.username),
                m.read_id, p.read_id
           FROM memberships m JOIN memberships p ON p.username = m.peer AND p.peer = m.username
          WHERE m.username = '{user}' AND m.last_time IS NOT NULL"
    ));
    rows.iter().map(|row| (row.get(0), [row.get(1), row.get(2), row.get(3), row.get(4)])).collect()
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
                            device.page(&sessions[n / 2], limit);
                        } else {
                            device.sync(&sessions[n / 2], limit);
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
        let mut fresh = Device::default();
        fresh.page(session, 2);
        assert_eq!(fresh.state, truth, "the inbox of {user}");
    }
    for (n, known) in devices.into_iter().enumerate() {
        println!("device {n} has asked {} times", known.len());
        let truth = truth(&service.database, USERS[n / 2]);
        // From whatever position it has been told.
        for mut device in known.into_iter().rev().step_by(7) {
            while device.sync(&sessions[n / 2], 200) {}
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
