//! `POST /login`

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use sqlx::Row;

use crate::support::service::{Call, PASSWORD};
use crate::support::{Service, at_once, bad_input};

fn attempt<'a>(service: &'a Service, username: &str, password: &str) -> Call<'a> {
    service.login().json(json!({"username": username, "password": password}))
}

/// Makes `count` failed attempts.
fn fail(service: &Service, username: &str, source: &str, count: u32) {
    for _ in 0..count {
        attempt(service, username, "wrong password").from(source).expect(401);
    }
}

/// The seconds to wait that an attempt with the right password is answered.
fn retry_after(service: &Service, username: &str, source: &str) -> u32 {
    let answer = attempt(service, username, PASSWORD).from(source).expect(429);
    assert_eq!(answer.code(), "TOO_MANY_ATTEMPTS");
    answer.header("retry-after").unwrap().parse().unwrap()
}

/// Lets time pass for the failures counted so far.
fn pass(service: &Service, time: &str) {
    service
        .database
        .execute(&format!("UPDATE login_attempts SET last_failure = last_failure - INTERVAL {time}"));
}

#[test]
fn a_login_opens_a_session_of_thirty_days() {
    let service = Service::start();
    service.create_user().json(json!({"username": "Alice", "password": PASSWORD})).expect(201);
    let answer = attempt(&service, "aLICE", PASSWORD).expect(200);

    assert_eq!(answer.body.as_object().unwrap().len(), 3);
    assert_eq!(answer.body["username"], "Alice", "the name as created");
    let token = answer.body["token"].as_str().unwrap();
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap().len(), 32);
    let expires_at = answer.body["expires_at"].as_str().unwrap();
    assert_eq!((expires_at.len(), &expires_at[26..]), (27, "Z"));
    let seconds = service.database.number(&format!(
        "SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), STR_TO_DATE('{expires_at}', '%Y-%m-%dT%H:%i:%s.%fZ'))"
    ));
    assert!((30 * 86_400 - 60..=30 * 86_400).contains(&seconds), "{seconds}");
    service.get_users().token(token).expect(200);
}

#[test]
fn only_the_hash_of_a_token_is_stored() {
    let service = Service::start();
    let token = service.session("alice").token.replace('-', "+").replace('_', "/");
    let stored =
        format!("SELECT COUNT(*) FROM sessions WHERE token = UNHEX(SHA2(FROM_BASE64('{token}='), 256))");
    assert_eq!(service.database.number(&stored), 1);
}

#[test]
fn a_session_is_not_extended_by_use_and_ends_on_time() {
    let service = Service::start();
    let alice = service.session("alice");
    service.database.execute("UPDATE sessions SET expires = UTC_TIMESTAMP(6) + INTERVAL 2 SECOND");
    service.get_users().token(&alice.token).expect(200);
    alice.message("alice", "note").expect(201);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(service.get_users().token(&alice.token).expect(401).code(), "INVALID_TOKEN");
}

#[test]
fn several_sessions_of_one_user_live_side_by_side() {
    let service = Service::start();
    let (one, two) = (service.session("alice"), service.log_in("alice"));
    assert_ne!(one.token, two.token);
    service.get_users().token(&one.token).expect(200);
    service.get_users().token(&two.token).expect(200);
}

#[test]
fn twelve_logins_of_one_user_at_once_all_succeed() {
    let service = Service::start().environments(4);
    service.session("alice");
    at_once(12, |_| drop(service.log_in("alice")));
    assert_eq!(service.database.number("SELECT COUNT(*) FROM sessions"), 13);
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_answer_in_the_same_time() {
    let service = Service::start();
    service.session("alice");
    let timed = |username: &str, round: u32| {
        let start = Instant::now();
        let answer =
            attempt(&service, username, "wrong password").from(&format!("192.0.2.{round}")).expect(401);
        (start.elapsed(), answer)
    };
    // Taken in turns, and the shortest of each; more where the machine is busy with something else.
    let (mut wrong, mut unknown, mut ratio) = (Duration::MAX, Duration::MAX, 0.0);
    for round in 0..200 {
        let ((time, one), (other_time, other)) = (timed("alice", round), timed("nobody", round));
        assert_eq!(one.code(), "INVALID_CREDENTIALS");
        assert_eq!(one, other);
        (wrong, unknown) = (wrong.min(time), unknown.min(other_time));
        ratio = unknown.as_secs_f64() / wrong.as_secs_f64();
        if round >= 20 && (0.8..1.25).contains(&ratio) {
            break;
        }
        service.database.execute("UPDATE login_attempts SET failures = 0");
    }
    println!("unknown user {unknown:?}, wrong password {wrong:?}, ratio {ratio:.2}");
    assert!((0.8..1.25).contains(&ratio), "unknown user {unknown:?}, wrong password {wrong:?}");
}

#[test]
fn after_ten_failures_from_one_address_even_the_right_password_waits() {
    let service = Service::start();
    let alice = service.session("alice");
    fail(&service, "alice", "192.0.2.7", 10);

    assert!((28..=30).contains(&retry_after(&service, "alice", "192.0.2.7")));
    assert!((28..=30).contains(&retry_after(&service, "ALICE", "192.0.2.7")), "names count without case");
    attempt(&service, "alice", PASSWORD).from("192.0.2.8").expect(200);
    service.get_users().token(&alice.token).expect(200);

    pass(&service, "31 SECOND");
    attempt(&service, "alice", PASSWORD).from("192.0.2.7").expect(200);
    fail(&service, "alice", "192.0.2.7", 10);
}

#[test]
fn the_wait_doubles_with_every_further_failure_up_to_fifteen_minutes() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.7", 9);
    for wait in [30, 60, 120, 240, 480, 900, 900] {
        fail(&service, "alice", "192.0.2.7", 1);
        let told = retry_after(&service, "alice", "192.0.2.7");
        assert!((wait - 2..=wait).contains(&told), "{told} of {wait}");
        pass(&service, &format!("{wait} SECOND"));
    }
}

#[test]
fn a_refused_attempt_is_not_counted() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.7", 10);
    for _ in 0..5 {
        retry_after(&service, "alice", "192.0.2.7");
    }
    assert_eq!(service.database.number("SELECT MAX(failures) FROM login_attempts"), 10);
}

#[test]
fn a_success_resets_the_count() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.7", 9);
    attempt(&service, "alice", PASSWORD).from("192.0.2.7").expect(200);
    fail(&service, "alice", "192.0.2.7", 10);
    retry_after(&service, "alice", "192.0.2.7");
}

#[test]
fn after_a_hundred_failures_from_all_addresses_everyone_waits() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.1", 1);
    service.database.execute("UPDATE login_attempts SET failures = 99 WHERE source = ''");
    fail(&service, "alice", "192.0.2.2", 1);
    assert!((28..=30).contains(&retry_after(&service, "alice", "192.0.2.3")));
}

#[test]
fn names_that_nobody_has_are_counted_as_well() {
    let service = Service::start();
    fail(&service, "nobody", "192.0.2.7", 10);
    assert!(retry_after(&service, "nobody", "192.0.2.7") <= 30);
}

#[test]
fn ipv6_addresses_count_by_network() {
    let service = Service::start();
    service.session("alice");
    for host in 0..10 {
        fail(&service, "alice", &format!("2001:db8:1:2::{host}"), 1);
    }
    retry_after(&service, "alice", "2001:db8:1:2:ffff::1");
    attempt(&service, "alice", PASSWORD).from("2001:db8:1:3::1").expect(200);
}

#[test]
fn no_header_changes_the_address() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.7", 10);
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        attempt(&service, "alice", PASSWORD).from("192.0.2.7").header(header, "198.51.100.1").expect(429);
    }
}

#[test]
fn failures_are_forgotten_after_a_day() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.7", 9);
    pass(&service, "25 HOUR");
    fail(&service, "alice", "192.0.2.7", 9);
    attempt(&service, "alice", PASSWORD).from("192.0.2.7").expect(200);
}

#[test]
fn sixteen_guesses_at_once_get_no_more_than_ten_tries() {
    let service = Service::start().environments(4);
    service.session("alice");
    let mut statuses = at_once(16, |_| attempt(&service, "alice", "wrong password").send().status);
    statuses.sort_unstable();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 6]].concat());
}

#[test]
fn of_eight_tries_at_the_limit_at_once_one_gets_through() {
    let service = Service::start();
    for round in 0..20 {
        let begin = format!("CALL begin_login('user{round}', 'here')");
        service.database.execute(&begin);
        service.database.execute("UPDATE login_attempts SET failures = 9");
        let outcomes: Vec<String> = at_once(8, |_| service.database.rows(&begin)[0].get(0));
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "ok").count(), 1, "{outcomes:?}");
    }
}

#[test]
fn expired_sessions_and_old_failures_are_swept_away_ten_at_a_time() {
    let service = Service::start();
    service.session("alice");
    (0..10).for_each(|_| drop(service.log_in("alice")));
    (0..5).for_each(|n| fail(&service, &format!("mallory{n}"), "192.0.2.7", 1));
    service.database.execute("UPDATE sessions SET expires = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND");
    pass(&service, "25 HOUR");
    let expired = "SELECT COUNT(*) FROM sessions WHERE expires < UTC_TIMESTAMP(6)";
    let old = "SELECT COUNT(*) FROM login_attempts WHERE last_failure < UTC_TIMESTAMP(6) - INTERVAL 24 HOUR";
    assert_eq!([expired, old].map(|count| service.database.number(count)), [11, 12]);
    for _ in 0..2 {
        service.log_in("alice");
        assert_eq!([expired, old].map(|count| service.database.number(count)), [1, 2]);
    }
}

#[test]
fn bad_input_is_refused() {
    let service = Service::start();
    service.session("alice");
    let mut bad_values = bad_input::bad_usernames("username");
    bad_values.extend([
        ("password", json!("7 chars"), "too short"),
        ("password", json!("x".repeat(129)), "too long"),
    ]);
    let good = json!({"username": "alice", "password": PASSWORD});
    bad_input::check(&service, || service.login(), &good, &json!({}), &bad_values);
    bad_input::check_media_type_and_size(&service, || service.login());
    attempt(&service, "alice", "password").expect(401);
    attempt(&service, "alice", "alice-alice").expect(401);
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.1", 10);
    let too_large = "x".repeat(200_000);
    service.login().raw(too_large.as_str()).expect(415);
    service.login().header("Content-Type", "application/json").raw(too_large).expect(413);
    service.login().json(json!({"username": "alice", "password": PASSWORD, "more": 1})).expect(400);
    service.login().json(json!({"username": "alice", "password": PASSWORD})).query("a=b").expect(400);
    service.login().json(json!({"username": "alice", "password": "wrong password"})).expect(429);
}
