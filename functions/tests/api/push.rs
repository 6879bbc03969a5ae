//! Push: what happens in a conversation reaches the open connections of both users, each in its own view.

use std::time::Duration;

use local::WebSocket;
use serde_json::{Value, json};

use crate::support::{Service, memory};

/// Longer than a push takes to arrive.
const SOON: Duration = Duration::from_secs(10);
/// How long it is waited for what must not come.
const A_WHILE: Duration = Duration::from_millis(300);

/// The conversation of the next event.
fn conversation(socket: &mut WebSocket) -> Value {
    let text = socket.receive(SOON).expect("an event");
    serde_json::from_str::<Value>(&text).unwrap()["conversation"].take()
}

#[test]
fn messages_and_markers_reach_all_devices_of_both_users_each_with_its_own_view() {
    let service = Service::start();
    let (alice, bob) = (service.session("Alice"), service.session("bob"));
    let mut of_alice = [alice.connect(), alice.connect()];
    let mut of_bob = [bob.connect(), bob.connect(), service.log_in("bob").connect()];

    let message = alice.message("BOB", "Hi! 👋").expect(201).body;
    let view = |peer: &str, unread: i64, read_id: i64, peer_read_id: i64| {
        json!({
            "peer": peer,
            "last_message": message,
            "unread": unread,
            "read_id": read_id,
            "peer_read_id": peer_read_id,
            "blocked": false,
        })
    };
    for socket in &mut of_bob {
        assert_eq!(conversation(socket), view("Alice", 1, 0, 0));
    }
    for socket in &mut of_alice {
        assert_eq!(conversation(socket), view("bob", 0, 0, 0));
    }

    bob.mark("alice", 1).expect(200);
    for socket in &mut of_bob {
        assert_eq!(conversation(socket), view("Alice", 0, 1, 0));
    }
    for socket in &mut of_alice {
        assert_eq!(conversation(socket), view("bob", 0, 0, 1));
    }

    // What sync answers is the same.
    assert_eq!(bob.changes("")["conversations"], json!([view("Alice", 0, 1, 0)]));
    for socket in of_alice.iter_mut().chain(&mut of_bob) {
        assert_eq!(socket.receive(A_WHILE), None);
    }
}

#[test]
fn notes_to_oneself_are_pushed_once_to_each_device() {
    let service = Service::start();
    let alice = service.session("alice");
    let mut sockets = [alice.connect(), alice.connect()];
    alice.message("alice", "milk").expect(201);
    alice.mark("alice", 1).expect(200);
    for socket in &mut sockets {
        let (sent, marked) = (conversation(socket), conversation(socket));
        assert_eq!(
            (&sent["peer"], &sent["unread"], &sent["read_id"]),
            (&json!("alice"), &json!(0), &json!(0))
        );
        assert_eq!((&marked["read_id"], &marked["peer_read_id"]), (&json!(1), &json!(1)));
        assert_eq!(marked["last_message"]["message"], "milk");
        assert_eq!(socket.receive(A_WHILE), None);
    }
}

#[test]
fn nobody_receives_an_event_of_a_conversation_of_others() {
    let service = Service::start();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| service.session(name));
    let mut socket = carol.connect();
    alice.message("bob", "secret").expect(201);
    bob.mark("alice", 1).expect(200);
    assert_eq!(socket.receive(A_WHILE), None);
}

#[test]
fn a_replay_a_refusal_and_a_mark_that_moves_nothing_push_nothing() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut socket = bob.connect();
    let send = |text| alice.message("bob", text).header("Idempotency-Key", "1");
    send("Hi!").expect(201);
    bob.mark("alice", 1).expect(200);
    conversation(&mut socket);
    conversation(&mut socket);
    assert_eq!(send("Hi!").expect(201).header("idempotent-replayed"), Some("true"));
    send("Hello!").expect(422);
    bob.mark("alice", 1).expect(200);
    assert_eq!(socket.receive(A_WHILE), None);
}

#[test]
fn an_event_that_would_be_too_large_lacks_the_text_only() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut socket = bob.connect();
    // In JSON, six bytes each.
    for (text, is_there) in [("a".repeat(16_384), true), ("\u{1}".repeat(16_384), false)] {
        let mut message = alice.message("bob", &text).expect(201).body;
        if !is_there {
            message.as_object_mut().unwrap().remove("message");
        }
        let event = socket.receive(SOON).unwrap();
        assert!(event.len() <= 30_000, "{}", event.len());
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["conversation"]["last_message"], message);
    }
}

#[test]
fn a_session_that_has_run_out_is_told_nothing() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut socket = bob.connect();
    service.database.execute("UPDATE sessions SET expires = UTC_TIMESTAMP(6) WHERE username = 'bob'");
    alice.message("bob", "Hi!").expect(201);
    assert_eq!(socket.receive(A_WHILE), None);
}

#[test]
fn a_connection_that_has_gone_is_forgotten_unless_it_may_not_be_open_yet() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let connections = || service.database.number("SELECT COUNT(*) FROM connections");
    bob.connect().close();
    let mut socket = bob.connect();
    for (age, left) in [("20", 2), ("40", 1)] {
        service
            .database
            .execute(&format!("UPDATE connections SET created = UTC_TIMESTAMP(6) - INTERVAL {age} SECOND"));
        alice.message("bob", "Hi!").expect(201);
        conversation(&mut socket);
        assert_eq!(connections(), left, "{age} s");
    }
}

#[test]
fn an_environment_that_pushes_runs_for_ever() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut sockets = [alice.connect(), bob.connect(), bob.connect()];
    memory::drive(&service, "send_message", |n| {
        let status = alice.message("bob", &n.to_string()).send().status;
        for socket in &mut sockets {
            conversation(socket);
        }
        status
    });
}
