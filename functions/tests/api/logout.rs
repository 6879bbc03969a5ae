//! `POST /logout`

use serde_json::{Value, json};

use crate::support::service::Call;
use crate::support::{Service, Session, at_once, bad_input, memory, sabotage};

fn logout<'a>(session: &Session<'a>, body: Value) -> Call<'a> {
    session.service.call("logout").token(&session.token).json(body)
}

fn logged_in(session: &Session<'_>, username: &str) -> bool {
    let users = session.service.call("get_users").token(&session.token).expect(200).body;
    let user =
        users["users"].as_array().unwrap().iter().find(|user| user["username"] == username).unwrap().clone();
    user["logged_in"].as_bool().unwrap()
}

#[test]
fn a_logout_ends_the_session() {
    let service = Service::start();
    let (alice, bob) = (service.session("Alice"), service.session("bob"));
    assert!(logged_in(&bob, "Alice"));
    let answer = logout(&alice, json!({"username": "ALICE"})).expect(200);
    assert_eq!(answer.body, json!({"username": "Alice", "logged_in": false}));
    service.call("get_users").token(&alice.token).expect(401);
    assert!(!logged_in(&bob, "Alice"));
}

#[test]
fn other_sessions_of_the_user_go_on() {
    let service = Service::start();
    let (one, two) = (service.session("alice"), service.log_in("alice"));
    let answer = logout(&one, json!({"username": "alice"})).expect(200);
    assert_eq!(answer.body, json!({"username": "alice", "logged_in": true}));
    assert!(logged_in(&two, "alice"));
    let answer = logout(&two, json!({"username": "alice", "everywhere": false})).expect(200);
    assert_eq!(answer.body["logged_in"], false);
}

#[test]
fn everywhere_ends_all_sessions_of_the_user_and_of_nobody_else() {
    let service = Service::start();
    let (one, two, bob) = (service.session("alice"), service.log_in("alice"), service.session("bob"));
    let answer = logout(&one, json!({"username": "alice", "everywhere": true})).expect(200);
    assert_eq!(answer.body, json!({"username": "alice", "logged_in": false}));
    service.call("get_users").token(&one.token).expect(401);
    service.call("get_users").token(&two.token).expect(401);
    service.call("get_users").token(&bob.token).expect(200);
}

#[test]
fn an_expired_session_is_no_login() {
    let service = Service::start();
    let (one, two) = (service.session("alice"), service.log_in("alice"));
    let expire = "SET expires = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND";
    service.database.execute(&format!("UPDATE sessions {expire} ORDER BY created DESC LIMIT 1"));
    let answer = logout(&one, json!({"username": "alice"})).expect(200);
    assert_eq!(answer.body["logged_in"], false, "the other session has run out");
    logout(&two, json!({"username": "alice"})).expect(401);
}

#[test]
fn nobody_logs_out_somebody_else() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for body in [
        json!({"username": "bob"}),
        json!({"username": "bob", "everywhere": true}),
        json!({"username": "nobody"}),
    ] {
        let answer = logout(&alice, body).expect(403);
        assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["username"]));
    }
    assert!(logged_in(&alice, "bob"));
    assert!(logged_in(&bob, "alice"));
}

#[test]
fn a_repeated_logout_is_unauthorized() {
    let service = Service::start();
    let alice = service.session("alice");
    logout(&alice, json!({"username": "alice"})).expect(200);
    assert_eq!(logout(&alice, json!({"username": "alice"})).expect(401).code(), "INVALID_TOKEN");
}

#[test]
fn of_eight_logouts_at_once_one_succeeds() {
    let service = Service::start().environments(4);
    let alice = service.session("alice");
    let mut statuses = at_once(8, |_| logout(&alice, json!({"username": "alice"})).send().status);
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[401; 7]].concat());
}

#[test]
fn logins_and_logouts_at_once_never_lie() {
    let service = Service::start().environments(4);
    service.session("alice");
    let bob = service.session("bob");
    at_once(12, |round| {
        let session = service.log_in("alice");
        logout(&session, json!({"username": "alice", "everywhere": round % 3 == 0})).send();
    });
    let live = service.database.number("SELECT COUNT(*) FROM sessions WHERE username = 'alice'");
    assert_eq!(logged_in(&bob, "alice"), live > 0);
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || service.call("logout").token(&alice.token);
    let good = json!({"username": "alice"});
    bad_input::check(
        &service,
        call,
        &good,
        &json!({"everywhere": true}),
        &bad_input::bad_usernames("username"),
    );
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("logout").json(good.clone()));
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    service.session("alice");
    service.call("logout").raw("").expect(401);
    service.call("logout").token(bad_input::UNKNOWN_TOKEN).raw("").expect(415);
    service.call("logout").token(bad_input::UNKNOWN_TOKEN).json(json!({})).expect(400);
    service.call("logout").token(bad_input::UNKNOWN_TOKEN).json(json!({"username": "bob"})).expect(401);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("logout", |service, token| {
        service.call("logout").token(token).json(json!({"username": "alice"}))
    });
}

#[test]
fn an_environment_runs_for_ever() {
    // A logout that succeeds needs a session of its own.
    memory::runs_for_ever("logout", |service, token, n| {
        let token = if n % 25 == 0 { service.log_in("alice").token } else { token.to_owned() };
        let username = if n % 25 == 0 { "alice" } else { "bob" };
        service.call("logout").token(&token).json(json!({"username": username}))
    });
}
