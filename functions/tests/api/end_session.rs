//! `EndSession`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::service::Call;
use crate::support::{Service, Session, at_once, bad_input, memory, sabotage, wait_until};

fn end<'a>(session: &Session<'a>, id: &str) -> Call<'a> {
    session.call("end_session").json(json!({"username": session.username, "id": id}))
}

/// The id of a session, as it sees itself.
fn id(session: &Session<'_>) -> String {
    let sessions = session.call("get_sessions").expect(200).body["sessions"].clone();
    let own = sessions.as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    own["id"].as_str().unwrap().to_owned()
}

#[test]
fn another_session_ends_and_its_connections_with_it() {
    let service = Service::start();
    let (one, two) = (service.session("Alice"), service.log_in("alice"));
    let (mut of_one, mut of_two) = (one.connect(), two.connect());
    let answer = end(&two, &id(&one)).expect(200);
    assert_eq!(answer.body, json!({"username": "Alice", "logged_in": true}));
    one.call("get_sessions").expect(401);
    assert_eq!(of_one.closed(Duration::from_secs(10)), Some(1000));
    two.call("get_sessions").expect(200);
    two.message("alice", "note").expect(201);
    assert!(of_two.receive(Duration::from_secs(10)).is_some());
}

#[test]
fn the_own_session_ends_too() {
    let service = Service::start();
    let alice = service.session("alice");
    let answer = end(&alice, &id(&alice)).expect(200);
    assert_eq!(answer.body, json!({"username": "alice", "logged_in": false}));
    assert_eq!(end(&alice, &"0".repeat(64)).expect(401).code(), "INVALID_TOKEN");
}

#[test]
fn an_unknown_session_an_ended_one_and_another_users_are_not_found() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let (ended, expired) = (service.log_in("alice"), service.log_in("alice"));
    let ids = [id(&ended), id(&expired), id(&bob), "0".repeat(64)];
    ended.call("logout").json(json!({"username": "alice"})).expect(200);
    let expire = "SET expires = UTC_TIMESTAMP(6) ORDER BY created DESC LIMIT 1";
    service.database.execute(&format!("UPDATE sessions {expire}"));
    for id in ids {
        let answer = end(&alice, &id).expect(404);
        assert_eq!((answer.code(), answer.fields()), ("UNKNOWN_SESSION", vec!["id"]), "{id}");
    }
    bob.call("get_sessions").expect(200);
}

#[test]
fn nobody_ends_a_session_in_somebody_elses_name() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let body = json!({"username": "bob", "id": id(&bob)});
    let answer = alice.call("end_session").json(body).expect(403);
    assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["username"]));
    bob.call("get_sessions").expect(200);
}

#[test]
fn the_session_that_is_sending_sends_nothing_after_its_end() {
    let service = Service::start().environments(8);
    let (alice, other) = (service.session("alice"), service.log_in("alice"));
    let (own, ended) = (id(&alice), AtomicBool::new(false));
    let sent = thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|n| {
                let (alice, ended) = (&alice, &ended);
                scope.spawn(move || {
                    let mut sent = 0;
                    loop {
                        let late = ended.load(Ordering::SeqCst);
                        match alice.message("alice", &n.to_string()).send().status {
                            201 => assert!(!late, "sent after its end"),
                            401 => return sent,
                            status => panic!("{status}"),
                        }
                        sent += 1;
                    }
                })
            })
            .collect();
        let stored = || service.database.number("SELECT COUNT(*) FROM messages");
        wait_until("all are sending", || stored() >= 40);
        end(&other, &own).expect(200);
        ended.store(true, Ordering::SeqCst);
        senders.into_iter().map(|sender| sender.join().unwrap()).sum::<i64>()
    });
    assert_eq!(
        service.database.number("SELECT COUNT(*) FROM messages"),
        sent,
        "what was acknowledged is stored"
    );
}

#[test]
fn of_sixteen_ends_of_one_session_at_once_one_succeeds() {
    let service = Service::start().environments(8);
    let (alice, other) = (service.session("alice"), service.log_in("alice"));
    let ended = id(&other);
    let mut statuses = at_once(16, |_| end(&alice, &ended).send().status);
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[404; 15]].concat());
}

#[test]
fn two_sessions_that_end_each_other_at_once_leave_one() {
    let service = Service::start().environments(2);
    service.session("alice");
    for _ in 0..20 {
        let pair = [service.log_in("alice"), service.log_in("alice")];
        let ids = pair.each_ref().map(id);
        let mut statuses = at_once(2, |n| end(&pair[n], &ids[1 - n]).send().status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || alice.call("end_session");
    let mut bad_values = bad_input::bad_usernames("username");
    let digits = "0123456789abcdef".repeat(4);
    let bad_ids: [(&str, Value); 5] = [
        ("empty", json!("")),
        ("too short", json!(digits[1..])),
        ("too long", json!(format!("{digits}0"))),
        ("upper case", json!(digits.to_uppercase())),
        ("no digit", json!(digits.replace('0', "g"))),
    ];
    bad_values.extend(bad_ids.map(|(reason, id)| ("id", id, reason)));
    let good = json!({"username": "alice", "id": digits});
    bad_input::check(&service, call, &good, &json!({}), &bad_values);
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("end_session").json(good.clone()));
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || service.call("end_session");
    let body = |username: &str| json!({"username": username, "id": "0".repeat(64)});
    call().raw("").expect(401);
    call().token(bad_input::UNKNOWN_TOKEN).raw("").expect(415);
    call().token(bad_input::UNKNOWN_TOKEN).json(json!({})).expect(400);
    call().token(bad_input::UNKNOWN_TOKEN).json(body("bob")).expect(401);
    alice.call("end_session").json(body("bob")).expect(403);
    alice.call("end_session").json(body("alice")).expect(404);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("end_session", |service, token| {
        service.call("end_session").token(token).json(json!({"username": "alice", "id": "0".repeat(64)}))
    });
}

#[test]
fn an_environment_runs_for_ever() {
    // An end that succeeds needs a session of its own.
    memory::runs_for_ever("end_session", |service, token, n| {
        let id = if n % 25 == 0 { id(&service.log_in("alice")) } else { "0".repeat(64) };
        service.call("end_session").token(token).json(json!({"username": "alice", "id": id}))
    });
}
