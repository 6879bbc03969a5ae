//! Push: what happens in a conversation reaches the open connections of both users, each in its own view.

use std::time::Duration;

use local::{Received, WebSocket};
use serde_json::{Value, json};

use crate::support::Service;

/// Longer than a push takes to arrive.
const SOON: Duration = Duration::from_secs(10);
/// How long it is waited for what must not come.
const A_WHILE: Duration = Duration::from_millis(300);

/// The conversation of the next event.
fn conversation(socket: &mut WebSocket) -> Value {
    match socket.receive(SOON) {
        Received::Text(text) => serde_json::from_str::<Value>(&text).unwrap()["conversation"].take(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_reaches_all_devices_of_both_users_each_with_its_own_view() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut of_alice = [alice.connect(), alice.connect()];
    let mut of_bob = [bob.connect(), bob.connect(), service.log_in("bob").connect()];
    assert_eq!(of_bob[0].protocol(), Some("chat.v1"));

    let message = alice.message("BOB", "Hi! 👋").expect(201).body;
    let view = |peer: &str, unread: i64| json!({"peer": peer, "last_message": message, "unread": unread, "read_id": 0, "peer_read_id": 0, "blocked": false});
    for socket in &mut of_bob {
        assert_eq!(conversation(socket), view("alice", 1));
    }
    for socket in &mut of_alice {
        assert_eq!(conversation(socket), view("bob", 0));
    }

    bob.mark("alice", 1).expect(200);
    for socket in &mut of_bob {
        let mut view = view("alice", 0);
        view["read_id"] = 1.into();
        assert_eq!(conversation(socket), view);
    }
    for socket in &mut of_alice {
        let mut view = view("bob", 0);
        view["peer_read_id"] = 1.into();
        assert_eq!(conversation(socket), view);
        assert_eq!(socket.receive(A_WHILE), Received::Nothing);
    }
}
