//! `POST /messages`

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::service::Call;
use crate::support::{Answer, Service, Session, at_once, bad_input, memory, sabotage};

fn id(answer: &Answer) -> i64 {
    answer.body["id"].as_i64().unwrap()
}

#[test]
fn a_message_is_stored_and_answered() {
    let service = Service::start();
    let (alice, _) = (service.session("Alice"), service.session("Bob"));
    let body = json!({"sender": "aLICE", "receiver": "bOB", "message": "hello"});
    let answer = service.call("send_message").token(&alice.token).json(body).expect(201);

    let time_stamp = answer.body["time_stamp"].as_str().unwrap().to_owned();
    assert_eq!(
        answer.body,
        json!({"id": 1, "sender": "Alice", "receiver": "Bob", "message": "hello", "time_stamp": time_stamp}),
        "names as created"
    );
    assert_eq!(answer.header("idempotent-replayed"), None);
    assert_eq!(time_stamp.len(), 27);
    let seconds = service.database.number(&format!(
        "SELECT ABS(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), STR_TO_DATE('{time_stamp}', '%Y-%m-%dT%H:%i:%s.%fZ')))"
    ));
    assert!(seconds < 60, "in UTC");
    assert_eq!(alice.page("bob", json!({})).expect(200).body["messages"], json!([answer.body]));
}

#[test]
fn ids_count_from_1_in_each_conversation_and_in_both_directions() {
    let service = Service::start();
    let (alice, bob, carol) = (service.session("alice"), service.session("bob"), service.session("carol"));
    assert_eq!(id(&alice.message("bob", "1").expect(201)), 1);
    assert_eq!(id(&bob.message("alice", "2").expect(201)), 2);
    assert_eq!(id(&alice.message("carol", "other").expect(201)), 1);
    assert_eq!(id(&carol.message("bob", "other").expect(201)), 1);
    assert_eq!(id(&alice.message("BOB", "3").expect(201)), 3);
}

#[test]
fn one_may_write_to_oneself() {
    let service = Service::start();
    let alice = service.session("alice");
    let sent = alice.message("Alice", "note").expect(201);
    assert_eq!((id(&sent), &sent.body["receiver"]), (1, &json!("alice")));
    assert_eq!(alice.ids("alice", json!({})), (vec![1], false));
}

#[test]
fn an_unknown_receiver_is_not_found() {
    let service = Service::start();
    let alice = service.session("alice");
    let answer = alice.message("nobody", "hello?").expect(404);
    assert_eq!((answer.code(), answer.fields()), ("UNKNOWN_RECEIVER", vec!["receiver"]));
    assert_eq!(service.database.number("SELECT COUNT(*) FROM conversations"), 0, "nothing is written");
}

#[test]
fn nobody_writes_as_somebody_else() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    for (sender, receiver) in [("bob", "alice"), ("bob", "bob"), ("nobody", "alice"), ("bob", "nobody")] {
        let body = json!({"sender": sender, "receiver": receiver, "message": "forged"});
        let answer = service.call("send_message").token(&alice.token).json(body).expect(403);
        assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["sender"]));
    }
    assert_eq!(service.database.number("SELECT COUNT(*) FROM messages"), 0);
}

#[test]
fn every_kind_of_text_comes_back_byte_for_byte() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let texts = [
        "\0",
        "a\0b\0",
        " leading and trailing ",
        "\r\n\t\u{8}\u{b}\u{1b}[31m",
        "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
        "שלום \u{202e}עולם مرحبا",
        "𝄞𠜎🂡",
        "é e\u{301} ﬁ Å \u{212b}",
        "\u{feff}byte order mark",
        "\u{fffd}\u{ffff}\u{10ffff}\u{e000}",
        "'; DROP TABLE messages; -- \" ` \\ \\' %s %_ ${HOME} {{x}} $(id) <b>&amp;</b>",
        "NULL",
        "{\"json\": [1, 2]}",
        "\\u0000 \\n",
        &"x".repeat(16_384),
        &"🎉".repeat(4_096),
        &"\0".repeat(16_384),
        &"\"\\".repeat(8_192),
    ];
    for text in texts {
        assert_eq!(alice.message("bob", text).expect(201).body["message"], text);
    }
    let page = bob.page("alice", json!({})).expect(200).body;
    let read: Vec<_> =
        page["messages"].as_array().unwrap().iter().map(|message| message["message"].clone()).collect();
    assert_eq!(read, texts);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM messages WHERE HEX(message) = '61006200'"), 1);
}

#[test]
fn a_repeated_send_is_stored_once_and_gets_the_first_answer() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("Bob"));
    let send = || alice.message("bob", "once").header("Idempotency-Key", "key-1");
    let first = send().expect(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    alice.message("bob", "in between").expect(201);
    for _ in 0..3 {
        let again = send().expect(201);
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    let body = json!({"sender": "ALICE", "receiver": "BOB", "message": "once"});
    let again = service.call("send_message").token(&service.log_in("alice").token).json(body);
    assert_eq!(
        again.header("idempotency-key", "key-1").expect(201).body,
        first.body,
        "another session, other case"
    );
    assert_eq!(alice.ids("bob", json!({})).0, [1, 2]);
}

#[test]
fn a_repeated_send_gets_the_first_answer_even_if_the_receiver_has_been_deleted() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("Bob"));
    let send = |text: &str| alice.message("bob", text).header("Idempotency-Key", "key-1");
    let first = send("once").expect(201);
    service.database.delete_user("bob");
    let again = send("once").expect(201);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(send("twice").expect(404).code(), "UNKNOWN_RECEIVER");
    assert_eq!(alice.message("bob", "once").expect(404).code(), "UNKNOWN_RECEIVER");
    assert_eq!(alice.ids("bob", json!({})).0, [1]);
}

#[test]
fn a_key_stands_for_one_message() {
    let service = Service::start();
    let (alice, bob, _) = (service.session("alice"), service.session("bob"), service.session("carol"));
    let with_key = |call: Call<'_>| call.header("Idempotency-Key", "key").send();
    assert_eq!(with_key(alice.message("bob", "once")).status, 201);
    for (receiver, message, reason) in [
        ("carol", "once", "another receiver"),
        ("alice", "once", "oneself"),
        ("bob", "ONCE", "letter case"),
        ("bob", "once ", "trailing space"),
        ("bob", "oncé", "accent"),
        ("bob", "once\0", "NUL"),
    ] {
        let answer = with_key(alice.message(receiver, message));
        assert_eq!((answer.status, answer.code()), (422, "IDEMPOTENCY_KEY_REUSED"), "{reason}");
        assert_eq!(answer.fields(), ["Idempotency-Key"]);
    }
    assert_eq!(with_key(bob.message("alice", "mine")).status, 201, "a key belongs to its sender");
    assert_eq!(alice.ids("bob", json!({})).0, [1, 2]);
    assert_eq!(alice.ids("carol", json!({})).0, [0; 0]);
    assert_eq!(id(&alice.message("carol", "first").expect(201)), 1, "a refused send leaves no gap");
}

#[test]
fn composed_and_decomposed_letters_are_different_messages() {
    let service = Service::start();
    let alice = service.session("alice");
    alice.message("alice", "caf\u{e9}").header("Idempotency-Key", "k").expect(201);
    alice.message("alice", "cafe\u{301}").header("Idempotency-Key", "k").expect(422);
}

#[test]
fn only_a_stored_message_uses_up_its_key() {
    let service = Service::start();
    let alice = service.session("alice");
    let send = || alice.message("late", "hello").header("Idempotency-Key", "key");
    send().expect(404);
    service.session("late");
    assert_eq!(send().expect(201).header("idempotent-replayed"), None);
}

#[test]
fn keys_differ_in_every_character() {
    let service = Service::start();
    let alice = service.session("alice");
    let keys = ["a", "A", "a,b", "!~", &"k".repeat(255), &format!("{}K", "k".repeat(254))];
    for (position, key) in keys.iter().enumerate() {
        let sent = alice.message("alice", "x").header("Idempotency-Key", key).expect(201);
        assert_eq!(id(&sent), i64::try_from(position).unwrap() + 1, "{key}");
    }
    for key in ["", " ", "a b", "é", "a\tb", "a\nb", "a\u{7f}", &"k".repeat(256)] {
        let answer = alice.message("alice", "x").header("Idempotency-Key", key).expect(400);
        assert_eq!((answer.code(), answer.fields()), ("INVALID_FIELD", vec!["Idempotency-Key"]), "{key:?}");
    }
}

#[test]
fn without_a_key_every_send_is_a_message() {
    let service = Service::start();
    let alice = service.session("alice");
    assert_eq!(id(&alice.message("alice", "same").expect(201)), 1);
    assert_eq!(id(&alice.message("alice", "same").expect(201)), 2);
}

#[test]
fn sixteen_sends_with_one_key_at_once_are_one_message() {
    let service = Service::start().environments(8);
    let (alice, _) = (service.session("alice"), service.session("bob"));
    for round in 1..=5 {
        let key = format!("key-{round}");
        let answers = at_once(16, |_| alice.message("bob", "once").header("Idempotency-Key", &key).send());
        assert!(
            answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body),
            "{answers:?}"
        );
        let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none());
        assert!(first.count() <= 1, "at the most one was the first");
        assert_eq!(id(&answers[0]), round);
    }
    assert_eq!(alice.ids("bob", json!({})).0, [1, 2, 3, 4, 5]);
}

#[test]
fn twelve_first_messages_of_a_conversation_at_once_all_arrive() {
    let service = Service::start().environments(8);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let answers = at_once(12, |n| {
        let (from, to) = if n % 2 == 0 { (&alice, "bob") } else { (&bob, "alice") };
        from.message(to, &n.to_string()).send()
    });
    let mut ids: Vec<_> = answers.iter().map(|answer| (answer.status, id(answer))).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=12).map(|id| (201, id)).collect::<Vec<_>>());
}

#[test]
fn two_hundred_sends_at_once_are_read_in_one_order_without_gaps() {
    let service = Service::start().environments(8);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let (next, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let follow = |session: &Session<'_>, other: &str| {
        let mut seen: Vec<Value> = Vec::new();
        loop {
            let ended = done.load(Ordering::SeqCst);
            let page = session.page(other, json!({"after": seen.len(), "limit": 7})).expect(200).body;
            seen.extend(page["messages"].as_array().unwrap().clone());
            if ended && page["more"] == false {
                return seen;
            }
        }
    };
    let (mut sent, for_alice, for_bob) = thread::scope(|scope| {
        let readers = [scope.spawn(|| follow(&alice, "bob")), scope.spawn(|| follow(&bob, "alice"))];
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut sent = Vec::new();
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n >= 200 {
                            return sent;
                        }
                        let (from, to) = if n % 2 == 0 { (&alice, "bob") } else { (&bob, "alice") };
                        sent.push(from.message(to, &n.to_string()).expect(201).body);
                    }
                })
            })
            .collect();
        let sent: Vec<Value> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        done.store(true, Ordering::SeqCst);
        let [for_alice, for_bob] = readers.map(|reader| reader.join().unwrap());
        (sent, for_alice, for_bob)
    });
    sent.sort_by_key(|message| message["id"].as_i64());
    let ids: Vec<_> = for_alice.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    assert_eq!(for_alice, sent);
    assert_eq!(for_bob, sent);
    assert!(sent.is_sorted_by_key(|message| message["time_stamp"].as_str().unwrap().to_owned()));
    let texts: HashSet<_> = sent.iter().map(|message| message["message"].as_str().unwrap()).collect();
    assert_eq!(texts.len(), 200);
}

#[test]
fn time_stamps_do_not_run_backwards_with_the_clock() {
    let service = Service::start();
    let alice = service.session("alice");
    alice.message("alice", "1").expect(201);
    service.database.execute("UPDATE conversations SET last_time = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR");
    let ahead = alice.message("alice", "2").expect(201).body["time_stamp"].clone();
    assert_eq!(alice.message("alice", "3").expect(201).body["time_stamp"], ahead);
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || service.call("send_message").token(&alice.token);
    let mut bad_values = bad_input::bad_usernames("sender");
    bad_values.extend(bad_input::bad_usernames("receiver"));
    bad_values.extend([
        ("message", json!(""), "empty"),
        ("message", json!("x".repeat(16_385)), "too long"),
        ("message", json!("🎉".repeat(4_097)), "too long in bytes"),
    ]);
    let good = json!({"sender": "alice", "receiver": "alice2", "message": "hello"});
    bad_input::check(&service, call, &good, &json!({}), &bad_values);
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("send_message").json(good.clone()));
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    let call = || service.call("send_message");
    call().raw("").expect(401);
    call().token(bad_input::UNKNOWN_TOKEN).raw("x".repeat(200_000)).expect(415);
    call()
        .token(bad_input::UNKNOWN_TOKEN)
        .header("Content-Type", "application/json")
        .raw("x".repeat(200_000))
        .expect(413);
    let unknown = json!({"sender": "bob", "receiver": "nobody", "message": "x"});
    call().token(bad_input::UNKNOWN_TOKEN).json(unknown.clone()).header("Idempotency-Key", "").expect(400);
    call().token(bad_input::UNKNOWN_TOKEN).json(unknown.clone()).query("a=b").expect(400);
    call().token(bad_input::UNKNOWN_TOKEN).json(unknown.clone()).expect(401);
    call().token(&alice.token).json(unknown).expect(403);
    alice.message("bob", "x").header("Idempotency-Key", "key").expect(201);
    alice.message("nobody", "x").header("Idempotency-Key", "key").expect(404);
    alice.message("bob", "y").header("Idempotency-Key", "key").expect(422);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("send_message", |service, token| {
        let body = json!({"sender": "alice", "receiver": "alice", "message": "x"});
        service.call("send_message").token(token).json(body)
    });
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("send_message", |service, token, n| {
        let receiver = if n % 2 == 0 { "alice" } else { "nobody" };
        let body = json!({"sender": "alice", "receiver": receiver, "message": "x".repeat(1 + n * 31)});
        service.call("send_message").token(token).json(body)
    });
}
