//! `POST /messages/query`

use serde_json::json;

use crate::support::{Database, OwnServer, Service, bad_input, memory, sabotage};

fn ids(range: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    range.collect()
}

#[test]
fn without_a_cursor_the_newest_messages_are_answered() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    service.database.fill("alice", "bob", 260);
    assert_eq!(alice.ids("bob", json!({})), (ids(211..=260), true), "50 unless told");
    assert_eq!(bob.ids("alice", json!({"limit": 200})), (ids(61..=260), true));
    assert_eq!(bob.ids("Alice", json!({"limit": 1})), (vec![260], true));
    let first = &alice.page("bob", json!({"before": 2})).expect(200).body["messages"][0];
    assert_eq!(first["message"], "message 1");
    assert_eq!((&first["sender"], &first["receiver"]), (&json!("alice"), &json!("bob")));
}

#[test]
fn before_pages_backwards() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    service.database.fill("alice", "bob", 25);
    for (before, limit, expected, more) in [
        (26, 10, ids(16..=25), true),
        (16, 10, ids(6..=15), true),
        (6, 10, ids(1..=5), false),
        (11, 10, ids(1..=10), false),
        (2, 200, ids(1..=1), false),
        (1, 10, vec![], false),
        (1000, 3, ids(23..=25), true),
        (9_007_199_254_740_991_i64, 25, ids(1..=25), false),
    ] {
        assert_eq!(
            alice.ids("bob", json!({"before": before, "limit": limit})),
            (expected, more),
            "before {before}"
        );
    }
}

#[test]
fn after_pages_forwards() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    service.database.fill("alice", "bob", 25);
    for (after, limit, expected, more) in [
        (0, 10, ids(1..=10), true),
        (10, 10, ids(11..=20), true),
        (20, 10, ids(21..=25), false),
        (15, 10, ids(16..=25), false),
        (24, 1, vec![25], false),
        (25, 10, vec![], false),
        (1000, 10, vec![], false),
        (9_007_199_254_740_991_i64, 200, vec![], false),
    ] {
        assert_eq!(
            alice.ids("bob", json!({"after": after, "limit": limit})),
            (expected, more),
            "after {after}"
        );
    }
}

#[test]
fn either_order_of_the_names_is_the_same_conversation() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let sent =
        [alice.message("bob", "to bob").expect(201).body, bob.message("alice", "to alice").expect(201).body];
    for (sender, receiver) in [("alice", "bob"), ("bob", "alice"), ("BOB", "Alice")] {
        let body = json!({"sender": sender, "receiver": receiver});
        let page = service.call("get_messages").token(&alice.token).json(body).expect(200).body;
        assert_eq!(page, json!({"messages": sent, "more": false}));
    }
}

#[test]
fn users_who_never_talked_or_do_not_exist_have_no_messages() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    for other in ["bob", "alice", "nobody"] {
        for cursor in [json!({}), json!({"before": 5}), json!({"after": 0})] {
            assert_eq!(alice.page(other, cursor).expect(200).body, json!({"messages": [], "more": false}));
        }
    }
}

#[test]
fn nobody_reads_a_conversation_of_others() {
    let service = Service::start();
    let (alice, _, mallory) = (service.session("alice"), service.session("bob"), service.session("mallory"));
    alice.message("bob", "secret").expect(201);
    for (sender, receiver) in [("alice", "bob"), ("bob", "alice"), ("alice", "alice"), ("nobody", "alice")] {
        let body = json!({"sender": sender, "receiver": receiver});
        let answer = service.call("get_messages").token(&mallory.token).json(body).expect(403);
        assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["sender"]));
    }
    assert_eq!(mallory.ids("alice", json!({})), (vec![], false));
}

#[test]
fn a_page_of_long_messages_ends_early_and_says_so() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    service.database.fill("alice", "bob", 100);
    // 32 of the longest messages have 512 KiB; escaped as JSON each byte becomes six.
    service.database.execute("UPDATE messages SET message = REPEAT(CHAR(1 USING utf8mb4), 16384)");
    service.database.execute("UPDATE conversations SET longest = 16384");
    assert_eq!(alice.ids("bob", json!({"after": 0, "limit": 200})), (ids(1..=32), true));
    assert_eq!(alice.ids("bob", json!({"after": 68, "limit": 32})), (ids(69..=100), false));
    assert_eq!(alice.ids("bob", json!({"limit": 200})), (ids(69..=100), true));
    assert_eq!(alice.ids("bob", json!({"before": 33, "limit": 200})), (ids(1..=32), false));
    assert_eq!(alice.ids("bob", json!({"before": 34, "limit": 200})), (ids(2..=33), true));
}

#[test]
fn what_is_not_answered_is_not_sent_by_the_database_either() {
    let server = OwnServer::start("");
    let service = Service::on(Database::on(&server.url));
    let alice = service.session("alice");
    let long = "x".repeat(16_384);
    (0..200).for_each(|_| drop(alice.message("alice", &long).expect(201)));
    let sent = || service.database.connect().status("Bytes_sent");
    for page in [json!({"limit": 200}), json!({"after": 0, "limit": 200})] {
        alice.page("alice", page.clone()).expect(200);
        let before = sent();
        assert_eq!(alice.ids("alice", page).0.len(), 32);
        assert!(sent() - before < 700_000, "512 KiB, and not the 3.2 MB of 200 messages");
    }
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || service.call("get_messages").token(&alice.token);
    let mut bad_values = bad_input::bad_usernames("sender");
    bad_values.extend(bad_input::bad_usernames("receiver"));
    bad_values.extend([("limit", json!(0), "too small"), ("limit", json!(201), "too large")]);
    let good = json!({"sender": "alice", "receiver": "bob"});
    bad_values.push(("before", json!(0), "too small"));
    bad_input::check(&service, call, &good, &json!({"limit": 10, "before": 5}), &bad_values);
    bad_input::check(&service, call, &good, &json!({"after": 5}), &[]);
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("get_messages").json(good.clone()));

    let both = json!({"sender": "alice", "receiver": "bob", "before": 5, "after": 1});
    assert_eq!(call().json(both).expect(400).code(), "INVALID_FIELD");
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    service.session("alice");
    let call = || service.call("get_messages");
    call().raw("").expect(401);
    call().token(bad_input::UNKNOWN_TOKEN).raw("").expect(415);
    call().token(bad_input::UNKNOWN_TOKEN).json(json!({"sender": "alice"})).expect(400);
    call().token(bad_input::UNKNOWN_TOKEN).json(json!({"sender": "bob", "receiver": "carol"})).expect(401);
    let session = service.log_in("alice");
    call().token(&session.token).json(json!({"sender": "bob", "receiver": "carol", "limit": 0})).expect(400);
    call().token(&session.token).json(json!({"sender": "bob", "receiver": "carol"})).expect(403);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("get_messages", |service, token| {
        service.call("get_messages").token(token).json(json!({"sender": "alice", "receiver": "alice"}))
    });
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("get_messages", |service, token, n| {
        let sender = if n % 2 == 0 { "alice" } else { "carol" };
        let body = json!({"sender": sender, "receiver": "bob", "limit": 200});
        service.call("get_messages").token(token).json(body)
    });
}
