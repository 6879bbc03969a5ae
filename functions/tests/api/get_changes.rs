//! `GetChanges`.

use serde_json::{Value, json};

use crate::support::{Service, Session, bad_input, memory, sabotage};

fn peers(changes: &Value) -> Vec<&str> {
    let conversations = changes["conversations"].as_array().unwrap();
    conversations.iter().map(|conversation| conversation["peer"].as_str().unwrap()).collect()
}

/// What has changed after `position`, and the position after it.
fn since(session: &Session<'_>, position: &Value) -> (Value, Value) {
    let changes = session.changes(&format!("after={position}"));
    let position = changes["position"].clone();
    (changes, position)
}

#[test]
fn a_message_and_a_marker_on_either_side_are_changes_and_the_call_itself_is_not() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    assert_eq!(alice.changes(""), json!({"conversations": [], "position": 0, "more": false}));
    let (mut of_alice, mut of_bob) = (json!(0), json!(0));
    let acts: [&dyn Fn(); 4] = [
        &|| drop(alice.message("bob", "1").expect(201)),
        &|| drop(bob.message("alice", "2").expect(201)),
        &|| drop(alice.mark("bob", 2).expect(200)),
        &|| drop(bob.mark("alice", 1).expect(200)),
    ];
    for act in acts {
        act();
        for (session, position) in [(&alice, &mut of_alice), (&bob, &mut of_bob)] {
            let (changes, new) = since(session, position);
            assert_eq!((peers(&changes).len(), &changes["more"]), (1, &json!(false)));
            assert!(new.as_i64() > position.as_i64(), "{new} > {position}");
            assert_eq!(changes["conversations"], session.inbox("")["conversations"]);
            let (nothing, same) = since(session, &new);
            assert_eq!((peers(&nothing).len(), &same), (0, &new));
            *position = new;
        }
    }
    // What changes nothing is no change.
    alice.mark("bob", 1).expect(200);
    alice.message("nobody", "x").expect(404);
    alice.message("bob", "1").header("Idempotency-Key", "k").expect(201);
    let (_, position) = since(&alice, &of_alice);
    alice.message("bob", "1").header("Idempotency-Key", "k").expect(201);
    assert_eq!(since(&alice, &position).0["conversations"], json!([]), "a replay");
}

#[test]
fn a_conversation_that_changed_often_is_told_once_in_its_newest_state() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for n in 0..5 {
        bob.message("alice", &n.to_string()).expect(201);
    }
    let changes = alice.changes("");
    assert_eq!(peers(&changes), ["bob"]);
    assert_eq!(
        (&changes["conversations"][0]["unread"], &changes["conversations"][0]["last_message"]["id"]),
        (&json!(5), &json!(5))
    );
}

#[test]
fn changes_come_in_pages_of_any_limit() {
    let service = Service::start();
    let alice = service.session("alice");
    let names: Vec<_> = (0..7).map(|n| format!("friend{n}")).collect();
    for name in &names {
        service.session(name).message("alice", "hello").expect(201);
    }
    for limit in 1..=8 {
        let (mut seen, mut position) = (Vec::new(), json!(0));
        loop {
            let changes = alice.changes(&format!("limit={limit}&after={position}"));
            assert!(peers(&changes).len() <= limit);
            seen.extend(peers(&changes).into_iter().map(str::to_owned));
            assert!(changes["position"].as_i64() > position.as_i64());
            position = changes["position"].clone();
            if changes["more"] == false {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, names, "by {limit}");
    }
}

#[test]
fn more_than_a_thousand_changes_at_one_instant_arrive_in_pages() {
    let service = Service::start();
    let alice = service.session("alice");
    let count = 1_203;
    service.database.fill_inbox("alice", count);
    let (mut seen, mut position, mut calls) = (Vec::new(), json!(0), 0);
    loop {
        let changes = alice.changes(&format!("limit=200&after={position}"));
        seen.extend(peers(&changes).into_iter().map(str::to_owned));
        position = changes["position"].clone();
        calls += 1;
        if changes["more"] == false {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
    assert!((7..=9).contains(&calls), "{calls}");
    assert_eq!(position, json!(count));
}

#[test]
fn a_position_a_year_old_works_and_one_from_the_future_is_gone() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    bob.message("alice", "last year").expect(201);
    let old = alice.changes("")["position"].clone();
    service.database.execute("UPDATE messages SET time_stamp = time_stamp - INTERVAL 1 YEAR");
    bob.message("alice", "today").expect(201);
    assert_eq!(peers(&since(&alice, &old).0), ["bob"]);
    let newest = alice.changes("")["position"].as_i64().unwrap();
    alice.changes(&format!("after={newest}"));
    let beyond = service.call("get_changes").token(&alice.token).query(&format!("after={}", newest + 1));
    let answer = beyond.expect(410);
    assert_eq!((answer.code(), answer.fields()), ("UNKNOWN_POSITION", vec!["after"]));
}

#[test]
fn two_devices_of_one_user_each_learn_everything() {
    let service = Service::start();
    let (phone, bob) = (service.session("alice"), service.session("bob"));
    let laptop = service.log_in("alice");
    let mut positions = [json!(0), json!(0)];
    for n in 0..6 {
        bob.message("alice", &n.to_string()).expect(201);
        let device = [&phone, &laptop][n % 2];
        let (changes, position) = since(device, &positions[n % 2]);
        assert_eq!(changes["conversations"][0]["unread"], n + 1);
        positions[n % 2] = position;
    }
}

#[test]
fn bad_parameters_are_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    for (query, code, field) in [
        ("after=-1", "INVALID_FIELD", "after"),
        ("after=", "INVALID_FIELD", "after"),
        ("after=1.5", "INVALID_FIELD", "after"),
        ("after=9007199254740992", "INVALID_FIELD", "after"),
        ("limit=0", "INVALID_FIELD", "limit"),
        ("limit=201", "INVALID_FIELD", "limit"),
        ("after=0&after=0", "DUPLICATE_FIELD", "after"),
        ("before=1", "UNKNOWN_PARAMETER", "before"),
    ] {
        let answer = service.call("get_changes").token(&alice.token).query(query).expect(400);
        assert_eq!((answer.code(), answer.fields()), (code, vec![field]), "{query}");
    }
    bad_input::check_session(|| service.call("get_changes"));
    service.call("get_changes").token(&alice.token).query("after=9007199254740991").expect(410);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("get_changes", |service, token| service.call("get_changes").token(token));
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("get_changes", |service, token, n| {
        let query = if n % 2 == 0 { "limit=100" } else { "limit=0" };
        service.call("get_changes").token(token).query(query)
    });
}
