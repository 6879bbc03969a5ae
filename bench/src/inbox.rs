//! The inbox, what has changed in it, and read markers, of users with few conversations and with very many.

use serde_json::{Value, json};
use shared::conversation::{GET_CHANGES, GET_CONVERSATIONS, MARK_READ};

use crate::Bench;
use crate::history::{READER, hash};
use crate::operations::Request;
use crate::pages::thousands;
use crate::report::{Report, Way};

pub const INBOX: &str = "Inbox and changes";

const GET_CONVERSATIONS_EVENT: &str = include_str!("../../events/get_conversations.json");
const GET_CHANGES_EVENT: &str = include_str!("../../events/get_changes.json");
const MARK_READ_EVENT: &str = include_str!("../../events/mark_read.json");

/// How far a run of `MarkRead` moves the marker: so many messages are counted.
const STEP: u64 = 10;

/// What is asked of an inbox, and how many changes ago the client asked before; the inbox itself has no such number.
pub const QUESTIONS: [(&str, Option<u64>); 4] =
    [("a page of 50", None), ("nothing new", Some(0)), ("1 change", Some(1)), ("50 changes", Some(50))];

/// What a question is called in the report.
pub fn case(size: u64, what: &str) -> String {
    format!("{} conversations, {what}", thousands(size))
}

/// Measures the three operations.
pub fn measure(bench: &Bench, report: &mut Report) {
    let Bench { database, history, runs } = bench;
    let inbox = &database.function("get_conversations", 1);
    let changes = &database.function("get_changes", 1);
    let mut ways = Vec::new();
    for &size in &history.inboxes {
        let user = format!("inbox{size:07}");
        for (what, ago) in QUESTIONS {
            if ago.is_some_and(|ago| ago > size) {
                continue;
            }
            let (case, token) = (case(size, what), hash(&user));
            let mut connection = database.connect();
            let (request, function) = match ago {
                None => (Request::new(GET_CONVERSATIONS_EVENT, &user, &Value::Null), inbox),
                Some(ago) => {
                    let request = Request::new(GET_CHANGES_EVENT, &user, &Value::Null);
                    (request.query(&format!("after={}", size - ago)), changes)
                }
            };
            ways.push(Way::new(&case, "bare CALL", move || {
                let call = sqlx::query(if ago.is_some() { GET_CHANGES } else { GET_CONVERSATIONS });
                let call = call.bind(token.clone());
                connection.timed(match ago {
                    None => call.bind(51).bind(None::<i64>).bind(None::<String>),
                    Some(ago) => call.bind(size - ago).bind(51),
                })
            }));
            ways.push(Way::new(&case, "function", move || request.send(function)));
        }
    }
    report.compare(INBOX, *runs, vec![ways], || ());

    let conversation = history.probes.last().expect("conversations");
    let mark_read = &database.function("mark_read", 1);
    let id = &std::cell::Cell::new(0);
    let next = move || {
        id.set(id.get() + STEP);
        id.get()
    };
    let mut connection = database.connect();
    let ways = vec![
        Way::new("MarkRead", "bare CALL", move || {
            let call = sqlx::query(MARK_READ).bind(hash(READER)).bind(conversation.peer.clone()).bind(READER);
            connection.timed(call.bind(next()))
        }),
        Way::new("MarkRead", "function", move || {
            let body = json!({"sender": conversation.peer, "receiver": READER, "id": next()});
            Request::new(MARK_READ_EVENT, READER, &body).send(mark_read)
        }),
    ];
    report.compare(INBOX, *runs, vec![ways], || ());
}
