//! `GET /users`

use serde_json::{Value, json};

use crate::support::{Service, Session, bad_input, memory, sabotage};

/// The names of a page and its `next`.
fn names(session: &Session<'_>, query: &str) -> (Vec<String>, Value) {
    let body = session.service.call("get_users").token(&session.token).query(query).expect(200).body;
    let users = body["users"].as_array().unwrap();
    (users.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect(), body["next"].clone())
}

fn with_users(service: &Service, names: &[&str]) {
    for name in names {
        service
            .database
            .execute(&format!("INSERT INTO users (username, password) VALUES ('{name}', 'none')"));
    }
}

#[test]
fn users_are_listed_with_their_state() {
    let service = Service::start();
    let alice = service.session("Alice");
    with_users(&service, &["bob"]);
    let answer = service.call("get_users").token(&alice.token).expect(200);
    assert_eq!(
        answer.body,
        json!({
            "users": [{"username": "Alice", "logged_in": true}, {"username": "bob", "logged_in": false}],
            "next": null,
        })
    );
}

#[test]
fn pages_follow_one_another_in_the_order_of_the_names() {
    let service = Service::start();
    let alice = service.session("alice");
    with_users(&service, &["Zoe", "bob", "Carol", "dave", "carol2"]);
    assert_eq!(names(&alice, "limit=2"), (vec!["alice".into(), "bob".into()], json!("bob")));
    assert_eq!(names(&alice, "limit=2&after=bob"), (vec!["Carol".into(), "carol2".into()], json!("carol2")));
    assert_eq!(names(&alice, "after=carol2&limit=2"), (vec!["dave".into(), "Zoe".into()], Value::Null));
    assert_eq!(names(&alice, "after=zoe"), (vec![], Value::Null));
}

#[test]
fn any_valid_name_is_a_cursor_in_any_case() {
    let service = Service::start();
    let alice = service.session("alice");
    with_users(&service, &["a.b_c-d@e+f", "bob", "zoe"]);
    assert_eq!(names(&alice, "after=ALICE").0, ["bob", "zoe"]);
    assert_eq!(names(&alice, "after=bobby").0, ["zoe"], "it need not exist");
    for plus in ["after=a.b_c-d@e+f", "after=a.b_c-d%40e%2Bf", "%61fter=%61.b_c-d%40e%2bf"] {
        assert_eq!(names(&alice, plus).0, ["alice", "bob", "zoe"], "{plus}");
    }
}

#[test]
fn the_order_is_the_collations_and_no_name_is_lost_between_pages() {
    let service = Service::start();
    let alice = service.session("alice");
    with_users(&service, &["a_b", "a-b", "a.b", "a+b", "a@b", "A0b", "aab", "AZb", "azc", "0ab", "9ab"]);
    let (all, _) = names(&alice, "");
    assert_eq!(all.len(), 12);
    let mut paged = Vec::new();
    let mut query = "limit=1".to_owned();
    loop {
        let (page, next) = names(&alice, &query);
        paged.extend(page);
        let Some(next) = next.as_str() else { break };
        query = format!("limit=1&after={next}");
    }
    assert_eq!(paged, all);
}

#[test]
fn a_page_has_100_users_unless_told_and_1000_at_most() {
    let service = Service::start();
    let alice = service.session("alice");
    let values: Vec<_> = (0..1001).map(|n| format!("('u{n:04}', 'none')")).collect();
    service.database.execute(&format!("INSERT INTO users (username, password) VALUES {}", values.join(",")));
    let (page, next) = names(&alice, "");
    assert_eq!((page.len(), next), (100, json!("u0098")));
    let (page, next) = names(&alice, "limit=1000");
    assert_eq!((page.len(), next), (1000, json!("u0998")));
    let (page, next) = names(&alice, "limit=1000&after=alice");
    assert_eq!((page.len(), next), (1000, json!("u0999")));
    let (page, next) = names(&alice, "limit=1000&after=u0000");
    assert_eq!((page.len(), next), (1000, Value::Null));
}

#[test]
fn logged_in_does_not_lie_when_a_session_runs_out() {
    let service = Service::start();
    let (alice, _) = (service.session("alice"), service.session("bob"));
    for table in ["sessions SET expires", "users SET logged_in"] {
        let past = "UTC_TIMESTAMP(6) - INTERVAL 1 SECOND";
        service.database.execute(&format!("UPDATE {table} = {past} WHERE username = 'bob'"));
    }
    let users = service.call("get_users").token(&alice.token).expect(200).body;
    assert_eq!(users["users"][1], json!({"username": "bob", "logged_in": false}));
}

#[test]
fn deleted_users_are_not_listed() {
    let service = Service::start();
    let alice = service.session("alice");
    service.session("bob");
    service.database.delete_user("bob");
    let page = service.call("get_users").token(&alice.token).expect(200).body;
    assert_eq!(page, json!({"users": [{"username": "alice", "logged_in": true}], "next": null}));
    let page = service.call("get_users").token(&alice.token).query("after=alice").expect(200).body;
    assert_eq!(page, json!({"users": [], "next": null}));
}

#[test]
fn bad_parameters_are_refused() {
    let service = Service::start();
    let alice = service.session("alice");
    for (query, code, fields, reason) in [
        ("limit=0", "INVALID_FIELD", &["limit"][..], "too small"),
        ("limit=1001", "INVALID_FIELD", &["limit"], "too large"),
        ("limit=-1", "INVALID_FIELD", &["limit"], "negative"),
        ("limit=1.0", "INVALID_FIELD", &["limit"], "fraction"),
        ("limit=1e2", "INVALID_FIELD", &["limit"], "exponent"),
        ("limit=%2B5", "INVALID_FIELD", &["limit"], "sign"),
        ("limit=ten", "INVALID_FIELD", &["limit"], "word"),
        ("limit=99999999999999999999", "INVALID_FIELD", &["limit"], "beyond every integer"),
        ("limit", "INVALID_FIELD", &["limit"], "no value"),
        ("limit=", "INVALID_FIELD", &["limit"], "empty value"),
        ("limit=5&limit=5", "DUPLICATE_FIELD", &["limit"], "repeated"),
        ("limit=5&%6cimit=5", "DUPLICATE_FIELD", &["limit"], "repeated in disguise"),
        ("after=", "INVALID_FIELD", &["after"], "empty name"),
        ("after", "INVALID_FIELD", &["after"], "no name"),
        ("after=ab", "INVALID_FIELD", &["after"], "no username"),
        ("after=%ff%ff%ff", "INVALID_FIELD", &["after"], "not UTF-8"),
        ("after=<script>", "INVALID_FIELD", &["after"], "not percent-encoded"),
        ("after=alice%00", "INVALID_FIELD", &["after"], "NUL"),
        ("Limit=5", "UNKNOWN_PARAMETER", &["Limit"], "names have their case"),
        ("page=2", "UNKNOWN_PARAMETER", &["page"], "unknown"),
        ("=5", "UNKNOWN_PARAMETER", &[""], "no name"),
        ("limit=0&after=x&page=2", "INVALID_FIELD", &["limit", "after", "page"], "everything at once"),
    ] {
        let answer = service.call("get_users").token(&alice.token).query(query).expect(400);
        assert_eq!((answer.code(), answer.fields()), (code, fields.to_vec()), "{reason}");
    }
}

#[test]
fn a_body_is_ignored() {
    let service = Service::start();
    let alice = service.session("alice");
    service.call("get_users").token(&alice.token).raw("not JSON").expect(200);
    service.call("get_users").token(&alice.token).raw(vec![0xff; 200_000]).expect(200);
}

#[test]
fn headers_that_nobody_reads_may_hold_anything() {
    let service = Service::start();
    let alice = service.session("alice");
    for (name, value) in [("x-odd", "\0\r\n\u{7f}"), ("not a name", ""), ("", "é🎉")] {
        service.call("get_users").token(&alice.token).header(name, value).expect(200);
    }
}

#[test]
fn only_users_see_users() {
    let service = Service::start();
    service.session("alice");
    bad_input::check_session(|| service.call("get_users"));
    service.call("get_users").query("limit=0").expect(401);
    service.call("get_users").token(bad_input::UNKNOWN_TOKEN).query("limit=0").expect(400);
}

#[test]
fn an_answer_that_makes_no_sense_is_never_a_success() {
    sabotage::is_never_a_success("get_users", |service, token| service.call("get_users").token(token));
}

#[test]
fn an_environment_runs_for_ever() {
    memory::runs_for_ever("get_users", |service, token, n| {
        service.call("get_users").token(token).query(if n % 2 == 0 { "limit=100" } else { "limit=0" })
    });
}
