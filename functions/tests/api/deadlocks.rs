//! Everything at once, on tables of a few rows, where a server is tempted to scan and so to lock everything.

use std::thread;

use serde_json::json;

use crate::support::bad_input::UNKNOWN_TOKEN;
use crate::support::service::PASSWORD;
use crate::support::{Database, OwnServer, Service, migrations};

const CLIENTS: usize = 16;
const ROUNDS: usize = 25;
const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

#[test]
fn nothing_is_read_with_locks_by_a_subquery_in_if_or_set() {
    for sql in migrations() {
        for (position, _) in sql.match_indices("(SELECT") {
            let before = sql[..position].trim_end();
            let is_table = ["FROM", "JOIN"].iter().any(|word| before.ends_with(word));
            assert!(is_table, "SELECT … INTO reads without locks: {sql}");
        }
    }
}

#[test]
fn a_mixed_load_meets_no_deadlock() {
    let server = OwnServer::start("");
    let service = Service::on(Database::on(&server.url)).environments(CLIENTS);
    for user in USERS {
        service.call("create_user").json(json!({"username": user, "password": PASSWORD})).expect(201);
    }
    let before = service.database.deadlocks();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let service = &service;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let (user, other) = (USERS[(client + round) % USERS.len()], USERS[client % USERS.len()]);
                    let source = format!("192.0.2.{client}");
                    let login = |password| {
                        service.call("login").json(json!({"username": user, "password": password}))
                    };
                    login("wrong password").from(&source).expect(401);
                    let answer = login(PASSWORD).from(&source).send();
                    // Somebody may have changed the password to itself, which is another hash.
                    assert!([200, 401].contains(&answer.status), "{}", answer.body);
                    let token = answer.body["token"].as_str().unwrap_or(UNKNOWN_TOKEN).to_owned();
                    let body = json!({"sender": user, "receiver": other, "message": "hello"});
                    // Somebody may have logged the user out everywhere.
                    let expected = |status, good| assert!([good, 401].contains(&status), "{status}");
                    let sent = service.call("send_message").token(&token).json(body).send();
                    assert!([201, 401].contains(&sent.status) || sent.code() == "BLOCKED", "{}", sent.body);
                    if user != other {
                        let block = json!({"username": user, "peer": other, "blocked": round % 2 == 0});
                        expected(service.call("set_block").token(&token).json(block).send().status, 200);
                    }
                    let page = json!({"sender": user, "receiver": other});
                    expected(service.call("get_messages").token(&token).json(page).send().status, 200);
                    expected(service.call("get_users").token(&token).send().status, 200);
                    let read = json!({"sender": other, "receiver": user, "id": 1});
                    expected(service.call("mark_read").token(&token).json(read).send().status, 200);
                    expected(service.call("get_changes").token(&token).query("limit=2").send().status, 200);
                    expected(service.call("get_conversations").token(&token).send().status, 200);
                    expected(service.call("get_sessions").token(&token).send().status, 200);
                    if round % 5 == 0 {
                        let change =
                            json!({"username": user, "password": PASSWORD, "new_password": PASSWORD});
                        let call = service.call("change_password").token(&token).json(change);
                        expected(call.from(&source).send().status, 200);
                    }
                    let logout = json!({"username": user, "everywhere": round % 2 == 0});
                    expected(service.call("logout").token(&token).json(logout).send().status, 200);
                    let name = format!("new-{client}-{}", round / 2);
                    let created = service
                        .call("create_user")
                        .json(json!({"username": name, "password": PASSWORD}))
                        .send();
                    assert!([201, 409].contains(&created.status), "{}", created.body);
                    if round % 5 == 1 {
                        come_and_go(service, &format!("gone-{client}-{round}"), other);
                    }
                    expire(service, client, round);
                }
            });
        }
    });
    assert_eq!(service.database.deadlocks() - before, 0, "{}", service.database.latest_deadlock());
    let left = service.database.number("SELECT COUNT(*) FROM sessions WHERE expires < UTC_TIMESTAMP(6)");
    assert!(left < 100, "{left} expired sessions: they were swept under load");
}

/// Creates a user who writes to `other`, and deletes it.
fn come_and_go(service: &Service, name: &str, other: &str) {
    let guest = service.session(name);
    guest.message(other, "hello and goodbye").expect(201);
    guest.call("delete_user").json(json!({"username": name, "password": PASSWORD})).expect(200);
}

/// Adds what is to be swept away.
fn expire(service: &Service, client: usize, round: usize) {
    service.database.execute(&format!(
        "INSERT INTO sessions VALUES (UNHEX(SHA2('{client} {round}', 256)), 'alice', '2026-01-01', '2026-01-31', NULL)"
    ));
    service.database.execute(&format!(
        "INSERT INTO login_attempts VALUES ('old{client}.{round}', 'here', 1, '2026-01-01', NULL, '2026-01-02')"
    ));
    service
        .database
        .execute(&format!("INSERT INTO login_sources VALUES ('{client} {round}', 1, '2026-01-01')"));
}
