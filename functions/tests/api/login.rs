//! `POST /login`

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use crate::support::service::{Call, PASSWORD, SOURCE};
use crate::support::{Database, OwnServer, Service, at_once, bad_input, memory, sabotage, wait_until};

fn attempt<'a>(service: &'a Service, username: &str, password: &str) -> Call<'a> {
    service.call("login").json(json!({"username": username, "password": password}))
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

/// Lets time pass for what is remembered so far.
fn pass(service: &Service, time: &str) {
    let database = &service.database;
    database.execute(&format!(
        "UPDATE login_attempts
            SET last_failure = last_failure - INTERVAL {time}, last_success = last_success - INTERVAL {time},
                expires = expires - INTERVAL {time}"
    ));
    database.execute(&format!("UPDATE login_sources SET since = since - INTERVAL {time}"));
}

/// Lets so many sources have failed for a name, each so often, just now.
fn sources_fail(service: &Service, username: &str, sources: u8, failures: u32) {
    for n in 0..sources {
        service.database.execute(&format!(
            "INSERT INTO login_attempts (username, source, failures, last_failure, expires)
             VALUES ('{username}', UNHEX('0a0000{n:02x}'), {failures}, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 24 HOUR)"
        ));
    }
}

#[test]
fn a_login_opens_a_session_of_thirty_days() {
    let service = Service::start();
    service.call("create_user").json(json!({"username": "Alice", "password": PASSWORD})).expect(201);
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
    service.call("get_users").token(token).expect(200);
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
    service.call("get_users").token(&alice.token).expect(200);
    alice.message("alice", "note").expect(201);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(service.call("get_users").token(&alice.token).expect(401).code(), "INVALID_TOKEN");
}

#[test]
fn several_sessions_of_one_user_live_side_by_side() {
    let service = Service::start();
    let (one, two) = (service.session("alice"), service.log_in("alice"));
    assert_ne!(one.token, two.token);
    service.call("get_users").token(&one.token).expect(200);
    service.call("get_users").token(&two.token).expect(200);
}

#[test]
fn bad_devices_are_refused() {
    let service = Service::start();
    service.session("alice");
    for (device, reason) in
        [("", "empty"), (&*"x".repeat(65), "too long"), ("a\nb", "line end"), ("\u{9b}", "control character")]
    {
        let body = json!({"username": "alice", "password": PASSWORD, "device": device});
        let answer = service.call("login").json(body).expect(400);
        assert_eq!((answer.code(), answer.fields()), ("INVALID_FIELD", vec!["device"]), "{reason}");
    }
}

#[test]
fn sixteen_right_logins_of_one_user_at_once_all_succeed() {
    let service = Service::start().environments(16);
    service.session("alice");
    at_once(16, |_| drop(service.log_in("alice")));
    fail(&service, "alice", SOURCE, 9);
    at_once(16, |_| drop(service.log_in("alice")));
    assert_eq!(service.database.number("SELECT COUNT(*) FROM sessions"), 33);
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_answer_in_the_same_time() {
    let service = Service::start();
    service.session("alice");
    service.session("deleted");
    service.database.delete_user("deleted");
    let mut times = [const { Vec::new() }; 3];
    for round in 0..101 {
        // By turns, so that whatever else the machine does slows all alike.
        let mut answers = Vec::new();
        for (times, username) in times.iter_mut().zip(["alice", "nobody", "deleted"]) {
            let start = Instant::now();
            answers.push(
                attempt(&service, username, "wrong password").from(&format!("192.0.2.{round}")).expect(401),
            );
            times.push(start.elapsed());
        }
        assert_eq!(answers[0].code(), "INVALID_CREDENTIALS");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        service.database.execute("DELETE FROM login_attempts");
    }
    let [wrong, unknown, deleted] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!("medians: wrong password {wrong:?}, unknown user {unknown:?}, deleted user {deleted:?}");
    for other in [unknown, deleted] {
        let ratio = other.as_secs_f64() / wrong.as_secs_f64();
        assert!(
            (0.8..1.25).contains(&ratio),
            "wrong password {wrong:?}, unknown {unknown:?}, deleted {deleted:?}"
        );
    }
}

#[test]
fn a_deleted_user_does_not_exist() {
    let service = Service::start();
    let alice = service.session("alice");
    service.database.delete_user("alice");
    assert_eq!(attempt(&service, "alice", PASSWORD).expect(401).code(), "INVALID_CREDENTIALS");
    service.call("get_users").token(&alice.token).expect(401);
}

#[test]
fn a_login_under_way_fails_if_the_password_changes_or_the_user_is_deleted() {
    let server = OwnServer::start("");
    for change in ["password = CONCAT(password, 'x')", "password = NULL, deleted = UTC_TIMESTAMP(6)"] {
        let service = Service::on(Database::on(&server.url));
        service.session("alice");
        service.database.execute("DELETE FROM sessions");
        let update = format!("UPDATE users SET {change} WHERE username = 'alice'");
        let mut lock = service.database.lock(&update);
        thread::scope(|scope| {
            let login = scope.spawn(|| attempt(&service, "alice", PASSWORD).send());
            // The password has been checked by then, against the hash before the change.
            wait_until("the login waits for the user's row", || service.database.lock_waits() > 0);
            lock.rows("COMMIT").unwrap();
            let answer = login.join().unwrap();
            assert_eq!((answer.status, answer.code()), (401, "INVALID_CREDENTIALS"), "{}", answer.body);
        });
        assert_eq!(service.database.number("SELECT COUNT(*) FROM sessions"), 0);
        assert_eq!(service.database.number("SELECT COUNT(*) FROM login_sources"), 0, "nobody has guessed");
    }
}

#[test]
fn after_ten_failures_from_one_address_even_the_right_password_waits() {
    let service = Service::start();
    let alice = service.session("alice");
    fail(&service, "alice", "192.0.2.7", 10);

    assert!((28..=30).contains(&retry_after(&service, "alice", "192.0.2.7")));
    assert!((28..=30).contains(&retry_after(&service, "ALICE", "192.0.2.7")), "names count without case");
    attempt(&service, "alice", PASSWORD).from("192.0.2.8").expect(200);
    service.call("get_users").token(&alice.token).expect(200);

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
fn a_success_resets_the_count_of_its_source_only() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", "192.0.2.7", 10);
    attempt(&service, "alice", PASSWORD).from("192.0.2.8").expect(200);
    retry_after(&service, "alice", "192.0.2.7");
}

#[test]
fn after_a_hundred_failures_from_all_addresses_those_wait_that_the_user_is_not_known_to_use() {
    let service = Service::start();
    service.session("alice");
    let known = "198.51.100.1";
    attempt(&service, "alice", PASSWORD).from(known).expect(200);
    sources_fail(&service, "alice", 9, 10);
    fail(&service, "alice", "192.0.2.2", 9);
    attempt(&service, "alice", PASSWORD).from("192.0.2.3").expect(200);

    fail(&service, "alice", "192.0.2.2", 1);
    assert!((28..=30).contains(&retry_after(&service, "alice", "192.0.2.4")));
    attempt(&service, "alice", PASSWORD).from(known).expect(200);
    attempt(&service, "alice", PASSWORD).from("192.0.2.3").expect(200);
    pass(&service, "31 SECOND");
    attempt(&service, "alice", PASSWORD).from("192.0.2.4").expect(200);

    pass(&service, "90 DAY");
    service.database.execute("DELETE FROM login_attempts WHERE last_failure IS NOT NULL");
    sources_fail(&service, "alice", 10, 10);
    retry_after(&service, "alice", known);
}

#[test]
fn no_single_source_makes_others_wait() {
    let service = Service::start();
    service.session("alice");
    sources_fail(&service, "alice", 9, 100_000);
    attempt(&service, "alice", PASSWORD).from("192.0.2.3").expect(200);
}

#[test]
fn failures_from_everywhere_make_others_wait_for_up_to_fifteen_minutes() {
    let service = Service::start();
    service.session("alice");
    for (sources, wait) in [(99, 0), (100, 30), (102, 120), (106, 900), (250, 900)] {
        service.database.execute("DELETE FROM login_attempts");
        sources_fail(&service, "alice", sources, 1);
        if wait == 0 {
            attempt(&service, "alice", PASSWORD).from("192.0.2.3").expect(200);
        } else {
            let told = retry_after(&service, "alice", "192.0.2.3");
            assert!((wait - 10..=wait).contains(&told), "{sources} sources: {told} of {wait}");
        }
    }
}

#[test]
fn a_source_that_fails_a_hundred_times_over_all_names_waits_until_the_hour_is_over() {
    let service = Service::start().environments(4);
    service.session("alice");
    at_once(4, |n| (0..25).for_each(|m| fail(&service, &format!("name{n}.{m}"), "192.0.2.7", 1)));
    let told = retry_after(&service, "alice", "192.0.2.7");
    assert!((3_000..=3_600).contains(&told), "{told}");
    attempt(&service, "alice", PASSWORD).from("192.0.2.8").expect(200);

    pass(&service, "1 HOUR");
    attempt(&service, "alice", PASSWORD).from("192.0.2.7").expect(200);
    fail(&service, "alice", "192.0.2.7", 1);
    assert_eq!(
        service.database.number("SELECT failures FROM login_sources WHERE source = UNHEX('c0000207')"),
        1
    );
}

#[test]
fn a_failure_that_is_counted_after_a_later_one_counts_too() {
    let service = Service::start();
    fail(&service, "mallory", "192.0.2.7", 1);
    service
        .database
        .execute("UPDATE login_sources SET failures = 5, since = UTC_TIMESTAMP(6) + INTERVAL 5 SECOND");
    fail(&service, "mallory", "192.0.2.7", 1);
    assert_eq!(service.database.number("SELECT failures FROM login_sources"), 6);
}

#[test]
fn a_clock_that_is_set_back_lengthens_no_wait() {
    let service = Service::start();
    service.session("alice");
    for failures in [10, 15] {
        service.database.execute("DELETE FROM login_attempts");
        fail(&service, "alice", "192.0.2.7", 1);
        service.database.execute(&format!("UPDATE login_attempts SET failures = {failures}"));
        service.database.execute("UPDATE login_sources SET failures = 100");
        retry_after(&service, "alice", "192.0.2.7");
        pass(&service, "-1 HOUR");
        fail(&service, "alice", "192.0.2.7", 1);
        assert!(retry_after(&service, "alice", "192.0.2.7") <= 900);
        pass(&service, "-1 HOUR");
        attempt(&service, "alice", PASSWORD).from("192.0.2.7").expect(200);
    }
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
fn guesses_at_once_get_ten_tries_and_less_than_one_more_for_each_environment() {
    for environments in [4, 16] {
        let service = Service::start().environments(environments);
        service.session("alice");
        let statuses =
            at_once(3 * environments, |_| attempt(&service, "alice", "wrong password").send().status);
        let tries = statuses.iter().filter(|status| **status == 401).count();
        assert!((10..10 + environments).contains(&tries), "{statuses:?}");
        assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
        retry_after(&service, "alice", SOURCE);
    }
}

#[test]
fn what_has_expired_is_swept_away_ten_rows_at_a_time() {
    let service = Service::start();
    service.session("alice");
    (0..10).for_each(|_| drop(service.log_in("alice")));
    (0..11).for_each(|n| fail(&service, &format!("mallory{n}"), &format!("192.0.3.{n}"), 1));
    service.database.execute("UPDATE sessions SET expires = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND");
    pass(&service, "25 HOUR");
    let remaining = || {
        [
            "SELECT COUNT(*) FROM sessions WHERE expires < UTC_TIMESTAMP(6)",
            "SELECT COUNT(*) FROM login_attempts WHERE expires < UTC_TIMESTAMP(6)",
            "SELECT COUNT(*) FROM login_sources WHERE since < UTC_TIMESTAMP(6) - INTERVAL 1 HOUR",
        ]
        .map(|count| service.database.number(count))
    };
    assert_eq!(remaining(), [11, 11, 11]);
    service.log_in("alice");
    assert_eq!(remaining(), [1, 1, 1]);
    service.log_in("alice");
    assert_eq!(remaining(), [1, 1, 1]);
}

#[test]
fn failures_sweep_too() {
    let service = Service::start();
    (0..10).for_each(|n| fail(&service, &format!("mallory{n}"), &format!("192.0.3.{n}"), 1));
    pass(&service, "25 HOUR");
    fail(&service, "mallory", "192.0.2.7", 1);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM login_attempts"), 1);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM login_sources"), 1);
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
    let optional = json!({"device": "a phone"});
    bad_input::check(&service, || service.call("login"), &good, &optional, &bad_values);
    bad_input::check_media_type_and_size(&service, || service.call("login"));
    attempt(&service, "alice", "password").expect(401);
    attempt(&service, "alice", "alice-alice").expect(401);
}

#[test]
fn checks_answer_in_their_order() {
    let service = Service::start();
    service.session("alice");
    fail(&service, "alice", SOURCE, 10);
    let too_large = "x".repeat(200_000);
    service.call("login").raw(too_large.as_str()).expect(415);
    service.call("login").header("Content-Type", "application/json").raw(too_large).expect(413);
    service.call("login").json(json!({"username": "alice", "password": PASSWORD, "more": 1})).expect(400);
    service.call("login").json(json!({"username": "alice", "password": PASSWORD})).query("a=b").expect(400);
    service.call("login").json(json!({"username": "alice", "password": "wrong password"})).expect(429);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    for (procedure, password) in
        [("begin_login", PASSWORD), ("fail_login", "wrong password"), ("login", PASSWORD)]
    {
        sabotage::is_never_a_success(procedure, |service, _| attempt(service, "alice", password));
    }
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("login", |service, _, n| {
        let password = if n % 2 == 0 { PASSWORD } else { "wrong password" };
        attempt(service, "alice", password).from(&format!("192.0.2.{}", n / 20))
    });
}
