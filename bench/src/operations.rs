//! What is measured of each operation: one more is a few lines in [`OPERATIONS`], and its limit in `targets.rs`.

use std::time::Duration;

use local::{Function, Response};
use serde_json::{Value, json};
use shared::message::{GET_MESSAGES, PAGE_BYTES, SEND_MESSAGE};
use shared::session::LOGOUT;
use shared::user::GET_USERS;

use crate::database::Query;
use crate::history::{History, READER, hash, token, user};

/// An operation that needs no password.
pub struct Operation {
    /// What it is called in the report.
    pub name: &'static str,
    /// The binary.
    pub function: &'static str,
    /// A request that succeeds. Those of different numbers below [`PAIRS`] don't wait for each other.
    pub request: fn(&History, usize) -> Request,
    /// What it is compared to: the least that it costs the database, and what the function executes if that is more.
    pub references: &'static [Reference],
    /// Whether it is also measured the usual way, with the database 1 ms away, and over HTTP.
    pub is_hot: bool,
}

type Reference = (&'static str, fn(&History) -> Query);

/// The operations.
pub const OPERATIONS: [Operation; 5] = [
    Operation {
        name: "SendMessage",
        function: "send_message",
        request: |_, number| Request::to_send(&pair(number)),
        references: &[("bare statement", |_| send(pair(0)))],
        is_hot: true,
    },
    Operation {
        name: "GetMessages, 50",
        function: "get_messages",
        request: |history, _| Request::page(&history.probes[1].peer, None),
        references: &[
            ("bare statement", |history| page(history.probes[1].id, history.probes[1].size)),
            ("bare CALL", |history| call_page(&history.probes[1].peer, None)),
        ],
        is_hot: true,
    },
    Operation {
        name: "GetUsers, 100",
        function: "get_users",
        request: |_, _| Request::new(GET_USERS_EVENT, READER, &Value::Null),
        references: &[
            ("bare statement", |_| sqlx::query(USERS)),
            ("bare CALL", |_| sqlx::query(GET_USERS).bind(hash(READER)).bind(101).bind(None::<String>)),
        ],
        is_hot: true,
    },
    Operation {
        name: "Logout",
        function: "logout",
        request: |history, _| Request::new(LOGOUT_EVENT, &history.session(), &json!({"username": user(0)})),
        references: &[("bare statement", |history| {
            sqlx::query(LOGOUT).bind(hash(&history.session())).bind(user(0)).bind(false)
        })],
        is_hot: false,
    },
    Operation {
        name: "hello world",
        function: "hello_world",
        request: |_, _| Request::new(GET_USERS_EVENT, READER, &Value::Null),
        references: &[],
        is_hot: false,
    },
];

const SEND_MESSAGE_EVENT: &str = include_str!("../../events/send_message.json");
const GET_MESSAGES_EVENT: &str = include_str!("../../events/get_messages.json");
const GET_USERS_EVENT: &str = include_str!("../../events/get_users.json");
const LOGOUT_EVENT: &str = include_str!("../../events/logout.json");
const USERS: &str = "SELECT username, COALESCE(logged_in > UTC_TIMESTAMP(6), FALSE)
                       FROM users WHERE username > '' ORDER BY username LIMIT 101";
/// The SELECT of the procedure `get_messages`.
const PAGE: &str = "SELECT id, sender, receiver, CAST(message AS BINARY),
                           DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
                      FROM messages WHERE conversation_id = ? AND id BETWEEN ? AND ? ORDER BY id";
/// The text of every message that is sent.
const TEXT: &str = "Hello! How are you today? 👋";
/// In how many conversations messages are sent: so many that 64 or fewer clients, which step through them, don't meet.
pub const PAIRS: usize = 7 * 64;

/// Sender and receiver.
pub fn pair(number: usize) -> (String, String) {
    let sender = 2 * (number % PAIRS);
    (user(sender), user(sender + 1))
}

/// The CALL that sends a message.
pub fn send((sender, receiver): (String, String)) -> Query {
    let call = sqlx::query(SEND_MESSAGE).bind(hash(&sender)).bind(sender).bind(receiver);
    call.bind(TEXT.as_bytes()).bind(fastrand::u128(..).to_be_bytes().to_vec())
}

/// The least that a page can cost: the messages of a conversation up to an id.
pub fn page(conversation: u64, last: u64) -> Query {
    sqlx::query(PAGE).bind(conversation).bind(last - 49).bind(last)
}

/// The CALL that reads the newest page or an older one.
pub fn call_page(peer: &str, before: Option<u64>) -> Query {
    let call = sqlx::query(GET_MESSAGES).bind(hash(READER)).bind(peer.to_owned()).bind(READER);
    call.bind(50).bind(PAGE_BYTES).bind(before).bind(None::<i64>)
}

/// A request as API Gateway hands it to a function: a sample event with other tokens, bodies and keys.
pub struct Request(Value);

impl Request {
    /// A request like `event`, in the session of `name`, with a new key if it has one.
    pub fn new(event: &str, name: &str, body: &Value) -> Self {
        let mut event: Value = serde_json::from_str(event).expect("the events are JSON");
        event["rawQueryString"] = "".into();
        event["body"] = if body.is_null() { Value::Null } else { body.to_string().into() };
        event["headers"]["authorization"] = format!("Bearer {}", token(name)).into();
        if let Some(key) = event["headers"].get_mut("idempotency-key") {
            *key = format!("{:032x}", fastrand::u128(..)).into();
        }
        Self(event)
    }

    /// With this query string.
    pub fn query(mut self, query: &str) -> Self {
        self.0["rawQueryString"] = query.into();
        self
    }

    /// A message to be sent.
    pub fn to_send((sender, receiver): &(String, String)) -> Self {
        let body = json!({"sender": sender, "receiver": receiver, "message": TEXT});
        Self::new(SEND_MESSAGE_EVENT, sender, &body)
    }

    /// The newest page of a conversation, or the one with this cursor.
    pub fn page(peer: &str, cursor: Option<(&str, u64)>) -> Self {
        let mut body = json!({"sender": peer, "receiver": READER});
        if let Some((name, value)) = cursor {
            body[name] = value.into();
        }
        Self::new(GET_MESSAGES_EVENT, READER, &body)
    }

    /// How long `function` takes to answer, as Lambda would report it, in ms; it must succeed.
    pub fn send(&self, function: &Function) -> f64 {
        match function.invoke(self.0.to_string(), Duration::from_mins(2)) {
            Ok(Response { body, duration }) if body.contains("\"statusCode\":20") => {
                duration.as_secs_f64() * 1e3
            }
            failure => panic!("{failure:?}; {}", function.log()),
        }
    }

    /// What a client sends over HTTP.
    pub fn http(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (route, body) = (text(&self.0["routeKey"]), text(&self.0["body"]));
        let header = |name: &str| format!("{name}: {}\r\n", text(&self.0["headers"][name]));
        let headers = ["host", "authorization", "content-type", "idempotency-key"].map(header).concat();
        format!("{route} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
    }
}
