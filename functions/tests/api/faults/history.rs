//! What the clients did, when, and what they were told.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;

/// The two names of a conversation, in order.
pub type Conversation = (String, String);

/// What a conversation holds in the end, in the order of the ids.
pub type Logs = BTreeMap<Conversation, Vec<Message>>;

/// A message as it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub id: usize,
    pub sender: String,
    pub receiver: String,
    #[serde(rename = "message")]
    pub text: String,
    pub time_stamp: String,
}

impl Message {
    pub fn conversation(&self) -> Conversation {
        conversation(&self.sender, &self.receiver)
    }
}

/// The conversation of two users.
pub fn conversation(one: &str, other: &str) -> Conversation {
    (one.min(other).into(), one.max(other).into())
}

/// The sending of one message, with all its repetitions. No two have the same text.
#[derive(Debug, Clone)]
pub struct Send {
    pub text: String,
    pub conversation: Conversation,
    /// When it was invoked for the first time.
    pub invoked: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
    /// What it was answered when it was sent once more, although it had been acknowledged.
    pub repeated: Option<Message>,
}

#[derive(Debug, Clone)]
pub enum Outcome {
    Acknowledged(Message),
    /// A 4xx: it must never be stored.
    Refused,
    /// A 503 or no answer at all, and not repeated until there was one: it may be stored or not, but once.
    Unknown,
}

/// A page of a conversation.
#[derive(Debug, Clone)]
pub struct Read {
    pub conversation: Conversation,
    /// Ids after this one were asked for; none: the newest.
    pub after: Option<usize>,
    pub invoked: Instant,
    pub ended: Instant,
    pub messages: Vec<Message>,
    pub more: bool,
}

/// One request and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// The number of the client.
    pub client: usize,
    pub invoked: Instant,
    pub ended: Instant,
    /// None where the function ended without an answer.
    pub status: Option<u16>,
}

/// What one client did, or all of them.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub sends: Vec<Send>,
    pub reads: Vec<Read>,
    /// What a reader has put together with `after`, page by page, until nothing was left.
    pub collected: Vec<(Conversation, Vec<Message>)>,
    pub exchanges: Vec<Exchange>,
}

impl History {
    pub fn append(&mut self, mut other: Self) {
        self.sends.append(&mut other.sends);
        self.reads.append(&mut other.reads);
        self.collected.append(&mut other.collected);
        self.exchanges.append(&mut other.exchanges);
    }

    pub fn acknowledged(&self) -> impl Iterator<Item = (&Send, &Message)> {
        self.sends.iter().filter_map(|send| match &send.outcome {
            Outcome::Acknowledged(message) => Some((send, message)),
            Outcome::Refused | Outcome::Unknown => None,
        })
    }
}
