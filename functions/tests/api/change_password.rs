//! `ChangePassword`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::service::{Call, PASSWORD};
use crate::support::{Service, Session, at_once, bad_input, memory, sabotage};

const NEW: &str = "battery staple correct";

fn change<'a>(session: &Session<'a>, password: &str, new_password: &str) -> Call<'a> {
    let body = json!({"username": session.username, "password": password, "new_password": new_password});
    session.call("change_password").json(body)
}

fn login<'a>(service: &'a Service, password: &str) -> Call<'a> {
    service.call("login").json(json!({"username": "alice", "password": password}))
}

fn live_sessions(service: &Service) -> i64 {
    service.database.number("SELECT COUNT(*) FROM live_sessions WHERE username = 'alice'")
}

#[test]
fn from_the_answer_on_the_new_password_is_the_only_one() {
    let service = Service::start();
    let alice = service.session("Alice");
    assert_eq!(change(&alice, PASSWORD, NEW).expect(200).body, json!({"username": "Alice"}));
    assert_eq!(login(&service, PASSWORD).expect(401).code(), "INVALID_CREDENTIALS");
    login(&service, NEW).expect(200);
    change(&alice, NEW, PASSWORD).expect(200);
    login(&service, PASSWORD).expect(200);
}

#[test]
fn all_other_sessions_end_and_their_connections() {
    let service = Service::start();
    let (one, two, bob) = (service.session("alice"), service.log_in("alice"), service.session("bob"));
    let (mut of_one, mut of_two, mut of_bob) = (one.connect(), two.connect(), bob.connect());
    change(&two, PASSWORD, NEW).expect(200);
    one.call("get_sessions").expect(401);
    assert_eq!(of_one.closed(Duration::from_secs(10)), Some(1000));
    two.message("bob", "hello").expect(201);
    for socket in [&mut of_two, &mut of_bob] {
        assert!(socket.receive(Duration::from_secs(10)).is_some());
    }
    let users = bob.call("get_users").expect(200).body;
    assert_eq!(users["users"][0], json!({"username": "alice", "logged_in": true}));
    let expires = "SELECT COUNT(*) FROM users JOIN sessions USING (username) WHERE logged_in = expires";
    assert_eq!(service.database.number(expires), 2, "for as long as the session that is left");
}

#[test]
fn a_wrong_password_changes_nothing() {
    let service = Service::start();
    let (alice, other) = (service.session("alice"), service.log_in("alice"));
    let answer = change(&alice, "wrong password", NEW).expect(401);
    assert_eq!((answer.code(), answer.fields()), ("INVALID_CREDENTIALS", vec![]));
    for session in [&alice, &other] {
        session.call("get_sessions").expect(200);
    }
    login(&service, PASSWORD).expect(200);
}

#[test]
fn wrong_passwords_and_failed_logins_are_counted_together() {
    let service = Service::start();
    let alice = service.session("alice");
    for n in 0..10 {
        if n % 2 == 0 {
            change(&alice, "wrong password", NEW).expect(401);
        } else {
            login(&service, "wrong password").expect(401);
        }
    }
    let answer = change(&alice, PASSWORD, NEW).expect(429);
    assert_eq!(answer.code(), "TOO_MANY_ATTEMPTS");
    assert_eq!(login(&service, PASSWORD).expect(429).code(), "TOO_MANY_ATTEMPTS");
    alice.call("get_sessions").expect(200);
    change(&alice, PASSWORD, NEW).from("192.0.2.7").expect(200);
}

#[test]
fn a_change_resets_the_count_as_a_login_does() {
    let service = Service::start();
    let alice = service.session("alice");
    for password in [NEW, PASSWORD] {
        (0..9).for_each(|_| drop(login(&service, "wrong password").expect(401)));
        let current = if password == NEW { PASSWORD } else { NEW };
        change(&alice, current, password).expect(200);
    }
}

#[test]
fn weak_new_passwords_are_refused_and_weak_current_ones_are_not() {
    let service = Service::start();
    let alice = service.session("alice");
    for weak in ["password1", "my-ALICE-secret"] {
        let answer = change(&alice, PASSWORD, weak).expect(400);
        assert_eq!((answer.code(), answer.fields()), ("WEAK_PASSWORD", vec!["new_password"]), "{weak}");
    }
    assert_eq!(change(&alice, "password1", NEW).expect(401).code(), "INVALID_CREDENTIALS");
}

#[test]
fn nobody_changes_somebody_elses_password() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    let body = json!({"username": "bob", "password": PASSWORD, "new_password": NEW});
    let answer = alice.call("change_password").json(body).expect(403);
    assert_eq!((answer.code(), answer.fields()), ("FORBIDDEN", vec!["username"]));
    service.log_in("bob");
    assert_eq!(service.database.number("SELECT COUNT(*) FROM login_sources"), 0, "nobody has guessed");
}

#[test]
fn a_login_under_way_with_the_old_password_opens_nothing_that_lasts() {
    let service = Service::start().environments(12);
    let alice = service.session("alice");
    let (mut old, mut new) = (PASSWORD, NEW);
    for _ in 0..5 {
        let tokens = at_once(12, |n| {
            if n == 0 {
                change(&alice, old, new).expect(200);
                return None;
            }
            let answer = login(&service, old).from(&format!("192.0.2.{n}")).send();
            assert!([200, 401].contains(&answer.status), "{}", answer.body);
            answer.body["token"].as_str().map(str::to_owned)
        });
        for token in tokens.into_iter().flatten() {
            service.call("get_sessions").token(&token).expect(401);
        }
        assert_eq!(live_sessions(&service), 1);
        service.database.execute("DELETE FROM login_attempts");
        (old, new) = (new, old);
    }
}

#[test]
fn of_changes_at_once_one_wins() {
    let service = Service::start().environments(8);
    let first = service.session("alice");
    let mut current = PASSWORD.to_owned();
    for round in 0..4 {
        // From one session, and from a session each.
        let others: Vec<_> =
            (0..8).map(|_| login(&service, &current).expect(200).body["token"].clone()).collect();
        let session = |n: usize| match round % 2 {
            0 => Session { token: others[0].as_str().unwrap().into(), ..first.clone() },
            _ => Session { token: others[n].as_str().unwrap().into(), ..first.clone() },
        };
        let password = |n| format!("the password number {round}.{n}");
        let statuses = at_once(8, |n| {
            let answer = change(&session(n), &current, &password(n)).from(&format!("192.0.2.{n}")).send();
            assert!(["", "INVALID_CREDENTIALS", "INVALID_TOKEN"].contains(&answer.code()), "{}", answer.body);
            answer.status
        });
        let winners: Vec<_> = (0..8).filter(|n| statuses[*n] == 200).collect();
        assert_eq!((winners.len(), live_sessions(&service)), (1, 1), "{statuses:?}");
        session(winners[0]).call("get_sessions").expect(200);
        current = password(winners[0]);
        login(&service, &current).expect(200);
        service.database.execute("DELETE FROM login_attempts");
    }
}

#[test]
fn a_change_that_is_repeated_after_its_reply_was_lost_is_answered_again() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    let token = alice.token.replace('-', "+").replace('_', "/");
    let hash = |username: &str| -> String {
        let hash = format!("SELECT password FROM users WHERE username = '{username}'");
        sqlx::Row::get(&service.database.rows(&hash)[0], 0)
    };
    let call = |old: &str, new: &str| -> String {
        let token = format!("UNHEX(SHA2(FROM_BASE64('{token}='), 256))");
        let rows = service.database.rows(&format!("CALL change_password({token}, '{old}', '{new}', '')"));
        sqlx::Row::get(&rows[0], 0)
    };
    // Bob's hash is as good as any.
    let (old, new) = (hash("alice"), hash("bob"));
    assert_eq!([(); 3].map(|()| call(&old, &new)), ["ok"; 3]);
    assert_eq!(call(&old, &old), "invalid_credentials");
    assert_eq!(hash("alice"), new);
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || alice.call("change_password");
    let mut bad_values = bad_input::bad_usernames("username");
    for field in ["password", "new_password"] {
        let bad: [(&str, Value, &str); 2] =
            [(field, json!("7 chars"), "too short"), (field, json!("x".repeat(129)), "too long")];
        bad_values.extend(bad);
    }
    let good = json!({"username": "alice", "password": PASSWORD, "new_password": NEW});
    bad_input::check(&service, call, &good, &json!({}), &bad_values);
    bad_input::check_media_type_and_size(&service, call);
    bad_input::check_session(|| service.call("change_password").json(good.clone()));
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    let alice = service.session("alice");
    let call = || service.call("change_password");
    let body = |username: &str, password: &str, new_password: &str| json!({"username": username, "password": password, "new_password": new_password});
    call().raw("").expect(401);
    call().token(bad_input::UNKNOWN_TOKEN).raw("").expect(415);
    call().token(bad_input::UNKNOWN_TOKEN).json(body("bob", PASSWORD, "password")).expect(400);
    call().token(bad_input::UNKNOWN_TOKEN).json(body("bob", PASSWORD, NEW)).expect(401);
    (0..10).for_each(|_| drop(login(&service, "wrong password").expect(401)));
    alice.call("change_password").json(body("bob", PASSWORD, NEW)).expect(403);
    change(&alice, "wrong password", NEW).expect(429);
    change(&alice, "wrong password", NEW).from("192.0.2.7").expect(401);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    for (procedure, password) in [
        ("begin_reauthentication", PASSWORD),
        ("fail_login", "wrong password"),
        ("change_password", PASSWORD),
    ] {
        sabotage::is_never_a_success(procedure, |service, token| {
            let body = json!({"username": "alice", "password": password, "new_password": NEW});
            service.call("change_password").token(token).json(body)
        });
    }
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("change_password", |service, token, n| {
        let password = if n % 2 == 0 { PASSWORD } else { "wrong password" };
        let body = json!({"username": "alice", "password": password, "new_password": PASSWORD});
        service.call("change_password").token(token).json(body).from(&format!("192.0.2.{}", n / 20))
    });
}
