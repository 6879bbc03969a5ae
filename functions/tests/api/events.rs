//! Awkward requests, and events of no request at all: each is answered with a 4xx or served, never with a 5xx, and
//! the next good one is served.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::support::service::Call;
use crate::support::{Answer, Service, Session};

/// Alice, and a function that reads headers and a query, and one that reads headers and a body.
struct Alice<'a>(Session<'a>);

impl<'a> Alice<'a> {
    fn new(service: &'a Service) -> Self {
        Self(service.session("alice"))
    }

    fn get_users(&self) -> Call<'a> {
        self.0.service.call("get_users").token(&self.0.token)
    }

    /// The answer to a `GetUsers` that is good but for what `change` does to its event.
    fn users(&self, change: impl FnOnce(&mut Value)) -> Answer {
        self.after("get_users", self.get_users().event(), change)
    }

    /// The answer to a `SendMessage` that is good but for what `change` does to its event.
    fn message(&self, change: impl FnOnce(&mut Value)) -> Answer {
        self.after("send_message", self.0.message("alice", "hello").event(), change)
    }

    fn after(&self, operation: &'static str, mut event: Value, change: impl FnOnce(&mut Value)) -> Answer {
        change(&mut event);
        let answer = self.0.service.invoke(operation, &event).unwrap();
        assert!(answer.status < 500, "{}", answer.body);
        self.get_users().expect(200);
        self.0.message("alice", "as good as ever").expect(201);
        answer
    }

    /// The lines at the level ERROR in the log.
    fn errors(&self) -> usize {
        self.0.service.logs().lines().filter(|line| line.contains(r#""level":"ERROR""#)).count()
    }
}

#[test]
fn query_strings_that_are_no_uri_are_read_as_they_stand() {
    let service = Service::start();
    let alice = Alice::new(&service);
    for (query, status, fields) in [
        ("after=%", 400, &["after"][..]),
        ("after=%zz", 400, &["after"]),
        ("after=%ff", 400, &["after"]),
        ("after=<", 400, &["after"]),
        ("after=a b", 400, &["after"]),
        ("after=\"abc\"", 400, &["after"]),
        ("after=abc#def", 400, &["after"]),
        ("after=abc\u{0}\n\u{7f}", 400, &["after"]),
        ("after=élise", 400, &["after"]),
        ("after=a+b", 200, &[]),
        ("after=a%2Bb", 200, &[]),
        ("after", 400, &["after"]),
        ("limit=", 400, &["limit"]),
        ("limit=1&limit=1", 400, &["limit"]),
        ("limit=1&lim%69t=1", 400, &["limit"]),
        ("Limit=1", 400, &["Limit"]),
        ("&&", 200, &[]),
        ("=", 400, &[""]),
        ("?after=abc", 400, &["?after"]),
        ("été=1&limit=0", 400, &["limit", "été"]),
    ] {
        let answer = alice.users(|event| event["rawQueryString"] = query.into());
        assert_eq!((answer.status, &answer.fields()[..]), (status, fields), "{query}: {}", answer.body);
    }
    let many = alice.users(|event| event["rawQueryString"] = "a=1&".repeat(10_000).into());
    assert_eq!((many.status, many.fields().len()), (400, 20), "a list of faults ends somewhere");
    assert_eq!(alice.errors(), 0);
}

#[test]
fn a_bad_value_of_a_header_stays_bad_and_of_one_that_nobody_reads_is_nobodys_business() {
    let service = Service::start();
    let alice = Alice::new(&service);
    for value in ["a\u{0}b", "a\nb", "\u{7f}", "a\tb", "é", "a b", "", "a,b\r\n", &"x".repeat(256)] {
        let answer = alice.message(|event| event["headers"]["idempotency-key"] = value.into());
        assert_eq!((answer.status, answer.fields()), (400, vec!["Idempotency-Key"]), "{value:?}");
        for name in ["user-agent", "x-forwarded-proto", "x-forwarded-port", "host", "cookie"] {
            alice.message(|event| event["headers"][name] = value.into()).expect(201);
        }
    }
    for name in ["", " ", "é", "a b", "a:b", "\u{0}", "(", &"x".repeat(70_000)] {
        alice.message(|event| event["headers"][name] = "1".into()).expect(201);
    }
    let token = format!("Bearer {}\u{0}", alice.0.token);
    alice.users(|event| event["headers"]["authorization"] = token.into()).expect(401);
    alice.message(|event| event["headers"]["content-type"] = "application/json\u{1}".into()).expect(415);
    assert_eq!(alice.errors(), 0);
}

#[test]
fn a_token_may_stand_behind_several_spaces_and_any_scheme_but_bearer_is_no_token() {
    let service = Service::start();
    let alice = Alice::new(&service);
    let with = |value: String| service.call("get_users").header("Authorization", &value);
    let token = &alice.0.token;
    for good in [format!("Bearer {token}"), format!("bearer  {token}"), format!("BEARER     {token}")] {
        with(good).expect(200);
    }
    let challenge = |value: String| with(value).expect(401).header("www-authenticate").map(str::to_owned);
    for none in [String::new(), token.clone(), "Bearer".into(), "Bearer  ".into(), format!("Basic {token}")] {
        assert_eq!(challenge(none.clone()).as_deref(), Some("Bearer"), "{none}");
    }
    for bad in
        [format!("Bearer {token}="), format!("Bearer  {token} "), "Bearer \t".into(), "Bearer x".into()]
    {
        assert_eq!(challenge(bad.clone()).as_deref(), Some(r#"Bearer error="invalid_token""#), "{bad}");
    }
    let ended = service.log_in("alice");
    service.call("logout").token(&ended.token).json(json!({"username": "alice"})).expect(200);
    let answer = service.call("get_users").token(&ended.token).expect(401);
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
}

#[test]
fn members_of_an_event_may_be_null_or_missing() {
    let service = Service::start();
    let alice = Alice::new(&service);
    // The parent, the name, and the statuses of GetUsers and SendMessage without it.
    let members = [
        ("", "headers", 401, 401),
        ("", "requestContext", 200, 201),
        ("/requestContext", "http", 200, 201),
        ("/requestContext", "requestId", 200, 201),
        ("/requestContext/http", "sourceIp", 200, 201),
        ("/requestContext/http", "method", 200, 201),
        ("", "isBase64Encoded", 200, 201),
        ("", "rawQueryString", 200, 201),
        ("", "rawPath", 200, 201),
        ("", "version", 200, 201),
        ("", "body", 200, 400),
        ("/headers", "authorization", 401, 401),
        ("/headers", "content-type", 200, 415),
        ("/headers", "host", 200, 201),
    ];
    for (parent, name, users, message) in members {
        for value in [None, Some(Value::Null)] {
            let change = |event: &mut Value| {
                let parent = event.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
                parent.remove(name);
                parent.extend(value.clone().map(|value| (name.to_owned(), value)));
            };
            assert_eq!(alice.users(change).status, users, "{name}: {value:?}");
            assert_eq!(alice.message(change).status, message, "{name}: {value:?}");
        }
    }
    let login = json!({"username": "alice", "password": "a wrong password"});
    let mut event = service.call("login").json(login).event();
    event["requestContext"] = Value::Null;
    assert_eq!(service.invoke("login", &event).unwrap().code(), "INVALID_CREDENTIALS");
    assert_eq!(alice.errors(), 0);
}

#[test]
fn half_a_surrogate_pair_stays_bad_wherever_it_is() {
    let service = Service::start();
    let alice = Alice::new(&service);
    // `Value` can't hold one, so it is put into the text of the event.
    let invoke = |operation, event: Value| {
        let text = event.to_string().replace("SURROGATE", r"\ud800");
        let response = service.function(operation).invoke(text, Duration::from_secs(10)).unwrap();
        let response: Value = serde_json::from_str(&response.body).unwrap();
        (response["statusCode"].as_i64().unwrap(), response["body"].as_str().unwrap().to_owned())
    };
    let mut event = alice.get_users().event();
    event["rawQueryString"] = "after=SURROGATE".into();
    assert_eq!(invoke("get_users", event).0, 400);

    let key = alice.0.message("alice", "hello").header("Idempotency-Key", "SURROGATE");
    assert_eq!(invoke("send_message", key.event()).0, 400);

    let mut event = alice.0.message("alice", "hello").event();
    event["body"] = "{\"message\": \"SURROGATE\"}".into();
    let (status, body) = invoke("send_message", event);
    assert!(status == 400 && body.contains("INVALID_JSON"), "{body}");

    let elsewhere =
        alice.0.message("alice", "hello").header("User-Agent", "SURROGATE").header("SURROGATE", "1");
    let mut event = elsewhere.event();
    event["requestContext"]["requestId"] = "SURROGATE".into();
    event["requestContext"]["http"]["sourceIp"] = "SURROGATE".into();
    event["rawPath"] = "SURROGATE".into();
    event["cookies"] = json!(["SURROGATE"]);
    assert_eq!(invoke("send_message", event).0, 201);
    assert_eq!(alice.errors(), 0);
}

#[test]
fn cookies_and_whatever_else_an_event_may_carry_are_ignored() {
    let service = Service::start();
    let alice = Alice::new(&service);
    for (name, value) in [
        ("cookies", json!(["a=1", "", "é=\u{0}"])),
        ("queryStringParameters", json!({"after": "bob", "": "1,2"})),
        ("pathParameters", json!({"proxy": "x"})),
        ("stageVariables", json!({"a": "b"})),
        ("rawPath", json!("no slash")),
        ("rawPath", json!("//%<>\u{0}")),
        ("routeKey", json!("$default")),
        ("version", json!("3.0")),
    ] {
        alice.users(|event| event[name] = value.clone()).expect(200);
        alice.message(|event| event[name] = value.clone()).expect(201);
    }
    // A body on GET is ignored.
    alice.users(|event| event["body"] = "{".into()).expect(200);
    for address in ["::1", "fe80::1%eth0", "192.0.2.1, 192.0.2.2", "", "no address"] {
        alice.message(|event| event["requestContext"]["http"]["sourceIp"] = address.into()).expect(201);
    }
}

#[test]
fn what_api_gateway_can_not_have_sent_is_a_400_and_an_error_in_the_log() {
    let service = Service::start();
    let alice = Alice::new(&service);
    let mut headers = Map::new();
    for n in 0..100_000 {
        headers.insert(format!("x-{n}"), "1".into());
    }
    let headers = Value::from(headers);
    let events = [
        ("no object", json!("event")),
        ("a number", json!(7)),
        ("null", json!(null)),
        ("headers that are a list", json!({"headers": ["a"]})),
        ("a header that is an object", json!({"headers": {"authorization": {}}})),
        ("a body that is an object", json!({"body": {"sender": "alice"}})),
        ("a flag that is text", json!({"isBase64Encoded": "yes"})),
        ("a body that is no base64", json!({"body": "%", "isBase64Encoded": true})),
        ("a query string that is a number", json!({"rawQueryString": 1})),
        ("a query string longer than any URI", json!({"rawQueryString": "x".repeat(70_000)})),
        ("100,000 headers", json!({"headers": headers})),
        ("a context that is text", json!({"requestContext": "x"})),
    ];
    for (count, (reason, event)) in events.into_iter().enumerate() {
        let answer = alice.after("send_message", event, |_| ());
        assert_eq!((answer.status, answer.code()), (400, "INVALID_JSON"), "{reason}: {}", answer.body);
        assert_eq!(alice.errors(), count + 1, "{reason}");
    }
    // Events of others than API Gateway are requests without anything.
    for event in [json!({}), json!({"source": "aws.events"}), json!({"Records": [{"body": "1"}]})] {
        assert_eq!(alice.after("send_message", event, |_| ()).code(), "INVALID_TOKEN");
    }
}
