//! Promises 1 to 3 under every race that one conversation can have, with statements and connections killed.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use sqlx::Row;

use crate::support::{Database, OwnServer, Service, Session};

const WRITERS: usize = 16;
const ROUNDS: usize = 60;
/// Where statements or connections are killed, there are more rounds until so many have been, up to ten times as many.
const KILLS: usize = 10;

/// By sender and key, the messages that were answered: one each, if all is well.
type Sent = HashMap<(String, String), HashSet<String>>;

/// What a writer sends in a round: most keys are used by several writers at once.
fn send(sessions: &[Session<'_>], writer: usize, round: usize) -> (String, String, String) {
    let pair = |n: usize| (sessions[n % 2].username.clone(), sessions[(n + 1) % 2].username.clone());
    match writer % 4 {
        // One key for several writers, in one direction of one conversation.
        0 => (pair(0).0, pair(0).1, format!("shared-{round}")),
        // Both directions, each writer with keys of its own.
        1 => (pair(writer / 4).0, pair(writer / 4).1, format!("own-{writer}-{round}")),
        // First messages: a conversation that is new in each round.
        2 => (pair(writer / 4).0, format!("friend{round}"), format!("first-{}-{round}", writer / 4)),
        // One key in several conversations: the first one has it.
        _ => (pair(0).0, sessions[writer / 4 % 3].username.clone(), format!("across-{round}")),
    }
}

/// Returns how many deadlocks the server has found, of which nobody has heard.
fn hammer(database: Database, kill: Option<&str>) -> i64 {
    let service = Service::on(database).environments(WRITERS);
    let sessions = ["alice", "bob", "carol"].map(|name| service.session(name));
    let friends: Vec<_> = (0..10 * ROUNDS).map(|n| format!("('friend{n}', 'none')")).collect();
    service.database.execute(&format!("INSERT INTO users (username, password) VALUES {}", friends.join(",")));

    let acknowledged: Mutex<Sent> = Mutex::default();
    let [sends, unavailable, kills] = [const { AtomicUsize::new(0) }; 3];
    let done = AtomicBool::new(false);
    let enough = |round| round >= ROUNDS && (kill.is_none() || kills.load(Ordering::SeqCst) >= KILLS);
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let Some(kill) = kill else { return };
            let mut admin = service.database.connect();
            while !done.load(Ordering::SeqCst) {
                // On a slow machine every attempt of a send could be hit: so there are no more kills than sends.
                if kills.load(Ordering::SeqCst) < sends.load(Ordering::SeqCst) {
                    kills.fetch_add(admin.kill(service.database.name(), kill, false), Ordering::SeqCst);
                } else {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (sessions, acknowledged) = (&sessions, &acknowledged);
                let (sends, unavailable, enough) = (&sends, &unavailable, &enough);
                scope.spawn(move || {
                    for round in (0..10 * ROUNDS).take_while(|round| !enough(*round)) {
                        sends.fetch_add(1, Ordering::SeqCst);
                        let (sender, receiver, key) = send(sessions, writer, round);
                        let session = sessions.iter().find(|session| session.username == sender).unwrap();
                        let call = session.message(&receiver, &key).header("Idempotency-Key", &key);
                        let mut answer = call.clone().send();
                        for _ in 0..50 {
                            if answer.status == 503 && kill.is_some() {
                                unavailable.fetch_add(1, Ordering::SeqCst);
                                answer = call.clone().send();
                            }
                        }
                        match answer.status {
                            201 => {
                                let mut acknowledged = acknowledged.lock().unwrap();
                                acknowledged
                                    .entry((sender, key))
                                    .or_default()
                                    .insert(answer.body.to_string());
                            }
                            422 => assert!(key.starts_with("across"), "{}", answer.body),
                            _ => panic!("{}", answer.body),
                        }
                    }
                })
            })
            .collect();
        let results: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        killer.join().unwrap();
        for result in results {
            result.unwrap();
        }
    });

    assert!(kill.is_none() || kills.load(Ordering::SeqCst) >= KILLS, "the faults took place");
    let database = &service.database;
    let gaps = "SELECT COUNT(*) FROM conversations c LEFT JOIN
                (SELECT conversation_id, COUNT(*) n, MIN(id) first, MAX(id) last FROM messages GROUP BY conversation_id) m
                USING (conversation_id)
                WHERE NOT COALESCE(first = 1 AND last = n AND last_id = n, last_id = 0)";
    assert_eq!(database.number(gaps), 0, "ids are 1, 2, 3 … in every conversation");
    let mut stored = Sent::new();
    let messages = "SELECT sender, receiver, message, id, DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ') FROM messages";
    for row in database.rows(messages) {
        let (sender, receiver, key): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let (id, time_stamp): (i64, String) = (row.get(3), row.get(4));
        let message = json!({"id": id, "sender": sender, "receiver": receiver, "message": key, "time_stamp": time_stamp});
        let twice = stored.insert((sender, key), HashSet::from([message.to_string()]));
        assert!(twice.is_none(), "one message for a key");
    }
    assert_eq!(stored, acknowledged.into_inner().unwrap(), "what was acknowledged is what is stored");
    let newest = sessions[0].page("bob", json!({"limit": 1})).expect(200).body;
    println!(
        "{} sends of {} messages, newest id {}, {} kills, {} answers 503",
        sends.into_inner(),
        stored.len(),
        newest["messages"][0]["id"],
        kills.into_inner(),
        unavailable.into_inner(),
    );
    database.deadlocks()
}

#[test]
fn no_race_reaches_a_caller_stores_twice_or_leaves_a_gap_or_deadlocks() {
    let server = OwnServer::start("");
    assert_eq!(hammer(Database::on(&server.url), None), 0, "deadlocks");
}

#[test]
fn killed_statements_lose_nothing_store_nothing_twice_and_leave_no_gap() {
    hammer(Database::fresh(), Some("KILL QUERY"));
}

#[test]
fn killed_connections_lose_nothing_store_nothing_twice_and_leave_no_gap() {
    hammer(Database::fresh(), Some("KILL"));
}
