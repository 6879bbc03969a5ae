//! Requests by the thousand, generated near the contract and far from it: each is answered as the contract says,
//! and none that is refused writes anything. `.cargo/config.toml` says how many, and which.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use shared::message::Text;
use shared::password::Password;

use crate::support::contract::{Field, OPERATIONS, Operation};
use crate::support::database::OpenConnection;
use crate::support::service::{Call, PASSWORD};
use crate::support::{Answer, Service};

fn with_body() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(|operation| operation.body.is_some())
}

fn without_body() -> Vec<&'static Operation> {
    OPERATIONS.iter().filter(|operation| operation.body.is_none()).collect()
}

/// A good body, with what must not be logged.
fn good_body(operation: &Operation) -> Vec<u8> {
    let mut body = operation.body.cloned().unwrap_or_default();
    for (field, value) in [("username", "alice"), ("password", PASSWORD), ("message", "canary")] {
        if let Some(member) = body.get_mut(field) {
            *member = value.into();
        }
    }
    if operation.body.is_some() { body.to_string().into() } else { Vec::new() }
}

/// Every header that an answer may have.
const HEADERS: [&str; 5] =
    ["cache-control", "content-type", "idempotent-replayed", "retry-after", "www-authenticate"];

/// A service that is asked in alice's name. There is a user bob too.
struct Subject {
    service: Service,
    token: String,
    database: RefCell<OpenConnection>,
    answers: Cell<usize>,
}

impl Subject {
    fn start() -> Self {
        let service = Service::start();
        let token = service.session("alice").token;
        service.session("bob");
        let database = RefCell::new(service.database.connect());
        service.database.execute("CREATE TABLE first_users AS SELECT username, password FROM users");
        service.database.execute("CREATE TABLE first_sessions AS SELECT * FROM sessions");
        Self { service, token, database, answers: Cell::new(4) }
    }

    /// A request of alice.
    fn call(&self, operation: &'static Operation) -> Call<'_> {
        self.service.call(operation.name).token(&self.token)
    }

    /// The answer to `event`. Checks what holds for each. Nobody starts a process anew: after one that ends there
    /// would be no answers any more.
    fn ask(&self, operation: &'static Operation, event: &Value) -> Answer {
        let answer = self.ask_nonsense(operation, event);
        assert!(operation.statuses.contains(&answer.status), "{}: {}", operation.name, answer.body);
        answer
    }

    /// The answer to an event that API Gateway need not have made.
    fn ask_nonsense(&self, operation: &'static Operation, event: &Value) -> Answer {
        let before = self.database.borrow_mut().contents();
        let started = Instant::now();
        let answer = self.service.invoke(operation.name, event).unwrap();
        self.answers.update(|answers| answers + 1);
        assert!(started.elapsed() < Duration::from_secs(5));
        for (name, value) in &answer.headers {
            let clean = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            assert!(HEADERS.contains(&name.as_str()) && clean, "{name}: {value}");
        }
        // A wrong password is counted.
        if answer.status >= 400 && answer.code() != "INVALID_CREDENTIALS" {
            assert_eq!(
                self.database.borrow_mut().contents(),
                before,
                "refused, but written: {}",
                answer.body
            );
        }
        if answer.status == 200 {
            // Whatever has ended alice's session, changed her password or deleted her.
            self.service.database.execute(
                "UPDATE users JOIN first_users AS first USING (username)
                    SET users.password = first.password, deleted = NULL",
            );
            self.service.database.execute("INSERT IGNORE INTO sessions SELECT * FROM first_sessions");
        }
        answer
    }

    /// There is one line for each answer, a JSON object, with nothing in it that a client has made up.
    fn check_logs(&self) {
        let log = self.service.logs();
        let mut lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}")))
            .collect();
        assert_eq!(lines.len(), self.answers.get());
        for line in &mut lines {
            // API Gateway's, not the client's.
            line.as_object_mut().unwrap().remove("request_id");
            let text = line.to_string();
            for secret in ["canary", PASSWORD, &self.token] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

/// The operations with a body: now and then one that hashes a password, which costs 50 ms.
fn operations() -> impl Strategy<Value = &'static Operation> {
    let hashes = |operation: &&Operation| operation.fields.iter().any(|field| field.name == "password");
    let (slow, fast): (Vec<_>, Vec<_>) = with_body().partition(hashes);
    prop_oneof![1 => select(slow), 7 => select(fast)]
}

/// Texts that some program somewhere would take for more than text.
const HOSTILE: &[&str] = &[
    "canary\n{\"operation\":\"canary\",\"outcome\":\"OK\"}",
    "canary\r\nSet-Cookie: canary=1\r\n\r\n",
    "canary\",\"level\":\"ERROR",
    "\u{1b}]0;canary\u{7}\u{1b}[2J",
    "\0canary",
    "\u{202e}canary\u{2028}\u{85}",
    "\u{feff}canary",
    "canary 👩‍🚀 \u{10ffff}",
    "canary\\'; DROP TABLE users; -- ",
    "${jndi:ldap://canary} {} %s%n {{canary}} $(canary)",
    "%0d%0aSet-Cookie:%20canary=1",
    "../../canary",
    "<script>canary</script>",
];

/// Any text, hostile ones, and long ones.
fn texts() -> impl Strategy<Value = String> {
    let length = select(&[63, 64, 65, 128, 129, 255, 256, 4096, 4097, 16_384, 16_385][..]);
    prop_oneof![
        4 => vec(any::<char>(), 0..20).prop_map(String::from_iter),
        4 => select(HOSTILE).prop_map(Into::into),
        1 => (select(&["x", "🎉", "\0"][..]), length).prop_map(|(character, length)| character.repeat(length)),
    ]
}

/// As JSON writes it.
const UNKNOWN_SESSION: &str = r#""0000000000000000000000000000000000000000000000000000000000000000""#;

/// Values as JSON writes them: mostly such as belong into `field`.
fn json_values(field: &Field) -> BoxedStrategy<String> {
    let good = match (field.name.as_str(), field.kind()) {
        ("password" | "new_password", _) => {
            &[r#""correct horse battery""#, r#""canary canary""#, r#""password""#][..]
        }
        ("message", _) => &[r#""canary""#, r#""\u0000 \ud83c\udf89""#],
        ("id", "string") => &[UNKNOWN_SESSION],
        (_, "boolean") => &["true", "false"],
        (_, "integer") => &["0", "1", "200", "9007199254740991"],
        _ => &[r#""alice""#, r#""ALICE""#, r#""bob""#, r#""nobody""#],
    };
    let odd = [
        "null",
        "true",
        "-0",
        "-1",
        "1.0",
        "1e2",
        "1e400",
        "201",
        "9007199254740992",
        "123456789012345678901234567890",
        "{}",
        r#"[["alice"]]"#,
        r#"{"username": "alice"}"#,
        r#""\u0061lice""#,
        r#""abc\ud800""#,
        r#""\udc00\ud800abc""#,
    ];
    prop_oneof![
        40 => select(good).prop_map(Into::into),
        2 => r#""[a-zA-Z0-9]{2,9}""#,
        2 => texts().prop_map(|text| json!(text).to_string()),
        2 => select(odd.to_vec()).prop_map(Into::into),
        1 => (1..60_000_usize).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
    ]
    .boxed()
}

/// The name and the value of a field or a query parameter.
type Member = (String, String);

/// Each field once, or now and then not at all or twice, and sometimes one that is unknown; in any order.
fn members(
    operation: &'static Operation,
    values: fn(&Field) -> BoxedStrategy<String>,
) -> impl Strategy<Value = Vec<Member>> {
    let known = operation.fields.iter().map(|field| {
        let member = (Just(field.name.clone()), values(field));
        let missing = if field.is_required { 1 } else { 12 };
        prop_oneof![12 => vec(member.clone(), 1), missing => vec(member.clone(), 0), 1 => vec(member, 2)]
    });
    let value = operation.fields.first().map_or_else(|| Just("1".into()).boxed(), values);
    let unknown = (prop_oneof!["[a-zA-Z_]{0,9}", texts()], value);
    let unknown = prop_oneof![4 => vec(unknown.clone(), 0), 1 => vec(unknown, 1)];
    (known.collect::<Vec<_>>(), unknown)
        .prop_map(|(known, unknown)| [known.concat(), unknown].concat())
        .prop_shuffle()
}

/// The members at fault: missing, repeated, unknown, or with a value that `is_good` refuses.
fn at_fault<'a>(
    operation: &'static Operation,
    members: &'a [Member],
    is_good: impl Fn(&Field, &str) -> bool,
) -> BTreeSet<&'a str> {
    let mut faults: BTreeSet<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    for field in &operation.fields {
        let values: Vec<_> = members.iter().filter(|(name, _)| *name == field.name).collect();
        match values[..] {
            [] if field.is_required => faults.insert(&field.name),
            [(_, value)] if is_good(field, value) => faults.remove(field.name.as_str()),
            _ => false,
        };
    }
    let name = |field| {
        members.iter().find(|(name, _)| name == field).map(|(_, json)| json_text(json).to_lowercase())
    };
    let are_good = !faults.contains("username") && !faults.contains("peer");
    if operation.name == "set_block" && are_good && name("username") == name("peer") {
        // Nobody blocks themselves.
        faults.insert("peer");
    }
    let is_there = |field| members.iter().any(|(name, _)| name == field);
    if is_there("before") && is_there("after") && !faults.contains("before") {
        faults.insert("after");
    }
    faults
}

/// Whether `json` is a good value of `field`; shared's own tests tell that its types know.
fn is_good_json(field: &Field, json: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(json) else { return false };
    match (field.name.as_str(), value.as_str()) {
        // What a schema can't say.
        ("password" | "new_password", Some(text)) => text.parse::<Password>().is_ok(),
        ("message", Some(text)) => text.parse::<Text>().is_ok(),
        _ => field.allows(&value),
    }
}

fn json_text(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_default()
}

/// Whether the request speaks for alice, as the session demands.
fn is_alices(operation: &'static Operation, members: &[Member]) -> bool {
    let alice = |field| {
        members.iter().any(|(name, json)| name == field && json_text(json).eq_ignore_ascii_case("alice"))
    };
    let has = |name| operation.fields.iter().any(|field| field.name == name);
    match operation.name {
        "send_message" => alice("sender"),
        _ if has("sender") => alice("sender") || alice("receiver"),
        _ => !operation.needs_session || alice("username"),
    }
}

/// The fields that an answer says are at fault: none where the answer is no 400.
fn told(answer: &Answer) -> BTreeSet<&str> {
    let errors = answer.body["errors"].as_array().into_iter().flatten();
    // A weak password is a good value of its field.
    let is_weak = |error: &Value| error["detail"].as_str().unwrap().ends_with("choose another");
    let at_fault = errors.filter(|error| answer.status == 400 && !is_weak(error));
    at_fault.map(|error| error["field"].as_str().unwrap()).collect()
}

#[test]
fn a_body_is_refused_for_exactly_the_fields_at_fault_or_for_somebody_elses_name() {
    let subject = Subject::start();
    let requests = operations().prop_flat_map(|operation| (Just(operation), members(operation, json_values)));
    proptest!(|((operation, members) in requests)| {
        let fields: Vec<_> = members.iter().map(|(name, json)| format!("{}: {json}", json!(name))).collect();
        let body = format!("{{{}}}", fields.join(", "));
        let too_large = body.len() > 128 * 1024;
        let call = subject.call(operation).header("Content-Type", "application/json").raw(body);
        let answer = subject.ask(operation, &call.event());
        let faults = at_fault(operation, &members, is_good_json);
        if too_large {
            prop_assert_eq!(answer.status, 413);
        } else if !faults.is_empty() {
            prop_assert_eq!((answer.status, told(&answer)), (400, faults));
        } else {
            prop_assert!(told(&answer).is_empty(), "{}", answer.body);
            let is_refused = ["FORBIDDEN", "WEAK_PASSWORD"].contains(&answer.code());
            prop_assert!(is_refused || is_alices(operation, &members), "{}", answer.body);
            prop_assert!(answer.code() != "FORBIDDEN" || !is_alices(operation, &members));
        }
    });
    subject.check_logs();
}

/// Values as query strings write them: mostly such as belong into `field`.
fn query_values(field: &Field) -> BoxedStrategy<String> {
    let good = match field.kind() {
        "integer" => ["1", "%31", "1000"],
        _ => ["alice", "a%6cic%65", "a.b_c-d@e+f"],
    };
    let odd = [
        "", "0", "-1", "+1", "%2B1", "1.0", "1001", "=", "%", "%f", "%ff", "%c0%80", "alice%00", "<",
        "?a=b#c",
    ];
    prop_oneof![
        8 => select(good.to_vec()).prop_map(Into::into),
        2 => select(odd.to_vec()).prop_map(Into::into),
        1 => texts().prop_map(|text| text.replace('&', "%26")),
        1 => texts().prop_map(|text| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string()),
    ]
    .boxed()
}

fn is_good_parameter(field: &Field, value: &str) -> bool {
    let Ok(text) = percent_decode_str(value).decode_utf8() else { return false };
    match field.kind() {
        "integer" => {
            text.parse::<u64>().is_ok_and(|number| !text.starts_with('+') && field.allows(&json!(number)))
        }
        _ => field.allows(&json!(text)),
    }
}

#[test]
fn a_query_string_is_refused_for_exactly_the_parameters_at_fault() {
    let subject = Subject::start();
    let requests =
        select(without_body()).prop_flat_map(|operation| (Just(operation), members(operation, query_values)));
    proptest!(|((operation, members) in requests)| {
        let parameter = |(name, value): &Member| {
            format!("{}={value}", percent_encode(name.as_bytes(), NON_ALPHANUMERIC))
        };
        let query = members.iter().map(parameter).collect::<Vec<_>>().join("&");
        // API Gateway sends no longer one.
        prop_assume!(query.len() <= 10_240);
        let answer = subject.ask(operation, &subject.call(operation).query(&query).event());
        prop_assert_eq!(told(&answer), at_fault(operation, &members, is_good_parameter), "{}", answer.body);
    });
    subject.check_logs();
}

/// Bytes, and a good body that was cut off, had some bytes replaced, or comes after much white space.
fn bodies(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let bytes = |count| vec(prop_oneof![any::<u8>(), select(&b"{}[]\",:\\u0\xef\xbb\xbf\xff"[..])], count);
    let (one, other, third) = (good.clone(), good.clone(), good);
    let spliced = (any::<Index>(), 0..4_usize, bytes(0..4)).prop_map(move |(start, length, bytes)| {
        let (before, rest) = one.split_at(start.index(one.len()));
        before.iter().copied().chain(bytes).chain(rest.iter().skip(length).copied()).collect()
    });
    let cut_off = any::<Index>().prop_map(move |end| other[..end.index(other.len())].to_vec());
    let deep = (select(&["[", "{\"a\":", "[{\"message\":"][..]), 1..50_000_usize);
    prop_oneof![
        1 => bytes(0..20),
        6 => spliced,
        1 => cut_off,
        1 => deep.prop_map(|(open, depth)| open.repeat(depth).into_bytes()),
        1 => (0..140_000_usize).prop_map(move |spaces| [b" ".repeat(spaces), third.clone()].concat()),
    ]
}

#[test]
fn whatever_bytes_a_body_has_it_is_answered() {
    let subject = Subject::start();
    let requests = operations()
        .prop_flat_map(|operation| (Just(operation), bodies(good_body(operation)), 0..4, texts()));
    proptest!(|((operation, body, form, garbage) in requests)| {
        let call = subject.call(operation).header("Content-Type", "application/json");
        let mut event = call.raw(body.clone()).event();
        if form == 0 {
            event["body"] = BASE64_STANDARD.encode(&body).into();
            event["isBase64Encoded"] = true.into();
        } else if form == 1 {
            event["body"] = garbage.into();
            event["isBase64Encoded"] = true.into();
        }
        subject.ask(operation, &event);
    });
    subject.check_logs();
}

#[test]
fn whatever_headers_a_request_has_it_is_answered() {
    let subject = Subject::start();
    let read =
        ["authorization", "content-type", "idempotency-key", "Authorization", "cookie", "x-forwarded-for"];
    let names = prop_oneof![4 => select(read.to_vec()).prop_map(Into::into), 1 => texts()];
    let near = [
        "Bearer",
        "bearer  ",
        "Basic canary",
        "application/json,application/json",
        "application/json;charset=\"utf-8",
        "application/json;;=",
        "canary-key",
        "canary,key",
        "canary key",
    ];
    let bearer = format!("Bearer {}", subject.token);
    let values = prop_oneof![
        select(near.to_vec()).prop_map(Into::into),
        texts(),
        texts().prop_map(move |text| format!("{bearer}{text}")),
        texts().prop_map(|text| format!("application/json{text}")),
    ];
    let requests = (prop_oneof![select(without_body()), operations()], vec((names, values), 1..4));
    proptest!(|((operation, headers) in requests)| {
        let call = subject.call(operation).header("Content-Type", "application/json").raw(good_body(operation));
        let mut event = call.event();
        for (name, value) in headers {
            event["headers"][name] = value.into();
        }
        subject.ask(operation, &event);
    });
    subject.check_logs();
}

/// A member of an event, below its parent, and its value, if it has one.
type Edit = (&'static str, &'static str, Option<Value>);

fn edited(mut event: Value, edits: Vec<Edit>) -> Value {
    for (parent, name, value) in edits {
        // An earlier edit may have taken the parent.
        if let Some(parent) = event.pointer_mut(parent).and_then(Value::as_object_mut) {
            parent.remove(name);
            parent.extend(value.map(|value| (name.to_owned(), value)));
        }
    }
    event
}

/// Members that are there or not, with values that they may have.
fn edits() -> impl Strategy<Value = Edit> {
    let (context, http) = ("/requestContext", "/requestContext/http");
    let sometimes = [
        ("", "headers", None),
        ("", "rawQueryString", None),
        ("", "body", None),
        ("", "isBase64Encoded", None),
        ("", "requestContext", None),
        (context, "http", None),
        (context, "requestId", None),
        (http, "sourceIp", None),
        ("", "version", Some(json!("1.0"))),
        ("", "cookies", Some(json!(["canary=1", ""]))),
        ("", "queryStringParameters", Some(json!({"limit": "1,2", "": ""}))),
        ("", "pathParameters", Some(json!(null))),
        ("", "body", Some(json!(null))),
        ("", "stageVariables", Some(json!({"canary": "1"}))),
        (context, "authorizer", Some(json!({"jwt": {"claims": {"sub": "canary"}}}))),
        (context, "authentication", Some(json!(null))),
        (http, "sourceIp", Some(json!("2001:db8::1"))),
        (http, "sourceIp", Some(json!("fe80::1%eth0"))),
        (http, "method", Some(json!("CANARY"))),
        // Some emulators of API Gateway do so.
        ("", "rawQueryString", Some(json!(null))),
        (context, "requestId", Some(json!(null))),
        (http, "sourceIp", Some(json!(null))),
    ];
    let texts_of = [
        ("", "rawQueryString"),
        ("", "rawPath"),
        (context, "requestId"),
        (http, "sourceIp"),
        (http, "userAgent"),
    ];
    prop_oneof![
        2 => select(sometimes.to_vec()),
        1 => (select(texts_of.to_vec()), texts())
            .prop_map(|((parent, name), text)| (parent, name, Some(text.into()))),
    ]
}

#[test]
fn whatever_else_an_event_has_it_is_answered() {
    let subject = Subject::start();
    let requests = (prop_oneof![1 => select(without_body()), 4 => operations()], vec(edits(), 1..4));
    proptest!(|((operation, edits) in requests)| {
        let call = subject.call(operation).header("Content-Type", "application/json").raw(good_body(operation));
        subject.ask(operation, &edited(call.event(), edits));
    });
    subject.check_logs();
}

#[test]
fn after_an_event_that_makes_no_sense_the_function_goes_on() {
    let subject = Subject::start();
    let leaf = prop_oneof![Just(json!(null)), any::<bool>().prop_map_into(), any::<i64>().prop_map_into()];
    let leaf = prop_oneof![leaf, texts().prop_map_into()];
    let nonsense = leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map_into(),
            vec((texts(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let edits =
        (edits(), nonsense.clone()).prop_map(|((parent, name, _), value)| (parent, name, Some(value)));
    let send_message = with_body().find(|operation| operation.name == "send_message").unwrap();
    proptest!(|(edits in vec(edits, 1..3), nonsense in nonsense, whole: bool)| {
        let good = subject.call(send_message).header("Content-Type", "application/json").raw(good_body(send_message));
        let event = if whole { nonsense } else { edited(good.event(), edits) };
        let answer = subject.ask_nonsense(send_message, &event);
        prop_assert!(send_message.statuses.contains(&answer.status));
        prop_assert_eq!(subject.ask(send_message, &good.event()).status, 201);
    });
    subject.check_logs();
}
