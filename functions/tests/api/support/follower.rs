//! A client that follows its user's conversations by push, ids and changes, as the documents tell clients to.

use std::collections::BTreeMap;
use std::time::Duration;

use local::WebSocket;
use serde_json::{Value, json};
use sqlx::Row;

use super::inbox::State;
use super::{Database, Session};

/// Sender and text.
pub type Message = (String, String);

pub struct Follower<'a> {
    session: Session<'a>,
    socket: WebSocket,
    position: i64,
    /// The messages 1, 2, 3 … by peer.
    pub messages: BTreeMap<String, Vec<Message>>,
    pub state: State,
    /// How many messages came by push.
    pub pushed: usize,
}

impl<'a> Follower<'a> {
    /// A client that knows nothing yet.
    pub fn new(session: Session<'a>) -> Self {
        let socket = session.connect();
        let mut follower =
            Self { session, socket, position: 0, messages: BTreeMap::new(), state: State::new(), pushed: 0 };
        follower.catch_up();
        follower
    }

    /// Vanishes without a word, and comes back.
    pub fn reconnect(&mut self) {
        self.socket = self.session.connect();
        self.catch_up();
    }

    /// Asks for changes until there are no more.
    pub fn catch_up(&mut self) {
        loop {
            let changes = self.session.changes(&format!("after={}&limit=3", self.position));
            for conversation in changes["conversations"].as_array().unwrap() {
                self.learn(conversation);
            }
            self.position = changes["position"].as_i64().unwrap();
            if changes["more"] == false {
                return;
            }
        }
    }

    /// Takes one event, if it comes within `time`, and returns whether the connection is still open.
    pub fn listen(&mut self, time: Duration) -> bool {
        if let Some(text) = self.socket.receive(time) {
            let event: Value = serde_json::from_str(&text).unwrap();
            assert!(event.as_object().unwrap().keys().eq(["conversation"]), "{text}");
            self.pushed += self.learn(&event["conversation"]);
        }
        self.socket.is_open()
    }

    /// Returns how many messages the conversation itself brought.
    fn learn(&mut self, conversation: &Value) -> usize {
        let peer = conversation["peer"].as_str().unwrap();
        let number = |value: &Value| value.as_i64().unwrap();
        let last_message = &conversation["last_message"];
        let last_id = number(&last_message["id"]);
        let known = i64::try_from(self.messages.entry(peer.into()).or_default().len()).unwrap();
        let brings = last_id == known + 1 && last_message["message"].is_string();
        if brings {
            self.messages.get_mut(peer).unwrap().push(read(last_message));
        } else if last_id > known {
            self.fetch(peer);
        }

        let seen = [
            last_id,
            number(&conversation["unread"]),
            number(&conversation["read_id"]),
            number(&conversation["peer_read_id"]),
        ];
        // Whatever else has happened meanwhile, the count is that of these messages and this marker.
        let [last_id, unread, read_id, _] = seen;
        let up_to_last = (1..=last_id).zip(&self.messages[peer]);
        let of_peer = up_to_last.filter(|(id, (sender, _))| *id > read_id && sender == peer);
        let expected = if peer == self.session.username { 0 } else { of_peer.count() };
        assert_eq!(usize::try_from(unread).unwrap(), expected, "{conversation}");

        let before = *self.state.entry(peer.into()).or_default();
        let steps = [0, 2, 3].map(|n| seen[n] - before[n]);
        let (forward, back) = (steps.iter().any(|step| *step > 0), steps.iter().any(|step| *step < 0));
        assert!(!(forward && back), "of two states one is newer: {before:?}, {seen:?}");
        assert!(forward || back || seen == before, "{before:?}, {seen:?}");
        if forward {
            self.state.insert(peer.into(), seen);
        }
        usize::from(brings)
    }

    fn fetch(&mut self, peer: &str) {
        let messages = self.messages.get_mut(peer).unwrap();
        loop {
            let page = self.session.page(peer, json!({"after": messages.len()})).expect(200).body;
            for message in page["messages"].as_array().unwrap() {
                assert_eq!(message["id"], messages.len() + 1);
                messages.push(read(message));
            }
            if page["more"] == false {
                return;
            }
        }
    }
}

fn read(message: &Value) -> Message {
    let text = |name: &str| message[name].as_str().unwrap().to_owned();
    (text("sender"), text("message"))
}

/// A user's messages by peer, as they are stored.
pub fn stored(database: &Database, user: &str) -> BTreeMap<String, Vec<Message>> {
    let rows = database.rows(&format!(
        "SELECT peer, sender, CAST(message AS CHAR) FROM memberships JOIN messages USING (conversation_id)
          WHERE username = '{user}' ORDER BY peer, id"
    ));
    let mut messages = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        messages.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    messages
}
