//! Requests by the thousand, generated near the contract and far from it: each is answered as the contract says,
//! and none that is refused writes anything. `.cargo/config.toml` says how many, and which.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use shared::Bounded;
use shared::message::Text;
use shared::password::Password;
use shared::user::Username;

use crate::support::database::OpenConnection;
use crate::support::service::{Call, PASSWORD};
use crate::support::{Answer, Service};

/// An operation, as the contract has it.
#[derive(Clone, Copy)]
struct Operation {
    name: &'static str,
    call: for<'a> fn(&'a Service) -> Call<'a>,
    /// Its fields, and whether they are required.
    fields: &'static [(&'static str, bool)],
    statuses: &'static [u16],
    /// A good body.
    good: &'static str,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const GET_USERS: Operation = Operation {
    name: "get_users",
    call: Service::get_users,
    fields: &[("limit", false), ("after", false)],
    statuses: &[200, 400, 401],
    good: "",
};

const WITH_BODY: &[Operation] = &[
    Operation {
        name: "create_user",
        call: Service::create_user,
        fields: &[("username", true), ("password", true)],
        statuses: &[201, 400, 409, 413, 415],
        good: r#"{"username": "alice", "password": "correct horse battery"}"#,
    },
    Operation {
        name: "login",
        call: Service::login,
        fields: &[("username", true), ("password", true)],
        statuses: &[200, 400, 401, 413, 415, 429],
        good: r#"{"username": "alice", "password": "correct horse battery"}"#,
    },
    Operation {
        name: "logout",
        call: Service::logout,
        fields: &[("username", true), ("everywhere", false)],
        statuses: &[200, 400, 401, 403, 413, 415],
        good: r#"{"username": "alice", "everywhere": true}"#,
    },
    Operation {
        name: "send_message",
        call: Service::send_message,
        fields: &[("sender", true), ("receiver", true), ("message", true)],
        statuses: &[201, 400, 401, 403, 404, 413, 415, 422],
        good: r#"{"sender": "alice", "receiver": "bob", "message": "canary"}"#,
    },
    Operation {
        name: "get_messages",
        call: Service::get_messages,
        fields: &[
            ("sender", true),
            ("receiver", true),
            ("limit", false),
            ("before", false),
            ("after", false),
        ],
        statuses: &[200, 400, 401, 403, 413, 415],
        good: r#"{"sender": "alice", "receiver": "bob", "limit": 10, "after": 5}"#,
    },
];

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
        service.database.execute("CREATE TABLE first_sessions AS SELECT * FROM sessions");
        Self { service, token, database, answers: Cell::new(4) }
    }

    /// A request of alice.
    fn call(&self, operation: Operation) -> Call<'_> {
        (operation.call)(&self.service).token(&self.token)
    }

    /// The answer to `event`. Checks what holds for each. Nobody starts a process anew: after one that ends there
    /// would be no answers any more.
    fn ask(&self, operation: Operation, event: &Value) -> Answer {
        let answer = self.ask_nonsense(operation, event);
        assert!(operation.statuses.contains(&answer.status), "{}: {}", operation.name, answer.body);
        answer
    }

    /// The answer to an event that API Gateway need not have made.
    fn ask_nonsense(&self, operation: Operation, event: &Value) -> Answer {
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
        if operation.name == "logout" && answer.status == 200 {
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
fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![1 => select(&WITH_BODY[..2]), 7 => select(&WITH_BODY[2..])]
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

/// Values as JSON writes them: mostly such as belong into `field`.
fn json_values(field: &str) -> BoxedStrategy<String> {
    let good = match field {
        "username" | "sender" | "receiver" => &[r#""alice""#, r#""ALICE""#, r#""bob""#, r#""nobody""#][..],
        "password" => &[r#""correct horse battery""#, r#""canary canary""#, r#""password""#],
        "message" => &[r#""canary""#, r#""\u0000 \ud83c\udf89""#],
        "everywhere" => &["true", "false"],
        _ => &["0", "1", "200", "9007199254740991"],
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
    operation: Operation,
    values: fn(&str) -> BoxedStrategy<String>,
) -> impl Strategy<Value = Vec<Member>> {
    let known = operation.fields.iter().map(|(field, required)| {
        let member = (Just((*field).to_owned()), values(field));
        let missing = if *required { 1 } else { 12 };
        prop_oneof![12 => vec(member.clone(), 1), missing => vec(member.clone(), 0), 1 => vec(member, 2)]
    });
    let unknown = (prop_oneof!["[a-zA-Z_]{0,9}", texts()], values("limit"));
    let unknown = prop_oneof![4 => vec(unknown.clone(), 0), 1 => vec(unknown, 1)];
    (known.collect::<Vec<_>>(), unknown)
        .prop_map(|(known, unknown)| [known.concat(), unknown].concat())
        .prop_shuffle()
}

/// The members at fault: missing, repeated, unknown, or with a value that `is_good` refuses.
fn at_fault(
    operation: Operation,
    members: &[Member],
    is_good: impl Fn(&str, &str) -> bool,
) -> BTreeSet<&str> {
    let mut faults: BTreeSet<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    for (field, required) in operation.fields {
        let values: Vec<_> = members.iter().filter(|(name, _)| name == field).collect();
        match values[..] {
            [] if *required => faults.insert(field),
            [(_, value)] if is_good(field, value) => faults.remove(field),
            _ => false,
        };
    }
    let is_there = |field| members.iter().any(|(name, _)| name == field);
    if is_there("before") && is_there("after") && !faults.contains("before") {
        faults.insert("after");
    }
    faults
}

/// Whether `json` is a good value of `field`; shared's own tests tell that its types know.
fn is_good_json(field: &str, json: &str) -> bool {
    let text = serde_json::from_str::<String>(json).ok();
    match field {
        "username" | "sender" | "receiver" => text.is_some_and(|text| text.parse::<Username>().is_ok()),
        "password" => text.is_some_and(|text| text.parse::<Password>().is_ok()),
        "message" => text.is_some_and(|text| text.parse::<Text>().is_ok()),
        "everywhere" => ["true", "false"].contains(&json),
        "limit" => json.parse::<Bounded<1, 200>>().is_ok(),
        "before" => json.parse::<Bounded<1, 9_007_199_254_740_991>>().is_ok(),
        "after" => json.parse::<Bounded<0, 9_007_199_254_740_991>>().is_ok(),
        _ => unreachable!("{field}"),
    }
}

/// Whether the request speaks for alice, as the session demands.
fn is_alices(operation: Operation, members: &[Member]) -> bool {
    let alice = |field| {
        let name = |json| serde_json::from_str::<String>(json).unwrap_or_default();
        members.iter().any(|(member, json)| member == field && name(json).eq_ignore_ascii_case("alice"))
    };
    match operation.name {
        "logout" => alice("username"),
        "send_message" => alice("sender"),
        "get_messages" => alice("sender") || alice("receiver"),
        _ => true,
    }
}

/// The fields that an answer says are at fault: none where the answer is no 400.
fn told(answer: &Answer) -> BTreeSet<&str> {
    let fields = answer.fields().into_iter().filter(|_| answer.status == 400);
    // A weak password is a good value of its field.
    fields.filter(|field| (*field, answer.code()) != ("password", "WEAK_PASSWORD")).collect()
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
            prop_assert_eq!(answer.status != 403, is_alices(operation, &members));
        }
    });
    subject.check_logs();
}

/// Values as query strings write them: mostly such as belong into `field`.
fn query_values(field: &str) -> BoxedStrategy<String> {
    let good = if field == "limit" { ["1", "%31", "1000"] } else { ["alice", "a%6cic%65", "a.b_c-d@e+f"] };
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

fn is_good_parameter(name: &str, value: &str) -> bool {
    let text = percent_decode_str(value).decode_utf8().unwrap_or_default();
    match name {
        "limit" => text.parse::<Bounded<1, 1000>>().is_ok(),
        _ => text.parse::<Username>().is_ok(),
    }
}

#[test]
fn a_query_string_is_refused_for_exactly_the_parameters_at_fault() {
    let subject = Subject::start();
    proptest!(|(members in members(GET_USERS, query_values))| {
        let parameter = |(name, value): &Member| {
            format!("{}={value}", percent_encode(name.as_bytes(), NON_ALPHANUMERIC))
        };
        let query: Vec<_> = members.iter().map(parameter).collect();
        let answer = subject.ask(GET_USERS, &subject.call(GET_USERS).query(&query.join("&")).event());
        prop_assert_eq!(told(&answer), at_fault(GET_USERS, &members, is_good_parameter), "{}", answer.body);
    });
    subject.check_logs();
}

/// Bytes, and a good body that was cut off, had some bytes replaced, or comes after much white space.
fn bodies(good: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bytes = |count| vec(prop_oneof![any::<u8>(), select(&b"{}[]\",:\\u0\xef\xbb\xbf\xff"[..])], count);
    let spliced = (any::<Index>(), 0..4_usize, bytes(0..4)).prop_map(|(start, length, bytes)| {
        let start = start.index(good.len());
        let rest = good.as_bytes()[start..].iter().skip(length);
        good.bytes().take(start).chain(bytes).chain(rest.copied()).collect()
    });
    let cut_off = any::<Index>().prop_map(|end| good.as_bytes()[..end.index(good.len())].to_vec());
    let deep = (select(&["[", "{\"a\":", "[{\"message\":"][..]), 1..50_000_usize);
    prop_oneof![
        1 => bytes(0..20),
        6 => spliced,
        1 => cut_off,
        1 => deep.prop_map(|(open, depth)| open.repeat(depth).into_bytes()),
        1 => (0..140_000_usize).prop_map(|spaces| [&b" ".repeat(spaces), good.as_bytes()].concat()),
    ]
}

#[test]
fn whatever_bytes_a_body_has_it_is_answered() {
    let subject = Subject::start();
    let requests =
        operations().prop_flat_map(|operation| (Just(operation), bodies(operation.good), 0..4, texts()));
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
    let requests = (prop_oneof![Just(GET_USERS), operations()], vec((names, values), 1..4));
    proptest!(|((operation, headers) in requests)| {
        let call = subject.call(operation).header("Content-Type", "application/json").raw(operation.good);
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
        // So `cargo lambda watch` does.
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
    let requests = (prop_oneof![1 => Just(GET_USERS), 4 => operations()], vec(edits(), 1..4));
    proptest!(|((operation, edits) in requests)| {
        let call = subject.call(operation).header("Content-Type", "application/json").raw(operation.good);
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
    let send_message = WITH_BODY[3];
    proptest!(|(edits in vec(edits, 1..3), nonsense in nonsense, whole: bool)| {
        let good = subject.call(send_message).header("Content-Type", "application/json").raw(send_message.good);
        let event = if whole { nonsense } else { edited(good.event(), edits) };
        let answer = subject.ask_nonsense(send_message, &event);
        prop_assert!(send_message.statuses.contains(&answer.status));
        prop_assert_eq!(subject.ask(send_message, &good.event()).status, 201);
    });
    subject.check_logs();
}
