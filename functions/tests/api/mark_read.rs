//! `MarkRead`, and what is unread.

use serde_json::{Value, json};

use crate::support::{Service, Session, at_once, bad_input, memory, sabotage};

fn unread(session: &Session<'_>, peer: &str) -> Value {
    let inbox = session.inbox("limit=200");
    let conversations = inbox["conversations"].as_array().unwrap();
    conversations.iter().find(|conversation| conversation["peer"] == peer).unwrap()["unread"].clone()
}

#[test]
fn a_marker_moves_forward_only() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for text in ["1", "2", "3", "4"] {
        bob.message("alice", text).expect(201);
    }
    for (id, read_id, rest) in [(2, 2, 2), (1, 2, 2), (2, 2, 2), (4, 4, 0), (3, 4, 0)] {
        assert_eq!(alice.mark("bob", id).expect(200).body, json!({"read_id": read_id, "unread": rest}));
    }
    // In either order of the names.
    let body = json!({"sender": "ALICE", "receiver": "Bob", "id": 4});
    service.call("mark_read").token(&alice.token).json(body).expect(200);
}

#[test]
fn marks_from_two_devices_in_any_order_keep_the_larger() {
    let service = Service::start().environments(8);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for n in 0..20 {
        bob.message("alice", &n.to_string()).expect(201);
    }
    at_once(8, |n| drop(alice.mark("bob", [3, 17, 5, 11][n % 4]).expect(200)));
    assert_eq!(alice.mark("bob", 1).expect(200).body, json!({"read_id": 17, "unread": 3}));
}

#[test]
fn a_conversation_never_opened_counts_its_messages_exactly() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for n in 1..=120 {
        bob.message("alice", &n.to_string()).expect(201);
    }
    assert_eq!(unread(&alice, "bob"), 120);
}

#[test]
fn own_messages_never_count() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    alice.message("bob", "1").expect(201);
    bob.message("alice", "2").expect(201);
    alice.message("bob", "3").expect(201);
    alice.message("bob", "4").expect(201);
    assert_eq!((unread(&alice, "bob"), unread(&bob, "alice")), (json!(1), json!(3)));
    // Up to an own message: the peer's before it are read.
    assert_eq!(alice.mark("bob", 3).expect(200).body, json!({"read_id": 3, "unread": 0}));
    assert_eq!(bob.mark("alice", 3).expect(200).body, json!({"read_id": 3, "unread": 1}));
}

#[test]
fn a_replayed_send_is_counted_once() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for _ in 0..3 {
        bob.message("alice", "hello").header("Idempotency-Key", "k").expect(201);
    }
    assert_eq!(unread(&alice, "bob"), 1);
}

#[test]
fn the_first_messages_of_two_people_at_once_count() {
    for _ in 0..5 {
        let service = Service::start().environments(12);
        let (alice, bob) = (service.session("alice"), service.session("bob"));
        at_once(12, |n| {
            let (from, to) = if n % 2 == 0 { (&alice, "bob") } else { (&bob, "alice") };
            from.message(to, &n.to_string()).expect(201);
        });
        assert_eq!((unread(&alice, "bob"), unread(&bob, "alice")), (json!(6), json!(6)));
    }
}

#[test]
fn a_mark_while_messages_arrive_leaves_the_exact_rest() {
    let service = Service::start().environments(8);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    bob.message("alice", "first").expect(201);
    at_once(8, |n| {
        for round in 0..20 {
            if n < 4 {
                bob.message("alice", &format!("{n} {round}")).expect(201);
            } else {
                let newest = alice.ids("bob", json!({"limit": 1})).0[0];
                alice.mark("bob", newest).expect(200);
            }
        }
    });
    let marker = alice.mark("bob", 1).expect(200).body;
    assert_eq!(marker["unread"], json!(81 - marker["read_id"].as_i64().unwrap()));
}

#[test]
fn an_id_that_no_message_has_is_not_found() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    service.session("carol");
    bob.message("alice", "1").expect(201);
    for (other, id) in [("bob", 2), ("bob", 9_007_199_254_740_991), ("carol", 1), ("nobody", 1), ("alice", 1)]
    {
        let answer = alice.mark(other, id).expect(404);
        assert_eq!((answer.code(), answer.fields()), ("UNKNOWN_MESSAGE", vec!["id"]), "{other} {id}");
    }
}

#[test]
fn nobody_marks_for_somebody_else() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let carol = service.session("carol");
    bob.message("alice", "1").expect(201);
    let body = json!({"sender": "bob", "receiver": "alice", "id": 1});
    let answer = service.call("mark_read").token(&carol.token).json(body).expect(403);
    assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["sender"]));
    assert_eq!(unread(&alice, "bob"), 1);
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    bob.message("alice", "1").expect(201);
    let call = || service.call("mark_read").token(&alice.token);
    let bad = [
        bad_input::bad_usernames("sender"),
        bad_input::bad_usernames("receiver"),
        vec![("id", json!(0), "below the first")],
    ];
    let good = json!({"sender": "bob", "receiver": "alice", "id": 1});
    bad_input::check(&service, call, &good, &json!({}), &bad.concat());
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("mark_read").json(good.clone()));
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("mark_read", |service, token| {
        service.call("mark_read").token(token).json(json!({"sender": "alice", "receiver": "alice", "id": 1}))
    });
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("mark_read", |service, token, n| {
        let id = if n % 2 == 0 { 1 + n / 4 } else { 1_000 };
        service.call("mark_read").token(token).json(json!({"sender": "bob", "receiver": "alice", "id": id}))
    });
}
