//! Requests as API Gateway hands them to a function: the events of `events/`, with other tokens and fields.

use std::time::Duration;

use local::{Function, Response};
use serde_json::{Value, json};

use crate::history::{Conversation, READER, token};

/// Longer than any request may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The text of every message that is sent.
pub const TEXT: &str = "Hello! How are you today? 👋";

/// What nobody can guess, and nothing else has.
pub fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// A request of one operation.
#[derive(Clone)]
pub struct Request(Value);

impl Request {
    /// The sample event of `operation`, with the token of `user`'s session.
    pub fn new(operation: &str, user: &str) -> Self {
        let event = match operation {
            "create_user" => include_str!("../../events/create_user.json"),
            "login" => include_str!("../../events/login.json"),
            "logout" => include_str!("../../events/logout.json"),
            "get_users" => include_str!("../../events/get_users.json"),
            "send_message" => include_str!("../../events/send_message.json"),
            "get_messages" => include_str!("../../events/get_messages.json"),
            _ => panic!("no event of {operation}"),
        };
        let mut event: Value = serde_json::from_str(event).expect("the events are JSON");
        event["headers"]["authorization"] = format!("Bearer {}", token(user)).into();
        event["rawQueryString"] = "".into();
        Self(event)
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: &Value) -> Self {
        self.0["body"] = body.to_string().into();
        self
    }

    /// A message that was never sent before.
    pub fn message(sender: &str, receiver: &str) -> Self {
        let body = json!({"sender": sender, "receiver": receiver, "message": TEXT});
        let mut request = Self::new("send_message", sender).body(&body);
        request.0["headers"]["idempotency-key"] =
            format!("{:032x}", u128::from_be_bytes(random_bytes())).into();
        request
    }

    /// The newest page of a conversation.
    pub fn page(conversation: &Conversation) -> Self {
        let body = json!({"sender": conversation.first, "receiver": conversation.second});
        Self::new("get_messages", READER).body(&body)
    }

    /// With one more field in the body.
    pub fn field(self, name: &str, value: u64) -> Self {
        let text = self.0["body"].as_str().unwrap_or_default();
        let mut body: Value = serde_json::from_str(text).expect("the body is JSON");
        body[name] = value.into();
        self.body(&body)
    }

    /// How long `function` takes to answer, as Lambda would report it; it must succeed.
    pub fn send(&self, function: &Function) -> Duration {
        let response = function.invoke(self.0.to_string(), PATIENCE);
        match response {
            Ok(Response { body, duration }) if body.contains("\"statusCode\":20") => duration,
            failure => panic!("{failure:?}; {}", function.log()),
        }
    }
}
