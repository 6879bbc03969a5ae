//! Promise 7: every line of a log is one JSON object, and no secret is in any.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bad_input::UNKNOWN_TOKEN;
use crate::support::{Mode, Proxy, Service, binary};

const PASSWORD: &str = "canary-password-4711";
const MESSAGE: &str = "canary-message-4711";
const KEY: &str = "canary-key-4711";

#[test]
fn no_password_token_or_message_is_logged_and_every_line_is_json() {
    let service = Service::start();
    let proxy = Proxy::start(&service.database.functions_url);
    let url = proxy.url(&service.database.functions_url);
    let service = service.through(url);

    let credentials = json!({"username": "alice", "password": PASSWORD});
    service.call("create_user").json(credentials.clone()).expect(201);
    service.call("create_user").json(credentials.clone()).expect(409);
    service.call("create_user").json(json!({"username": PASSWORD, "password": PASSWORD})).expect(400);
    let login = service.call("login").json(credentials.clone()).expect(200);
    let token = login.body["token"].as_str().unwrap();
    service.call("login").json(json!({"username": "alice", "password": format!("{PASSWORD}!")})).expect(401);

    let message = json!({"sender": "alice", "receiver": "alice", "message": MESSAGE});
    let send = || service.call("send_message").token(token).header("Idempotency-Key", KEY);
    send().json(message.clone()).expect(201);
    send()
        .json(json!({"sender": "alice", "receiver": "alice", "message": format!("{MESSAGE}!")}))
        .expect(422);
    send().json(json!({"sender": "alice", "receiver": "alice", "message": [MESSAGE]})).expect(400);
    send()
        .json(json!({"sender": "alice", "receiver": "alice", "message": MESSAGE, MESSAGE: MESSAGE}))
        .expect(400);
    send().header("Content-Type", "application/json").raw(format!("{{\"message\": {MESSAGE}}}")).expect(400);
    send().header("Content-Type", "application/json").raw(json!(MESSAGE).to_string()).expect(400);
    send().header("Content-Type", MESSAGE).raw(MESSAGE).expect(415);
    send().query(&format!("token={token}&{token}={MESSAGE}")).json(message.clone()).expect(400);
    service
        .call("get_messages")
        .token(token)
        .json(json!({"sender": "alice", "receiver": "alice"}))
        .expect(200);
    service.call("get_users").token(token).expect(200);
    service.call("get_users").token(token).query(&format!("after={MESSAGE}%0a")).expect(400);

    proxy.set(Mode::Refuse);
    service.call("login").json(credentials.clone()).expect(503);
    service.call("create_user").json(json!({"username": "bob", "password": PASSWORD})).expect(503);
    send().json(message).expect(503);
    proxy.set(Mode::Forward);
    service.call("logout").token(token).json(json!({"username": "alice"})).expect(200);
    service.call("logout").token(token).json(json!({"username": "alice"})).expect(401);

    let log = service.logs();
    for secret in [PASSWORD, MESSAGE, KEY, token, "p@ss'wörd", "p%40ss"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(Value::is_object));
    let requests: Vec<_> = lines.iter().filter(|line| line.get("operation").is_some()).collect();
    assert_eq!(requests.len(), 21, "one line a request: {log}");
    for line in &requests {
        let (operation, outcome) = (line["operation"].as_str().unwrap(), line["outcome"].as_str().unwrap());
        assert_eq!(line["message"], format!("{operation} {outcome}"));
        assert!(line["duration_ms"].as_f64().is_some_and(|duration| duration > 0.0));
        assert!(line["status"].as_u64().is_some_and(|status| (200..600).contains(&status)));
    }
    let logged: BTreeSet<_> =
        requests.iter().map(|line| line["request_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        logged,
        BTreeSet::from_iter(service.request_ids()),
        "API Gateway's, which the clients were told"
    );
    let unavailable: Vec<_> = requests.iter().filter(|line| line["outcome"] == "UNAVAILABLE").collect();
    assert_eq!(unavailable.len(), 3);
    for line in unavailable {
        assert_eq!(line["level"], "ERROR");
        assert!(line["cause"].as_str().is_some_and(|cause| cause.starts_with("connection")), "{line}");
    }
}

#[test]
fn operations_on_accounts_tell_who_and_from_where_if_it_is_certain() {
    let service = Service::start();
    let alice = service.session("alice");
    service.session("bob");
    let credentials = |username: &str, password: &str| json!({"username": username, "password": password});
    let new = json!({"username": "Alice", "password": PASSWORD, "new_password": PASSWORD});
    let block = |peer: &str| json!({"username": "alice", "peer": peer, "blocked": true});
    let end = json!({"username": "alice", "id": "0".repeat(64)});
    // The operation, its body, and the outcome; then whether the caller is named.
    for (operation, body, outcome, is_named) in [
        ("login", credentials("alice", "wrong password"), "INVALID_CREDENTIALS", true),
        ("login", credentials(PASSWORD, "alice's own name"), "INVALID_CREDENTIALS", false),
        ("get_sessions", json!(null), "OK", true),
        ("end_session", end.clone(), "UNKNOWN_SESSION", true),
        ("set_block", block("bob"), "OK", true),
        ("set_block", block("nobody"), "UNKNOWN_USER", true),
        ("change_password", new.clone(), "INVALID_CREDENTIALS", true),
        ("delete_user", credentials("bob", PASSWORD), "FORBIDDEN", false),
        ("delete_user", credentials("alice", PASSWORD), "INVALID_CREDENTIALS", true),
        ("logout", json!({"username": "bob"}), "FORBIDDEN", false),
        ("logout", json!({"username": "alice"}), "OK", true),
        ("logout", json!({"username": "alice"}), "INVALID_TOKEN", false),
        ("end_session", end, "INVALID_TOKEN", false),
        ("change_password", new, "INVALID_TOKEN", false),
        ("get_sessions", json!(null), "INVALID_TOKEN", false),
    ] {
        let call = service.call(operation).token(&alice.token).from("2001:db8::7");
        let answer = if body.is_null() { call.send() } else { call.json(body).send() };
        assert_eq!(if answer.status < 400 { "OK" } else { answer.code() }, outcome, "{operation}");
        let log = service.function(operation).log();
        let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!((&line["outcome"], &line["source"]), (&json!(outcome), &json!("2001:db8::7")), "{line}");
        let caller = line["caller"].as_str().map(str::to_lowercase);
        assert_eq!(caller.as_deref(), is_named.then_some("alice"), "{line}");
    }
    assert!(!service.logs().contains(PASSWORD));
    let call = alice.message("alice", "a note").send();
    assert_eq!(call.status, 401);
    assert!(!service.function("send_message").log().contains("source"), "of messages nothing is told");
}

#[test]
fn an_event_that_can_not_be_read_is_logged_without_what_it_holds() {
    let service = Service::start();
    let mut event = service.call("get_users").token(UNKNOWN_TOKEN).event();
    event["headers"] = event["headers"]["authorization"].take();
    let answer = service.invoke("get_users", &event).unwrap();
    assert_eq!((answer.status, answer.code()), (400, "INVALID_JSON"), "{}", answer.body);
    let log = service.logs();
    let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((&line["level"], &line["status"]), (&json!("ERROR"), &json!(400)), "{line}");
    assert_eq!(line["cause"], "an event that is none of API Gateway's");
    assert!(!log.contains(UNKNOWN_TOKEN), "{log}");
}

#[test]
fn a_function_that_can_not_start_says_why_in_json_and_ends() {
    let output = Command::new(binary("login"))
        .env_clear()
        .env("DATABASE_URL", "mysql://root:secret@/")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0]["error"].as_str().unwrap().starts_with("DATABASE_URL is no"), "{log}");
    assert!(!log.contains("secret"));
}
