//! `GetConversations`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Service, bad_input, memory, sabotage};

fn peers(page: &Value) -> Vec<String> {
    let conversations = page["conversations"].as_array().unwrap();
    conversations.iter().map(|conversation| conversation["peer"].as_str().unwrap().into()).collect()
}

#[test]
fn an_inbox_shows_each_conversation_as_its_user_sees_it() {
    let service = Service::start();
    let (alice, bob) = (service.session("Alice"), service.session("Bob"));
    assert_eq!(alice.inbox(""), json!({"conversations": [], "next": null, "position": 0}));

    alice.message("bob", "one").expect(201);
    let two = bob.message("alice", "two 👋").expect(201).body;
    let seen = |peer: &str, unread: i64, read_id: i64, peer_read_id: i64| {
        json!({"peer": peer, "last_message": two, "unread": unread, "read_id": read_id,
               "peer_read_id": peer_read_id, "blocked": false})
    };
    assert_eq!(
        alice.inbox(""),
        json!({"conversations": [seen("Bob", 1, 0, 0)], "next": null, "position": 1})
    );
    assert_eq!(
        bob.inbox(""),
        json!({"conversations": [seen("Alice", 1, 0, 0)], "next": null, "position": 1})
    );

    alice.mark("bob", 2).expect(200);
    assert_eq!(alice.inbox("")["conversations"], json!([seen("Bob", 0, 2, 0)]));
    assert_eq!(bob.inbox("")["conversations"], json!([seen("Alice", 1, 0, 2)]));
}

#[test]
fn notes_to_oneself_are_never_unread() {
    let service = Service::start();
    let alice = service.session("alice");
    alice.message("alice", "buy milk").expect(201);
    let page = alice.inbox("");
    assert_eq!((peers(&page), &page["conversations"][0]["unread"]), (vec!["alice".to_owned()], &json!(0)));
    assert_eq!(alice.mark("alice", 1).expect(200).body, json!({"read_id": 1, "unread": 0}));
    let note = &alice.inbox("")["conversations"][0];
    assert_eq!((&note["read_id"], &note["peer_read_id"], &note["unread"]), (&json!(1), &json!(1), &json!(0)));
}

#[test]
fn the_conversation_with_the_newest_message_comes_first_and_pages_follow_one_another() {
    let service = Service::start();
    let alice = service.session("alice");
    let names: Vec<_> = (0..7).map(|n| format!("friend{n}")).collect();
    for name in &names {
        service.session(name).message("alice", "hello").expect(201);
    }
    alice.message("friend2", "hi").expect(201);
    let expected: Vec<_> = [2, 6, 5, 4, 3, 1, 0].map(|n| format!("friend{n}")).into();
    assert_eq!(peers(&alice.inbox("")), expected);
    for limit in 1..=8 {
        let (mut seen, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let page = alice.inbox(&query);
            assert!(peers(&page).len() <= limit);
            seen.extend(peers(&page));
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit={limit}&before={next}");
        }
        assert_eq!(seen, expected, "by {limit}");
    }
}

#[test]
fn conversations_whose_last_messages_are_of_one_time_are_paged_by_name() {
    let service = Service::start();
    let alice = service.session("alice");
    for name in ["bob", "carol", "dave"] {
        service.session(name).message("alice", "hello").expect(201);
    }
    service.database.execute("UPDATE memberships SET last_time = '2026-01-01 00:00:00.5'");
    let (mut seen, mut query) = (Vec::new(), "limit=1".to_owned());
    loop {
        let page = alice.inbox(&query);
        seen.extend(peers(&page));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=1&before={next}");
    }
    assert_eq!(seen, ["dave", "carol", "bob"]);
}

#[test]
fn a_page_of_long_messages_ends_early_and_says_so() {
    let service = Service::start();
    let alice = service.session("alice");
    let text = "\0".repeat(16_384);
    for n in 0..40 {
        service.session(&format!("friend{n}")).message("alice", &text).expect(201);
    }
    let first = alice.inbox("limit=200");
    assert_eq!(peers(&first).len(), 32, "512 KiB");
    let second = alice.inbox(&format!("limit=200&before={}", first["next"].as_str().unwrap()));
    assert_eq!((peers(&second).len(), &second["next"]), (8, &Value::Null));
}

#[test]
fn paging_an_inbox_of_200_while_all_receive_shows_each_exactly_once_by_pages_and_changes_together() {
    let service = Service::start();
    let alice = service.session("alice");
    let names: Vec<_> = (0..200).map(|n| format!("friend{n:03}")).collect();
    let values: Vec<_> = names.iter().map(|name| format!("('{name}', 'none')")).collect();
    service.database.execute(&format!("INSERT INTO users (username, password) VALUES {}", values.join(",")));
    for name in &names {
        alice.message(name, "hello").expect(201);
    }
    let first = alice.inbox("limit=20");
    let (mut paged, mut next) = (peers(&first), first["next"].clone());
    let mut moved = 0;
    while let Some(before) = next.as_str() {
        // Conversations that were not shown yet move to the front.
        for name in names.iter().skip(moved).step_by(50) {
            alice.message(name, "again").expect(201);
        }
        moved += 1;
        let page = alice.inbox(&format!("limit=20&before={before}"));
        paged.extend(peers(&page));
        next = page["next"].clone();
    }
    let all: BTreeSet<_> = paged.iter().cloned().collect();
    assert_eq!(all.len(), paged.len(), "no page shows what another has shown");
    let changed = peers(&alice.changes(&format!("after={}&limit=200", first["position"])));
    let all: BTreeSet<_> = all.into_iter().chain(changed).collect();
    assert_eq!(all, names.into_iter().collect());
}

#[test]
fn nobody_sees_the_conversations_of_others() {
    let service = Service::start();
    let (alice, bob, carol) = (service.session("alice"), service.session("bob"), service.session("carol"));
    alice.message("bob", "secret").expect(201);
    assert_eq!(peers(&bob.inbox("")), ["alice"]);
    assert_eq!(carol.inbox("")["conversations"], json!([]));
    assert_eq!(carol.changes("")["conversations"], json!([]));
    bad_input::check_session(|| service.call("get_conversations"));
}

#[test]
fn the_conversation_with_a_deleted_user_stays() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    bob.message("alice", "bye").expect(201);
    service.database.delete_user("bob");
    assert_eq!(alice.inbox("")["conversations"][0]["unread"], 1);
}

#[test]
fn bad_parameters_are_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    for (query, code, field) in [
        ("limit=0", "INVALID_FIELD", "limit"),
        ("limit=201", "INVALID_FIELD", "limit"),
        ("before=", "INVALID_FIELD", "before"),
        ("before=alice", "INVALID_FIELD", "before"),
        ("before=1", "INVALID_FIELD", "before"),
        ("before=-alice", "INVALID_FIELD", "before"),
        ("before=1-a", "INVALID_FIELD", "before"),
        ("before=100000000000000000-alice", "INVALID_FIELD", "before"),
        ("before=1-alice&before=1-alice", "DUPLICATE_FIELD", "before"),
        ("after=1", "UNKNOWN_PARAMETER", "after"),
    ] {
        let answer = service.call("get_conversations").token(&alice.token).query(query).expect(400);
        assert_eq!((answer.code(), answer.fields()), (code, vec![field]), "{query}");
    }
    for query in ["before=0-alice", "before=99999999999999999-a.b_c-d%40e%2Bf"] {
        alice.inbox(query);
    }
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("get_conversations", |service, token| {
        service.call("get_conversations").token(token)
    });
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("get_conversations", |service, token, n| {
        let query = if n % 2 == 0 { "limit=100" } else { "limit=0" };
        service.call("get_conversations").token(token).query(query)
    });
}
