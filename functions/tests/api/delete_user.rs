//! `DeleteUser`, and what is left of a user.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::service::{Call, PASSWORD};
use crate::support::{Service, Session, at_once, bad_input, memory, sabotage, wait_until};

fn delete<'a>(session: &Session<'a>, password: &str) -> Call<'a> {
    session.call("delete_user").json(json!({"username": session.username, "password": password}))
}

fn login<'a>(service: &'a Service, password: &str) -> Call<'a> {
    service.call("login").json(json!({"username": "alice", "password": password}))
}

#[test]
fn sessions_and_connections_end_at_once() {
    let service = Service::start();
    let (one, two, bob) = (service.session("Alice"), service.log_in("alice"), service.session("bob"));
    let mut sockets = [one.connect(), two.connect()];
    let mut of_bob = bob.connect();
    assert_eq!(delete(&one, PASSWORD).expect(200).body, json!({"username": "Alice"}));
    for session in [&one, &two] {
        session.call("get_users").expect(401);
        session.message("bob", "hello").expect(401);
    }
    for socket in &mut sockets {
        assert_eq!(socket.closed(Duration::from_secs(10)), Some(1000));
    }
    bob.message("bob", "note").expect(201);
    assert!(of_bob.receive(Duration::from_secs(10)).is_some());
    assert_eq!(login(&service, PASSWORD).expect(401).code(), "INVALID_CREDENTIALS");
}

#[test]
fn the_name_is_never_free_again_in_any_case() {
    let service = Service::start();
    delete(&service.session("alice"), PASSWORD).expect(200);
    for name in ["alice", "Alice", "ALICE"] {
        let body = json!({"username": name, "password": PASSWORD});
        assert_eq!(service.call("create_user").json(body).expect(409).code(), "USERNAME_TAKEN");
    }
}

#[test]
fn others_no_longer_find_the_user_but_their_conversations() {
    let service = Service::start();
    let (alice, bob) = (service.session("Alice"), service.session("bob"));
    let send = || bob.message("alice", "1").header("Idempotency-Key", "key");
    let first = send().expect(201);
    alice.message("bob", "2").expect(201);
    let inbox = bob.inbox("");
    delete(&alice, PASSWORD).expect(200);

    let users = bob.call("get_users").expect(200).body;
    assert_eq!(users["users"], json!([{"username": "bob", "logged_in": true}]));
    assert_eq!(bob.message("alice", "3").expect(404).code(), "UNKNOWN_RECEIVER");
    let again = send().expect(201);
    assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
    assert_eq!(bob.ids("alice", json!({})).0, [1, 2]);
    assert_eq!(bob.inbox(""), inbox);
    assert_eq!(bob.inbox("")["conversations"][0]["peer"], "Alice");
    assert_eq!(bob.mark("alice", 2).expect(200).body, json!({"read_id": 2, "unread": 0}));
    let position = inbox["position"].as_i64().unwrap();
    let changes = bob.changes(&format!("after={position}"));
    assert_eq!(changes["conversations"][0]["read_id"], 2);
}

#[test]
fn nothing_is_kept_but_the_name_the_time_and_the_conversations() {
    let service = Service::start();
    let (alice, _) = (service.session("Alice"), service.session("bob"));
    alice.message("bob", "hello").expect(201);
    alice.inbox("");
    let _socket = alice.connect();
    login(&service, "wrong password").from("192.0.2.7").expect(401);
    delete(&alice, PASSWORD).expect(200);
    let count = |what: &str| service.database.number(&format!("SELECT COUNT(*) FROM {what}"));
    let bare = "username = 'Alice' AND password IS NULL AND logged_in IS NULL AND position = 0
                AND deleted BETWEEN UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE AND UTC_TIMESTAMP(6)";
    assert_eq!(count(&format!("users WHERE {bare}")), 1);
    for table in ["sessions", "login_attempts", "connections"] {
        assert_eq!(count(&format!("{table} WHERE username = 'alice'")), 0, "{table}");
    }
    assert_eq!((count("messages"), count("memberships")), (1, 2));
}

#[test]
fn the_documented_statement_removes_the_texts_and_leaves_pages_and_counts() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    alice.message("bob", "embarrassing").expect(201);
    bob.message("alice", "harmless").expect(201);
    delete(&alice, PASSWORD).expect(200);
    let statement = include_str!("../../../docs/design.md").split("```sql\n").nth(1).unwrap();
    service.database.execute(statement.split("```").next().unwrap());
    let page = bob.page("alice", json!({})).expect(200).body;
    let texts: Vec<_> =
        page["messages"].as_array().unwrap().iter().map(|message| &message["message"]).collect();
    assert_eq!(texts, ["[removed]", "harmless"]);
    assert_eq!(bob.mark("alice", 2).expect(200).body, json!({"read_id": 2, "unread": 0}));
}

#[test]
fn a_wrong_password_deletes_nothing_and_counts_as_a_failed_login() {
    let service = Service::start();
    let alice = service.session("alice");
    for n in 0..10 {
        if n % 2 == 0 {
            assert_eq!(delete(&alice, "wrong password").expect(401).code(), "INVALID_CREDENTIALS");
        } else {
            login(&service, "wrong password").expect(401);
        }
    }
    assert_eq!(delete(&alice, PASSWORD).expect(429).code(), "TOO_MANY_ATTEMPTS");
    login(&service, PASSWORD).expect(429);
    alice.call("get_users").expect(200);
}

#[test]
fn nobody_deletes_somebody_else() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let body = json!({"username": "bob", "password": PASSWORD});
    let answer = alice.call("delete_user").json(body).expect(403);
    assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["username"]));
    bob.call("get_users").expect(200);
}

#[test]
fn a_login_under_way_opens_nothing_that_lasts() {
    for _ in 0..5 {
        let service = Service::start().environments(12);
        let alice = service.session("alice");
        let tokens = at_once(12, |n| {
            if n == 0 {
                delete(&alice, PASSWORD).expect(200);
                return None;
            }
            let answer = login(&service, PASSWORD).from(&format!("192.0.2.{n}")).send();
            assert!([200, 401].contains(&answer.status), "{}", answer.body);
            answer.body["token"].as_str().map(str::to_owned)
        });
        for token in tokens.into_iter().flatten() {
            service.call("get_users").token(&token).expect(401);
        }
        assert_eq!(service.database.number("SELECT COUNT(*) FROM sessions"), 0);
        assert_eq!(service.database.number("SELECT COUNT(*) FROM login_attempts WHERE last_success > 0"), 0);
    }
}

#[test]
fn while_messages_arrive_each_is_stored_or_refused() {
    let service = Service::start().environments(8);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let deleted = AtomicBool::new(false);
    let sent: i64 = thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|n| {
                let (bob, deleted) = (&bob, &deleted);
                scope.spawn(move || {
                    let mut sent = 0;
                    loop {
                        let late = deleted.load(Ordering::SeqCst);
                        let answer = bob.message("alice", &n.to_string()).send();
                        if answer.status != 201 {
                            assert_eq!(answer.code(), "UNKNOWN_RECEIVER");
                            return sent;
                        }
                        assert!(!late, "begun after the answer, and stored");
                        sent += 1;
                    }
                })
            })
            .collect();
        let stored = || service.database.number("SELECT COUNT(*) FROM messages");
        wait_until("all are sending", || stored() >= 40);
        delete(&alice, PASSWORD).expect(200);
        deleted.store(true, Ordering::SeqCst);
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    assert_eq!(service.database.number("SELECT COUNT(*) FROM messages"), sent);
    assert_eq!(bob.inbox("")["conversations"][0]["last_message"]["id"], sent);
}

#[test]
fn of_deletions_and_changes_of_the_password_at_once_one_wins() {
    for round in 0..5 {
        let service = Service::start().environments(8);
        let sessions: Vec<_> = std::iter::once(service.session("alice"))
            .chain((1..8).map(|_| service.log_in("alice")))
            .collect();
        let statuses = at_once(8, |n| {
            let session = &sessions[if round % 2 == 0 { 0 } else { n }];
            let body =
                json!({"username": "alice", "password": PASSWORD, "new_password": "battery staple correct"});
            let call =
                if n < 4 { delete(session, PASSWORD) } else { session.call("change_password").json(body) };
            let answer = call.from(&format!("192.0.2.{n}")).send();
            assert!(["", "INVALID_CREDENTIALS", "INVALID_TOKEN"].contains(&answer.code()), "{}", answer.body);
            answer.status
        });
        let winner: Vec<_> = (0..8).filter(|n| statuses[*n] == 200).collect();
        assert_eq!(winner.len(), 1, "{statuses:?}");
        let deleted = service.database.number("SELECT COUNT(*) FROM users WHERE deleted IS NOT NULL");
        assert_eq!(deleted, i64::from(winner[0] < 4));
        let left = service.database.number("SELECT COUNT(*) FROM sessions");
        assert_eq!(left, 1 - deleted);
    }
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || alice.call("delete_user");
    let mut bad_values = bad_input::bad_usernames("username");
    bad_values.extend([
        ("password", json!("7 chars"), "too short"),
        ("password", json!("x".repeat(129)), "too long"),
    ]);
    let good = json!({"username": "alice", "password": PASSWORD});
    bad_input::check(&service, call, &good, &json!({}), &bad_values);
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("delete_user").json(good.clone()));
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || service.call("delete_user");
    let body = |username: &str| json!({"username": username, "password": "wrong password"});
    call().raw("").expect(401);
    call().token(bad_input::UNKNOWN_TOKEN).raw("").expect(415);
    call().token(bad_input::UNKNOWN_TOKEN).json(json!({})).expect(400);
    call().token(bad_input::UNKNOWN_TOKEN).json(body("bob")).expect(401);
    (0..10).for_each(|_| drop(login(&service, "wrong password").expect(401)));
    alice.call("delete_user").json(body("bob")).expect(403);
    alice.call("delete_user").json(body("alice")).expect(429);
    alice.call("delete_user").json(body("alice")).from("192.0.2.7").expect(401);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    for (procedure, password) in
        [("begin_reauthentication", PASSWORD), ("fail_login", "wrong password"), ("delete_user", PASSWORD)]
    {
        sabotage::is_never_a_success(procedure, |service, token| {
            let body = json!({"username": "alice", "password": password});
            service.call("delete_user").token(token).json(body)
        });
    }
}

#[test]
fn an_environment_runs_for_ever() {
    // A deletion that succeeds needs a user of its own.
    memory::runs_for_ever("delete_user", |service, token, n| {
        if n % 25 == 0 {
            return delete(&service.session(&format!("user{n}")), PASSWORD);
        }
        let (username, password) = if n % 5 == 0 { ("alice", "wrong password") } else { ("bob", PASSWORD) };
        let call = service.call("delete_user").token(token).from(&format!("192.0.2.{}", n / 25));
        call.json(json!({"username": username, "password": password}))
    });
}
