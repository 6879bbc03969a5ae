//! The connection holder: what it keeps, what it drops, what it tries again.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::service::PASSWORD;
use crate::support::{Answer, Database, Mode, OwnServer, Proxy, Service, bad_input, wait_until};

/// Every answer has to come within this time of the handler's start.
const PROMISED: Duration = Duration::from_secs(5);

/// What the log says where one attempt was not enough.
const SECOND_ATTEMPT: &str = "the database is asked again";

/// A service with a user Alice whose functions reach the database through a proxy.
fn behind_a_proxy() -> (Service, Proxy, String) {
    let service = Service::start();
    let token = service.session("alice").token;
    let Service { database, .. } = service;
    let proxy = Proxy::start(&database.functions_url);
    let url = proxy.url(&database.functions_url);
    (Service::on(database).through(url), proxy, token)
}

fn send(service: &Service, token: &str, message: &str) -> Answer {
    let body = json!({"sender": "alice", "receiver": "alice", "message": message});
    service.call("send_message").token(token).json(body).send()
}

fn stored(service: &Service) -> i64 {
    service.database.number("SELECT COUNT(*) FROM messages")
}

#[test]
fn one_connection_serves_all_requests_of_an_environment() {
    let (service, proxy, token) = behind_a_proxy();
    for _ in 0..20 {
        assert_eq!(send(&service, &token, "hello").status, 201);
    }
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn refusals_keep_the_connection() {
    let (service, proxy, token) = behind_a_proxy();
    let alice_to_nobody = json!({"sender": "alice", "receiver": "nobody", "message": "x"});
    for _ in 0..5 {
        service.call("send_message").token(&token).json(alice_to_nobody.clone()).expect(404);
    }
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_function_started_without_a_database_serves_once_it_is_there() {
    let (service, proxy, token) = behind_a_proxy();
    proxy.set(Mode::Refuse);
    for _ in 0..3 {
        let start = Instant::now();
        send(&service, &token, "hello").assert_unavailable();
        assert!(start.elapsed() < PROMISED);
    }
    proxy.set(Mode::Forward);
    assert_eq!(send(&service, &token, "hello").status, 201);
    assert_eq!(stored(&service), 1);
}

#[test]
fn a_connection_that_was_cut_is_replaced_within_the_request() {
    let (service, proxy, token) = behind_a_proxy();
    assert_eq!(send(&service, &token, "1").status, 201);
    proxy.set(Mode::Refuse);
    proxy.set(Mode::Forward);
    assert_eq!(send(&service, &token, "2").status, 201);
    assert_eq!((stored(&service), proxy.connections()), (2, 2));
}

#[test]
fn a_connection_that_was_killed_is_replaced_within_the_request() {
    let (service, proxy, token) = behind_a_proxy();
    for message in ["1", "2", "3"] {
        assert_eq!(send(&service, &token, message).status, 201);
        service.database.kill("KILL", true);
    }
    assert_eq!((stored(&service), proxy.connections()), (3, 3));
}

#[test]
fn a_send_whose_reply_is_lost_is_stored_once_and_answered() {
    let (service, proxy, token) = behind_a_proxy();
    assert_eq!(send(&service, &token, "1").status, 201);
    proxy.set(Mode::SwallowReplies);
    let start = Instant::now();
    let answer = send(&service, &token, "2");
    assert_eq!((answer.status, answer.body["id"].as_i64()), (201, Some(2)));
    assert_eq!(answer.header("idempotent-replayed"), None, "the client has sent it once");
    assert!(start.elapsed() < PROMISED);
    assert!(proxy.swallowed() > 0, "the first reply was lost");
    assert_eq!((stored(&service), proxy.connections()), (2, 2));
}

#[test]
fn a_login_whose_reply_is_lost_opens_one_session() {
    let (service, proxy, _) = behind_a_proxy();
    service.log_in("alice");
    let before = service.database.number("SELECT COUNT(*) FROM sessions");
    proxy.set(Mode::SwallowReplies);
    service.log_in("alice");
    assert!(proxy.swallowed() > 0);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM sessions"), before + 1);
}

#[test]
fn a_creation_whose_reply_is_lost_is_answered_with_success() {
    let (service, proxy, _) = behind_a_proxy();
    let user = |username| json!({"username": username, "password": PASSWORD});
    service.call("create_user").json(user("bob")).expect(201);
    proxy.set(Mode::SwallowReplies);
    service.call("create_user").json(user("carol")).expect(201);
    assert!(proxy.swallowed() > 0);
    service.call("create_user").json(user("carol")).expect(409);
}

#[test]
fn a_logout_whose_reply_is_lost_has_ended_the_session() {
    let (service, proxy, token) = behind_a_proxy();
    service.call("logout").token(bad_input::UNKNOWN_TOKEN).json(json!({"username": "alice"})).expect(401);
    proxy.set(Mode::SwallowReplies);
    service.call("logout").token(&token).json(json!({"username": "alice"})).expect(401);
    assert!(proxy.swallowed() > 0);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM sessions"), 0);
}

#[test]
fn a_port_that_nobody_listens_on_is_a_503_at_once() {
    let service = Service::start().through("mysql://nobody:nothing@127.0.0.1:1/chat");
    send(&service, bad_input::UNKNOWN_TOKEN, "hello").assert_unavailable();
    assert!(!service.logs().contains(SECOND_ATTEMPT), "nothing is gained by asking again");
}

#[test]
fn a_procedure_that_is_being_replaced_is_waited_for() {
    let (service, _, token) = behind_a_proxy();
    let itself = include_str!("../../../sql/0014_get_users.sql").replacen(
        "IF NOT EXISTS get_users(",
        "IF NOT EXISTS get_users_itself(",
        1,
    );
    // The first two calls meet error 1305, as they do while the procedure is not there.
    let in_between = "CREATE PROCEDURE get_users(p_token BINARY(32), p_limit INT, p_after VARCHAR(64)) BEGIN
                        INSERT INTO calls VALUES (1);
                        IF (SELECT COUNT(*) FROM calls) <= 2 THEN CALL nothing_that_exists(); END IF;
                        CALL get_users_itself(p_token, p_limit, p_after);
                      END";
    for sql in ["CREATE TABLE calls (n INT)", &itself, "DROP PROCEDURE get_users", in_between] {
        service.database.execute(sql);
    }
    service.call("get_users").token(&token).expect(200);
    assert_eq!(service.database.number("SELECT COUNT(*) FROM calls"), 3);
}

#[test]
fn a_bug_in_a_statement_is_a_500_that_tells_nothing() {
    let (service, _, token) = behind_a_proxy();
    for body in [
        "SELECT * FROM canary_table",
        "SIGNAL SQLSTATE '22001' SET MESSAGE_TEXT = 'canary'",
        "SELECT 7, 'ok'",
    ] {
        service.database.execute("DROP PROCEDURE get_users");
        let parameters = "p_token BINARY(32), p_limit INT, p_after VARCHAR(64)";
        service.database.execute(&format!("CREATE PROCEDURE get_users({parameters}) {body}"));
        let answer = service.call("get_users").token(&token).expect(500);
        assert_eq!(
            (answer.code(), &answer.body["detail"]),
            ("INTERNAL", &json!("Something went wrong on our side."))
        );
    }
    assert!(!service.logs().contains("canary"), "the server's text may quote anything: {}", service.logs());
    assert!(service.logs().contains("MySQL error 1146"));
}

#[test]
fn a_database_that_does_not_answer_is_a_503_in_time_and_service_resumes() {
    let (service, proxy, token) = behind_a_proxy();
    assert_eq!(send(&service, &token, "1").status, 201);
    proxy.set(Mode::Stall);
    for _ in 0..2 {
        let start = Instant::now();
        send(&service, &token, "2").assert_unavailable();
        assert!(start.elapsed() < PROMISED, "{:?}", start.elapsed());
    }
    let start = Instant::now();
    let body = json!({"username": "alice", "password": PASSWORD});
    service.call("login").json(body).send().assert_unavailable();
    assert!(start.elapsed() < PROMISED, "two calls share the time of one request");
    proxy.set(Mode::Forward);
    assert_eq!(send(&service, &token, "3").status, 201);
}

#[test]
fn a_conversation_locked_by_another_session_is_a_503_in_time_and_the_send_can_be_repeated() {
    let (service, proxy, token) = behind_a_proxy();
    assert_eq!(send(&service, &token, "1").status, 201);
    let body = json!({"sender": "alice", "receiver": "alice", "message": "2"});
    let call =
        || service.call("send_message").token(&token).json(body.clone()).header("Idempotency-Key", "2");
    let lock = service.database.lock("SELECT last_id FROM conversations FOR UPDATE");
    let start = Instant::now();
    call().send().assert_unavailable();
    assert!(start.elapsed() < PROMISED, "{:?}", start.elapsed());
    drop(lock);
    assert_eq!(call().expect(201).body["id"], 2);
    assert_eq!(call().expect(201).body["id"], 2);
    assert_eq!(stored(&service), 2);
    assert!(proxy.connections() <= 3, "hardly a reason to drop the connection");
}

#[test]
fn a_short_lock_is_waited_for_on_the_same_connection() {
    let (service, proxy, token) = behind_a_proxy();
    assert_eq!(send(&service, &token, "1").status, 201);
    let lock = service.database.lock("SELECT last_id FROM conversations FOR UPDATE");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(1_500));
            drop(lock);
        });
        assert_eq!(send(&service, &token, "2").status, 201);
    });
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_connection_that_idled_for_too_long_is_not_even_tried() {
    let server = OwnServer::start("--wait-timeout=2");
    let service = Service::on(Database::on(&server.url));
    let proxy = Proxy::start(&service.database.functions_url);
    let url = proxy.url(&service.database.functions_url);
    let service = service.through(url);
    let token = service.session("alice").token;
    assert_eq!(send(&service, &token, "1").status, 201);
    // A frozen environment does not hear that the server has hung up.
    proxy.set(Mode::SwallowReplies);
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(send(&service, &token, "2").status, 201);
    assert!(!service.logs().contains(SECOND_ATTEMPT), "no time is lost with it");
}

#[test]
fn a_server_that_is_full_is_a_503_and_service_resumes() {
    let server = OwnServer::start("");
    let service = Service::on(Database::on(&server.url));
    let token = service.session("alice").token;
    service.database.execute("SET GLOBAL max_connections = 10");
    let database = &service.database;
    let connections = || database.rows("SHOW PROCESSLIST").len();
    let before = connections();
    let guests: Vec<_> = (0..12).map_while(|_| Database::connect_through(&database.functions_url)).collect();
    assert!(guests.len() < 12, "the server is full");
    service.call("get_users").token(&token).query("limit=1").send().assert_unavailable();
    drop(guests);
    wait_until("the guests have gone", || connections() <= before);
    service.call("get_users").token(&token).expect(200);
}

#[test]
fn a_server_with_too_many_prepared_statements_is_a_503_and_service_resumes() {
    let server = OwnServer::start("");
    let service = Service::on(Database::on(&server.url));
    let token = service.session("alice").token;
    service.database.execute("SET GLOBAL max_prepared_stmt_count = 0");
    service.call("get_users").token(&token).send().assert_unavailable();
    assert!(service.logs().contains("MySQL error 1461"), "{}", service.logs());
    service.database.execute("SET GLOBAL max_prepared_stmt_count = 16382");
    service.call("get_users").token(&token).expect(200);
}
