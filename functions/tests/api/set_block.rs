//! `SetBlock`, and what it does to sending.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::support::service::Call;
use crate::support::{Answer, Service, Session, at_once, bad_input, memory, sabotage, wait_until};

fn set_block<'a>(session: &Session<'a>, peer: &str, blocked: bool) -> Call<'a> {
    session.call("set_block").json(json!({"username": session.username, "peer": peer, "blocked": blocked}))
}

fn assert_blocked(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (403, "BLOCKED"), "{}", answer.body);
    assert_eq!(answer.fields(), ["receiver"]);
}

fn stored(service: &Service) -> i64 {
    service.database.number("SELECT COUNT(*) FROM messages")
}

#[test]
fn while_it_lasts_neither_writes_to_the_other() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("Bob"));
    bob.message("alice", "1").expect(201);
    let answer = set_block(&alice, "BOB", true).expect(200);
    assert_eq!(answer.body, json!({"peer": "Bob", "blocked": true}));
    assert_blocked(&bob.message("alice", "2").send());
    assert_blocked(&alice.message("bob", "3").send());
    alice.message("alice", "a note").expect(201);
    assert_eq!(bob.ids("alice", json!({})).0, [1], "history stays readable");
    alice.mark("bob", 1).expect(200);

    let answer = set_block(&alice, "bob", false).expect(200);
    assert_eq!(answer.body, json!({"peer": "Bob", "blocked": false}));
    assert_eq!(bob.message("alice", "2").expect(201).body["id"], 2, "nothing was stored in between");
}

#[test]
fn a_refused_send_does_not_use_up_its_key() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    set_block(&alice, "bob", true).expect(200);
    let send = || bob.message("alice", "hello").header("Idempotency-Key", "key");
    assert_blocked(&send().send());
    assert_blocked(&send().send());
    set_block(&alice, "bob", false).expect(200);
    assert_eq!(send().expect(201).header("idempotent-replayed"), None);
}

#[test]
fn a_repeated_send_gets_its_first_answer() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let send = |text: &str| bob.message("alice", text).header("Idempotency-Key", "key");
    let first = send("once").expect(201);
    set_block(&alice, "bob", true).expect(200);
    let again = send("once").expect(201);
    assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
    assert_blocked(&send("twice").send());
}

#[test]
fn the_inbox_of_the_one_who_blocks_says_so_and_no_other() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    bob.message("alice", "1").expect(201);
    let position = |session: &Session<'_>| session.inbox("")["position"].as_i64().unwrap();
    let before = [&alice, &bob].map(position);
    set_block(&alice, "bob", true).expect(200);
    let changes = [&alice, &bob].map(|session| {
        let changes = session.changes(&format!("after={}", before[usize::from(session.username == "bob")]));
        changes["conversations"].as_array().unwrap().clone()
    });
    assert_eq!((changes[0].len(), &changes[0][0]["blocked"]), (1, &json!(true)));
    assert!(changes[1].is_empty(), "{changes:?}");
    assert_eq!(alice.inbox("")["conversations"][0]["blocked"], true);
    assert_eq!(bob.inbox("")["conversations"][0]["blocked"], false);

    let after = position(&alice);
    set_block(&alice, "bob", true).expect(200);
    assert_eq!(position(&alice), after, "what is so already is no change");
    set_block(&alice, "bob", false).expect(200);
    assert_eq!(alice.changes(&format!("after={after}"))["conversations"][0]["blocked"], false);
}

#[test]
fn somebody_can_be_blocked_before_anybody_has_written() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    set_block(&alice, "bob", true).expect(200);
    assert_blocked(&bob.message("alice", "1").send());
    for session in [&alice, &bob] {
        assert_eq!(session.changes("")["conversations"], json!([]), "a conversation without a message");
        assert_eq!(session.inbox("")["conversations"], json!([]));
    }
    set_block(&alice, "bob", false).expect(200);
    bob.message("alice", "1").expect(201);
    set_block(&alice, "bob", true).expect(200);
    let conversation = &alice.changes("")["conversations"][0];
    assert_eq!((&conversation["blocked"], &conversation["unread"]), (&json!(true), &json!(1)));
}

#[test]
fn nothing_is_kept_of_an_end_of_what_never_began() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    set_block(&alice, "bob", false).expect(200);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM conversations"), 0);
}

#[test]
fn if_both_block_both_have_to_end_it() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    set_block(&alice, "bob", true).expect(200);
    set_block(&bob, "alice", true).expect(200);
    set_block(&alice, "bob", false).expect(200);
    assert_blocked(&alice.message("bob", "1").send());
    set_block(&bob, "alice", false).expect(200);
    alice.message("bob", "1").expect(201);
}

#[test]
fn nobody_blocks_nobody_or_in_somebody_elses_name() {
    let service = Service::start();
    let (alice, _, _) = (service.session("alice"), service.session("bob"), service.session("deleted"));
    service.database.delete_user("deleted");
    for peer in ["nobody", "deleted"] {
        let answer = set_block(&alice, peer, true).expect(404);
        assert_eq!((answer.code(), answer.fields()), ("UNKNOWN_USER", vec!["peer"]), "{peer}");
    }
    let body = json!({"username": "bob", "peer": "alice", "blocked": true});
    let answer = alice.call("set_block").json(body).expect(403);
    assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["username"]));
    alice.message("bob", "hello").expect(201);
}

#[test]
fn a_send_under_way_is_stored_before_the_answer_or_not_at_all() {
    let service = Service::start().environments(8);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for round in 0..5 {
        let (before, acknowledged) = (stored(&service), AtomicBool::new(false));
        let (sent, at_answer) = thread::scope(|scope| {
            let senders: Vec<_> = (0..8)
                .map(|n| {
                    let (from, to) = if n % 2 == 0 { (&alice, "bob") } else { (&bob, "alice") };
                    let acknowledged = &acknowledged;
                    scope.spawn(move || {
                        let mut sent = 0;
                        loop {
                            let late = acknowledged.load(Ordering::SeqCst);
                            let answer = from.message(to, &format!("{round} {n}")).send();
                            if answer.status != 201 {
                                assert_blocked(&answer);
                                return sent;
                            }
                            assert!(!late, "stored after the block");
                            sent += 1;
                        }
                    })
                })
                .collect();
            wait_until("all are sending", || stored(&service) >= before + 20);
            set_block(&alice, "bob", true).expect(200);
            let at_answer = stored(&service);
            acknowledged.store(true, Ordering::SeqCst);
            let sent = senders.into_iter().map(|sender| sender.join().unwrap()).sum::<i64>();
            (sent, at_answer)
        });
        assert_eq!((stored(&service), before + sent), (at_answer, at_answer));
        set_block(&alice, "bob", false).expect(200);
    }
}

#[test]
fn sends_and_blocks_at_once_leave_ids_without_gaps_and_exact_counts() {
    let service = Service::start().environments(12);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let sent = at_once(12, |n| {
        let mut sent = 0;
        for round in 0..20 {
            match n {
                0..4 => drop(set_block(&alice, "bob", round % 2 == 0).expect(200)),
                4..6 => drop(set_block(&bob, "alice", round % 2 == 0).expect(200)),
                _ => match bob.message("alice", &format!("{n} {round}")).send() {
                    answer if answer.status == 201 => sent += 1,
                    answer => assert_blocked(&answer),
                },
            }
        }
        sent
    });
    let sent: i64 = sent.into_iter().sum();
    set_block(&alice, "bob", false).expect(200);
    set_block(&bob, "alice", false).expect(200);
    bob.message("alice", "the last").expect(201);
    let conversation = &alice.inbox("")["conversations"][0];
    assert_eq!(conversation["last_message"]["id"], sent + 1);
    assert_eq!((&conversation["unread"], stored(&service)), (&json!(sent + 1), sent + 1));
    println!("{sent} of 120 were stored");
}

#[test]
fn a_block_and_the_first_message_at_once_meet_in_one_conversation() {
    let service = Service::start().environments(8);
    let alice = service.session("alice");
    for n in 0..10 {
        let name = format!("bob{n}");
        let bob = service.session(&name);
        let statuses = at_once(8, |n| match n {
            0..4 => bob.message("alice", "hello").send().status,
            _ => set_block(&alice, &name, true).expect(200).status,
        });
        assert!(statuses.iter().all(|status| [200, 201, 403].contains(status)), "{statuses:?}");
        assert_blocked(&bob.message("alice", "hello").send());
    }
    assert_eq!(service.database.number("SELECT COUNT(*) FROM conversations"), 10);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM memberships"), 20);
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    let call = || alice.call("set_block");
    let mut bad_values = bad_input::bad_usernames("username");
    bad_values.extend(bad_input::bad_usernames("peer"));
    bad_values.extend([("peer", json!("alice"), "oneself"), ("peer", json!("ALICE"), "oneself")]);
    let good = json!({"username": "alice", "peer": "bob", "blocked": true});
    bad_input::check(&service, call, &good, &json!({}), &bad_values);
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("set_block").json(good.clone()));
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || service.call("set_block");
    let body = |username: &str, peer: &str| json!({"username": username, "peer": peer, "blocked": true});
    call().raw("").expect(401);
    call().token(bad_input::UNKNOWN_TOKEN).raw("").expect(415);
    call().token(bad_input::UNKNOWN_TOKEN).json(body("bob", "bob")).expect(400);
    call().token(bad_input::UNKNOWN_TOKEN).json(body("bob", "nobody")).expect(401);
    alice.call("set_block").json(body("bob", "nobody")).expect(403);
    alice.call("set_block").json(body("alice", "nobody")).expect(404);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("set_block", |service, token| {
        let body = json!({"username": "alice", "peer": "bob", "blocked": true});
        service.call("set_block").token(token).json(body)
    });
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("set_block", |service, token, n| {
        let peer = if n % 3 == 0 { "nobody" } else { "bob" };
        let body = json!({"username": "alice", "peer": peer, "blocked": n % 2 == 0});
        service.call("set_block").token(token).json(body)
    });
}
