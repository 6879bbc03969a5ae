//! What a client knows of a user's conversations, and what is true of them.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::Row;

use super::{Answer, Call, Database, Session};

/// A user's conversations by peer, as a client or the truth has them: the newest id, unread, and both markers.
pub type State = BTreeMap<String, [i64; 4]>;

/// A client that knows everything up to a position.
#[derive(Clone, Default)]
pub struct Device {
    pub state: State,
    position: i64,
}

impl Device {
    /// Asks for changes once, and returns whether more are to be had at once; none if there was no answer.
    pub fn sync(
        &mut self,
        session: &Session<'_>,
        limit: usize,
        ask: impl FnOnce(&Call<'_>) -> Option<Answer>,
    ) -> Option<bool> {
        let query = format!("after={}&limit={limit}", self.position);
        let changes = ask(&session.call("get_changes").query(&query))?.body;
        self.learn(&changes);
        let position = changes["position"].as_i64().unwrap();
        assert!(position >= self.position, "positions never go back");
        self.position = position;
        Some(changes["more"] == true)
    }

    fn learn(&mut self, page: &Value) {
        for conversation in page["conversations"].as_array().unwrap() {
            let number = |value: &Value| value.as_i64().unwrap();
            let seen = [
                number(&conversation["last_message"]["id"]),
                number(&conversation["unread"]),
                number(&conversation["read_id"]),
                number(&conversation["peer_read_id"]),
            ];
            let known = self.state.insert(conversation["peer"].as_str().unwrap().into(), seen);
            let goes_back = |known: [i64; 4]| [0, 2, 3].iter().any(|n| known[*n] > seen[*n]);
            assert!(!known.is_some_and(goes_back), "{known:?}, then {seen:?}");
        }
    }

    /// Pages through the inbox, as a client that knows nothing.
    pub fn page(session: &Session<'_>, limit: usize, ask: impl Fn(&Call<'_>) -> Answer) -> Self {
        let mut device = Self::default();
        let first = format!("limit={limit}");
        let mut query = first.clone();
        loop {
            let call = session.call("get_conversations").query(&query);
            let page = ask(&call).body;
            let mut shown = Self::default();
            shown.learn(&page);
            for (peer, seen) in shown.state {
                device.state.entry(peer).or_insert(seen);
            }
            if query == first {
                device.position = page["position"].as_i64().unwrap();
            }
            let Some(next) = page["next"].as_str() else { break device };
            query = format!("{first}&before={next}");
        }
    }
}

/// What a user's conversations are, computed from the messages and the markers.
pub fn truth(database: &Database, user: &str) -> State {
    let rows = database.rows(&format!(
        "SELECT m.peer,
                (SELECT MAX(id) FROM messages l WHERE l.conversation_id = m.conversation_id),
                (SELECT COUNT(*) FROM messages l
                  WHERE l.conversation_id = m.conversation_id AND l.id > m.read_id
                    AND l.sender = m.peer AND m.peer <> m.username),
                m.read_id, p.read_id
           FROM memberships m JOIN memberships p ON p.username = m.peer AND p.peer = m.username
          WHERE m.username = '{user}' AND m.last_time IS NOT NULL"
    ));
    rows.iter().map(|row| (row.get(0), [row.get(1), row.get(2), row.get(3), row.get(4)])).collect()
}
