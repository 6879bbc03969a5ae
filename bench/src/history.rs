//! The history that the database is filled with: conversations of a few messages and of very many, interleaved in
//! time as they are in life, once in the service's tables and once in one of the usual form.

use std::sync::atomic::{AtomicU64, Ordering};

use shared::token::Token;

use crate::database::Database;

/// The user in whose conversations pages are measured.
pub const READER: &str = "reader";
/// How many sessions of the first user there are to be ended.
const SESSIONS: u64 = 50_000;

/// What was loaded.
pub struct History {
    /// How many messages.
    pub rows: u64,
    /// The conversations of [`READER`], from small to large.
    pub probes: Vec<Conversation>,
    /// How many conversations the users `inbox0000010` … have, from few to many.
    pub inboxes: Vec<u64>,
    sessions_used: AtomicU64,
}

/// A conversation of [`READER`].
pub struct Conversation {
    pub id: u64,
    pub peer: String,
    /// How many messages it has.
    pub size: u64,
}

/// A user who has a session; there are a thousand at least.
pub fn user(number: usize) -> String {
    format!("user{number:07}")
}

/// The token of a session: its name, a user's mostly, filled up.
pub fn token(name: &str) -> String {
    format!("{name:-<42}A")
}

/// What the database knows of the token.
pub fn hash(name: &str) -> Vec<u8> {
    token(name).parse::<Token>().expect("a token").hash()
}

impl History {
    /// Fills the database with `rows` messages: a tenth of them in conversations of 40 on average, the others in those
    /// of [`READER`] with 100, 1,000 … messages and, the last, with as many as remain.
    pub fn load(database: &Database, rows: u64) -> Self {
        eprintln!("Loading {rows} messages, twice");
        let crowd = rows / 4_000 * 10;
        let mut probes = Vec::new();
        let (mut left, mut size) = (rows - crowd * 40, 100);
        while left > 0 {
            let (id, peer) = (crowd + 1 + probes.len() as u64, format!("peer{size:09}"));
            probes.push(Conversation { id, peer, size: size.min(left) });
            left -= size.min(left);
            size *= 10;
        }
        let row = |probe: &Conversation| {
            format!("({}, '{}', 'reader', {}, '2026-01-01', 240)", probe.id, probe.peer, probe.size)
        };
        let inboxes: Vec<_> = [10, 1_000, 100_000].into_iter().filter(|size| *size <= rows / 10).collect();
        let values = [
            ("$rows", rows.max(SESSIONS).to_string()),
            ("$crowd", crowd.to_string()),
            ("$users", (rows / 100).max(1_000).to_string()),
            ("$sessions", SESSIONS.to_string()),
            (
                "$inboxes",
                inboxes.iter().map(|size| format!("SELECT {size}")).collect::<Vec<_>>().join(" UNION "),
            ),
            ("$probes", probes.iter().map(row).collect::<Vec<_>>().join(", ")),
        ];
        let mut connection = database.connect();
        let script = include_str!("history.sql").to_owned();
        let script = values.iter().fold(script, |sql, (name, value)| sql.replace(name, value));
        for sql in script.split(";\n") {
            connection.execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        probes.sort_by_key(|probe| probe.size);
        Self { rows, probes, inboxes, sessions_used: AtomicU64::new(0) }
    }

    /// The name of one more session of the first user.
    pub fn session(&self) -> String {
        let number = self.sessions_used.fetch_add(1, Ordering::Relaxed);
        assert!(number < SESSIONS, "more sessions are needed");
        format!("session{number}")
    }
}
