//! `POST /users`

use serde_json::json;

use crate::support::service::PASSWORD;
use crate::support::{Service, at_once, bad_input, memory, sabotage};

#[test]
fn a_user_is_created_and_not_logged_in() {
    let service = Service::start();
    let answer = service
        .call("create_user")
        .json(json!({"username": "Alice", "password": "correct horse"}))
        .expect(201);
    assert_eq!(answer.body, json!({"username": "Alice", "logged_in": false}));
}

#[test]
fn every_allowed_character_and_length_makes_a_name() {
    let service = Service::start();
    for name in ["abc", "7of9", "a.b_c-d@e+f", "user@example.org", &"x".repeat(64)] {
        let body = json!({"username": name, "password": "correct horse"});
        assert_eq!(service.call("create_user").json(body).expect(201).body["username"], name);
    }
}

#[test]
fn a_name_is_taken_in_any_case() {
    let service = Service::start();
    service.call("create_user").json(json!({"username": "Alice", "password": "correct horse"})).expect(201);
    for name in ["Alice", "alice", "ALICE"] {
        let answer = service
            .call("create_user")
            .json(json!({"username": name, "password": "another horse"}))
            .expect(409);
        assert_eq!((answer.code(), answer.fields()), ("USERNAME_TAKEN", vec!["username"]));
    }
    service.call("login").json(json!({"username": "Alice", "password": "correct horse"})).expect(200);
}

#[test]
fn of_twelve_creations_of_one_name_at_once_one_succeeds() {
    let service = Service::start().environments(4);
    let create = || {
        service
            .call("create_user")
            .json(json!({"username": "alice", "password": "correct horse"}))
            .send()
            .status
    };
    let mut statuses = at_once(12, |_| create());
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201][..], &[409; 11]].concat());
}

#[test]
fn a_creation_repeated_inside_its_request_is_the_same_creation() {
    let service = Service::start();
    let outcome = |hash| {
        use sqlx::Row;
        let rows = service.database.rows(&format!("CALL create_user('alice', '{hash}')"));
        rows[0].get::<String, _>(0)
    };
    assert_eq!(outcome("one hash"), "ok");
    assert_eq!(outcome("one hash"), "ok");
    assert_eq!(outcome("One hash"), "username_taken");
}

#[test]
fn the_name_of_a_deleted_user_stays_taken() {
    let service = Service::start();
    service.session("Alice");
    service.database.delete_user("alice");
    let body = json!({"username": "aLICE", "password": "correct horse"});
    assert_eq!(service.call("create_user").json(body).expect(409).code(), "USERNAME_TAKEN");
}

#[test]
fn weak_passwords_are_refused_with_the_reason() {
    let service = Service::start();
    for (username, password, reason) in [
        ("alice", "password", "common"),
        ("alice", "PASSWORD1", "common"),
        ("alice", "12345678", "common"),
        ("Alice", "i-am-aLICE-yes", "contains the username"),
        ("horse", "correct horse", "contains the username"),
    ] {
        let answer =
            service.call("create_user").json(json!({"username": username, "password": password})).expect(400);
        assert_eq!((answer.code(), answer.fields()), ("WEAK_PASSWORD", vec!["password"]));
        assert!(answer.body["detail"].as_str().unwrap().contains(reason), "{}", answer.body);
    }
    service.call("create_user").json(json!({"username": "bob", "password": "bob's long one"})).expect(201);
}

#[test]
fn passwords_differ_in_every_character() {
    let service = Service::start();
    for (username, password, other) in [
        ("spaces", "  spaced  out  ", "spaced  out"),
        ("cased", "Correct Horse", "correct horse"),
        ("accented", "caf\u{e9} creme", "cafe creme"),
        ("wide", "ｃorrect horse", "correct horse"),
        ("nul", "before\0after", "before\0other"),
        ("emoji", "🔑🔑🔑🔑🔑🔑🔑🔑", "🔑🔑🔑🔑🔑🔑🔑🔒"),
        ("longest", &"🔑".repeat(128), &"🔑".repeat(127)),
    ] {
        service.call("create_user").json(json!({"username": username, "password": password})).expect(201);
        service.call("login").json(json!({"username": username, "password": other})).expect(401);
        service.call("login").json(json!({"username": username, "password": password})).expect(200);
    }
}

#[test]
fn a_password_is_the_same_composed_and_decomposed() {
    let service = Service::start();
    for (username, password, other) in [
        ("composed", "caf\u{e9} creme", "cafe\u{301} creme"),
        ("decomposed", "A\u{30a}ngstrom", "\u{212b}ngstrom"),
    ] {
        service.call("create_user").json(json!({"username": username, "password": password})).expect(201);
        service.call("login").json(json!({"username": username, "password": other})).expect(200);
    }
    let seven = json!({"username": "seven", "password": "e\u{301}".repeat(7)});
    service.call("create_user").json(seven).expect(400);
}

#[test]
fn passwords_are_stored_as_argon2id_hashes() {
    let service = Service::start();
    service.call("create_user").json(json!({"username": "alice", "password": "correct horse"})).expect(201);
    let stored = service.database.number(
        "SELECT COUNT(*) FROM users WHERE password LIKE '$argon2id$v=19$m=19456,t=2,p=1$%' AND password NOT LIKE '%horse%'",
    );
    assert_eq!(stored, 1);
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    let mut bad_values = bad_input::bad_usernames("username");
    bad_values.extend([
        ("password", json!(""), "empty"),
        ("password", json!("7 chars"), "too short"),
        ("password", json!("🔑🔑🔑🔑🔑🔑🔑"), "too short in code points"),
        ("password", json!("x".repeat(129)), "too long"),
    ]);
    let good = json!({"username": "alice", "password": "correct horse"});
    bad_input::check(&service, || service.call("create_user"), &good, &json!({}), &bad_values);
    bad_input::check_media_type_and_size(&service, || service.call("create_user"));
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    let too_large = "x".repeat(200_000);
    service.call("create_user").raw(too_large.as_str()).expect(415);
    service.call("create_user").header("Content-Type", "application/json").raw(too_large).expect(413);
    let user = json!({"username": "alice", "password": "correct horse"});
    service.call("create_user").json(user.clone()).expect(201);
    service.call("create_user").json(user.clone()).query("a=b").expect(400);
    service.call("create_user").json(user).expect(409);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("create_user", |service, _| {
        service.call("create_user").json(json!({"username": "bob", "password": PASSWORD}))
    });
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("create_user", |service, _, n| {
        let username = if n % 2 == 0 { format!("user{n}") } else { "alice".into() };
        service.call("create_user").json(json!({"username": username, "password": PASSWORD}))
    });
}
