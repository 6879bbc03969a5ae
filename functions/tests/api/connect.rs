//! `Connect`: who may open a WebSocket, and what becomes of connections.

use crate::support::Service;

const PROTOCOL: &str = "Sec-WebSocket-Protocol";

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
