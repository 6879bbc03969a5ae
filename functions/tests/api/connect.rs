//! `Connect`: who may open a WebSocket, and what becomes of connections.

use std::time::Duration;

use local::WebSocket;
use serde_json::{Value, json};

use crate::support::{Service, at_once, memory, sabotage};

const PROTOCOL: &str = "Sec-WebSocket-Protocol";
/// Within the 5 seconds in which a connection is closed.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn without_a_live_session_or_the_subprotocol_there_is_no_connection() {
    let service = Service::start();
    let token = service.session("alice").token;
    let stranger = "A".repeat(43);
    for offer in [
        "chat.v1",
        &format!("chat.v1, {stranger}"),
        &format!("chat.v1, {token}x"),
        &format!("chat.v1, {token}, {token}"),
        &format!("chat.v2, {token}"),
        &token,
        "",
    ] {
        assert_eq!(service.connect(&[(PROTOCOL, offer)]).err(), Some(401), "{offer}");
    }
    assert_eq!(service.connect(&[]).err(), Some(401));
    for offer in [format!("chat.v1, {token}"), format!("chat.v1,{token}"), format!("{token},chat.v1")] {
        let socket = service.connect(&[(PROTOCOL, &offer)]).unwrap();
        assert_eq!(socket.protocol(), Some("chat.v1"));
    }
    let authorization = format!("Bearer {token}");
    service.connect(&[(PROTOCOL, "chat.v1"), ("Authorization", &authorization)]).unwrap();
    assert_eq!(service.connect(&[("Authorization", &authorization)]).err(), Some(401));
}

#[test]
fn a_logout_closes_the_connections_of_the_session_and_no_others() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let other = service.log_in("bob");
    let (mut closed, mut open) = ([bob.connect(), bob.connect()], other.connect());
    bob.call("logout").json(json!({"username": "bob"})).expect(200);
    alice.message("bob", "Hi!").expect(201);
    for socket in &mut closed {
        assert_eq!(socket.receive(AT_ONCE), None, "nothing more arrives");
        assert_eq!(socket.closed(AT_ONCE), Some(1000));
    }
    assert!(open.receive(AT_ONCE).is_some());

    let mut sockets = [other.connect(), service.log_in("bob").connect()];
    other.call("logout").json(json!({"username": "bob", "everywhere": true})).expect(200);
    for socket in sockets.iter_mut().chain([&mut open]) {
        assert_eq!(socket.closed(AT_ONCE), Some(1000));
    }
    assert_eq!(service.database.number("SELECT COUNT(*) FROM connections"), 0);
}

#[test]
fn a_connection_and_a_logout_at_once_leave_none_to_be_told() {
    let service = Service::start().environments(16);
    let alice = service.session("alice");
    service.session("bob");
    for round in 0..20 {
        let bob = service.log_in("bob");
        let sockets = at_once(16, |n| {
            if n % 4 == 3 {
                let status = bob.call("logout").json(json!({"username": "bob"})).send().status;
                assert!([200, 401].contains(&status), "{status}");
                return None;
            }
            let connected = service.connect(&[(PROTOCOL, &format!("chat.v1, {}", bob.token))]);
            assert!(
                connected.as_ref().is_ok_and(WebSocket::is_open) || connected.as_ref().err() == Some(&401)
            );
            connected.ok()
        });
        assert_eq!(service.database.number("SELECT COUNT(*) FROM connections"), 0, "round {round}");
        alice.message("bob", "Hi!").expect(201);
        for mut socket in sockets.into_iter().flatten() {
            assert_eq!(socket.receive(Duration::from_millis(1)), None);
        }
    }
}

#[test]
fn rows_of_dead_connections_do_not_pile_up() {
    let service = Service::start();
    let alice = service.session("alice");
    let mut first = alice.connect();
    for _ in 0..1_000 {
        drop(alice.connect());
    }
    let connections = || service.database.number("SELECT COUNT(*) FROM connections");
    assert_eq!(connections(), 32);
    // The connections that make room are not left open without being told anything.
    assert_eq!(first.closed(AT_ONCE), Some(1000));

    // Of users who never come back, those are swept that API Gateway has closed.
    for n in 0..10 {
        service.session(&format!("user{n}")).connect();
    }
    service.database.execute("UPDATE connections SET created = created - INTERVAL 3 HOUR");
    let bob = service.session("bob");
    for _ in 0..10 {
        bob.connect();
    }
    assert!(connections() < 20, "{}", connections());
}

#[test]
fn a_connection_is_noted_once_and_belongs_to_one_session() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice").token, service.session("bob").token);
    let connect = |token: &str, event_type: &str| {
        let event = json!({
            "headers": {"sec-websocket-protocol": format!("chat.v1, {token}")},
            "requestContext": {"eventType": event_type, "connectionId": "L0SM9cOFvHcCIhw=", "requestId": "1"},
        });
        let response = service.function("connect").invoke(event.to_string(), AT_ONCE).unwrap();
        serde_json::from_str::<Value>(&response.body).unwrap()["statusCode"].clone()
    };
    assert_eq!(connect(&alice, "CONNECT"), 200);
    assert_eq!(connect(&alice, "CONNECT"), 200, "a call that is repeated after its reply was lost");
    assert_eq!(connect(&bob, "CONNECT"), 500, "API Gateway does not give an id twice");
    assert_eq!(connect(&bob, "MESSAGE"), 400);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM connections WHERE username = 'alice'"), 1);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM connections"), 1);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::with_each_answer("connect", |service, token, answer| {
        let offer = format!("chat.v1, {token}");
        assert_eq!(service.connect(&[(PROTOCOL, &offer)]).err(), Some(500), "{answer}");
    });
}

#[test]
fn an_environment_runs_for_ever() {
    let service = Service::start();
    let alice = service.session("alice");
    memory::drive(&service, "connect", |n| {
        let token = if n % 3 == 0 { "x" } else { &alice.token };
        service.connect(&[(PROTOCOL, &format!("chat.v1, {token}"))]).err().unwrap_or(200)
    });
}
