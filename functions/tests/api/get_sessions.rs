//! `GetSessions`, and the `device` of Login.

use serde_json::{Value, json};

use crate::support::service::PASSWORD;
use crate::support::{Service, Session, bad_input, memory, sabotage};

/// The caller's sessions.
fn sessions(session: &Session<'_>) -> Vec<Value> {
    session.call("get_sessions").expect(200).body["sessions"].as_array().unwrap().clone()
}

#[test]
fn the_live_sessions_are_listed_newest_first_with_their_devices() {
    let service = Service::start();
    let (first, bob) = (service.session("alice"), service.session("bob"));
    let devices = ["📱 Alice’s phone", &"ü".repeat(64), " "];
    let logins = devices.map(|device| {
        let body = json!({"username": "ALICE", "password": PASSWORD, "device": device});
        service.call("login").json(body).expect(200).body
    });
    let listed = sessions(&first);
    let shown: Vec<_> = listed.iter().map(|session| session["device"].clone()).collect();
    assert_eq!(shown, [json!(devices[2]), json!(devices[1]), json!(devices[0]), json!(null)]);
    for (session, login) in listed.iter().rev().skip(1).zip(logins) {
        assert_eq!((&session["expires_at"], &session["current"]), (&login["expires_at"], &json!(false)));
    }
    assert_eq!(listed[3]["current"], true);
    let created = |n: usize| listed[n]["created_at"].as_str().unwrap();
    assert!((0..3).all(|n| created(n) > created(n + 1)), "{listed:?}");
    assert_eq!(sessions(&bob).len(), 1, "nobody sees another's");
}

#[test]
fn what_has_ended_or_expired_is_not_listed() {
    let service = Service::start();
    let (one, two, three) = (service.session("alice"), service.log_in("alice"), service.log_in("alice"));
    assert_eq!(sessions(&one).len(), 3);
    two.call("logout").json(json!({"username": "alice"})).expect(200);
    assert_eq!(sessions(&one).len(), 2);
    let expire = "SET expires = UTC_TIMESTAMP(6) ORDER BY created LIMIT 1";
    service.database.execute(&format!("UPDATE sessions {expire}"));
    one.call("get_sessions").expect(401);
    assert_eq!(sessions(&three).len(), 1);
}

#[test]
fn an_id_is_no_token() {
    let service = Service::start();
    let alice = service.session("alice");
    let id = sessions(&alice)[0]["id"].as_str().unwrap().to_owned();
    service.call("get_sessions").token(&id).expect(401);
    service.call("get_sessions").token(&id[..43]).expect(401);
    assert!(!id.contains(&alice.token));
}

#[test]
fn of_more_than_a_thousand_the_newest_are_listed() {
    let service = Service::start();
    let alice = service.session("alice");
    let row = |n| format!("(UNHEX('{n:064x}'), 'alice', '2026-01-01', '9999-01-01', REPEAT('🎉', 64))");
    let rows: Vec<_> = (0..1_200).map(row).collect();
    service.database.execute(&format!("INSERT INTO sessions VALUES {}", rows.join(",")));
    let listed = sessions(&alice);
    assert_eq!((listed.len(), &listed[0]["current"]), (1_000, &json!(true)));
}

#[test]
fn bad_parameters_are_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    for query in ["limit=5", "limit", "=", "username=alice"] {
        let answer = alice.call("get_sessions").query(query).expect(400);
        assert_eq!(answer.code(), "UNKNOWN_PARAMETER", "{query}");
    }
    alice.call("get_sessions").raw("not JSON").expect(200);
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    bad_input::check_session(|| service.call("get_sessions"));
    service.call("get_sessions").query("limit=1").expect(401);
    service.call("get_sessions").token(bad_input::UNKNOWN_TOKEN).query("limit=1").expect(400);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("get_sessions", |service, token| service.call("get_sessions").token(token));
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("get_sessions", |service, token, n| {
        service.call("get_sessions").token(token).query(if n % 2 == 0 { "" } else { "limit=1" })
    });
}
