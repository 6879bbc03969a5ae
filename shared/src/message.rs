//! Messages: sending them, and reading the history of a conversation.

use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::mysql::MySqlRow;

use crate::connection::Push;
use crate::database::{Database, DatabaseError, text};
use crate::number::MAX_SAFE_INTEGER;
use crate::token::Token;
use crate::user::Username;
use crate::{Bounded, Error, Invalid, random_bytes};

/// The statement of [`send_message`].
pub const SEND_MESSAGE: &str = "CALL send_message(?, ?, ?, ?, ?)";
/// The statement of [`get_messages`].
pub const GET_MESSAGES: &str = "CALL get_messages(?, ?, ?, ?, ?, ?, ?)";

/// A message's text: 1–16,384 bytes of UTF-8, kept byte for byte. It can't be printed.
pub struct Text(String);

impl FromStr for Text {
    type Err = Invalid;

    /// Checks the length.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.len() {
            1..=16_384 => Ok(Self(text.to_owned())),
            0 => Err("must not be empty".into()),
            length => Err(Invalid(format!("has {length} bytes of UTF-8; at most 16384 are allowed").into())),
        }
    }
}

/// What makes sends of one sender the same send: the first half of the SHA-256 of the client's key.
pub struct IdempotencyKey([u8; 16]);

impl FromStr for IdempotencyKey {
    type Err = Invalid;

    /// Reads a key as a client sends it: 1–255 visible ASCII characters.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !(1..=255).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("must be 1 to 255 visible ASCII characters".into());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(text)[..16]);
        Ok(Self(key))
    }
}

impl IdempotencyKey {
    /// A key for a send without one, so that it too can be repeated inside its request.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }
}

/// A message as it is stored.
#[derive(Serialize)]
pub struct Message {
    /// Its place in its conversation: 1, 2, 3 … in commit order.
    pub id: i64,
    /// The sender's name as created.
    pub sender: String,
    /// The receiver's name as created.
    pub receiver: String,
    /// The text.
    #[serde(rename = "message")]
    pub text: String,
    /// When it was stored, by the database's clock: RFC 3339 in UTC with microseconds.
    pub time_stamp: String,
}

/// The outcome of a send.
pub struct Sent {
    /// The message.
    pub message: Message,
    /// Whether it had been stored before, by a send with the same key.
    pub replayed: bool,
    /// Who is to be told; nobody of a message that had been stored before.
    pub pushes: Vec<Push>,
}

/// Stores a message, once and for ever: sent again with the same `key`, the stored one is the answer.
///
/// Fails with [`Error::InvalidToken`], [`Error::Forbidden`] if `sender` is not the session's user,
/// [`Error::UnknownReceiver`], [`Error::Blocked`] and [`Error::KeyReused`].
pub async fn send_message(
    database: &Database,
    token: &Token,
    sender: &Username,
    receiver: &Username,
    text: Text,
    key: &IdempotencyKey,
) -> Result<Sent, Error> {
    let (row, pushes) = database
        .call_for_more(&["ok", "replayed"], "push", || {
            sqlx::query(SEND_MESSAGE)
                .bind(token.hash())
                .bind(sender.as_str())
                .bind(receiver.as_str())
                // As bytes, which no character set of the session or the server can change.
                .bind(text.0.as_bytes())
                .bind(&key.0[..])
        })
        .await?;
    let message = Message {
        id: row.try_get(1)?,
        sender: row.try_get(2)?,
        receiver: row.try_get(3)?,
        text: text.0,
        time_stamp: row.try_get(4)?,
    };
    let replayed = row.try_get::<&str, _>(0)? == "replayed";
    Ok(Sent { message, replayed, pushes: pushes.iter().map(Push::from_row).collect::<Result<_, _>>()? })
}

/// How many messages a page has.
pub type PageLimit = Bounded<1, 200>;

/// The id of a message.
pub type MessageId = Bounded<1, MAX_SAFE_INTEGER>;

/// Which part of a conversation a page is.
#[derive(Debug, Clone, Copy)]
pub enum Cursor {
    /// The newest messages.
    Newest,
    /// The messages just before this id.
    Before(MessageId),
    /// The messages just after this id.
    After(Bounded<0, MAX_SAFE_INTEGER>),
}

/// A part of a conversation.
#[derive(Serialize)]
pub struct Page {
    /// Messages of both directions, ascending by id.
    pub messages: Vec<Message>,
    /// Whether more lie in the direction of the cursor; without a cursor, whether there are older ones.
    pub more: bool,
}

/// Once its messages' text has this many bytes, a page ends: 200 of the longest messages, escaped as JSON, would
/// not fit into Lambda's response of 6 MB.
pub const PAGE_BYTES: i64 = 512 * 1024;

/// A page of the conversation of two users, one of whom must be the session's user. It is empty if they never
/// wrote to each other or do not exist.
///
/// Fails with [`Error::InvalidToken`] and [`Error::Forbidden`].
pub async fn get_messages(
    database: &Database,
    token: &Token,
    sender: &Username,
    receiver: &Username,
    limit: PageLimit,
    cursor: Cursor,
) -> Result<Page, Error> {
    let (before, after) = match cursor {
        Cursor::Newest => (None, None),
        Cursor::Before(id) => (Some(id.get()), None),
        Cursor::After(id) => (None, Some(id.get())),
    };
    let rows = database
        .call_for_page(|| {
            sqlx::query(GET_MESSAGES)
                .bind(token.hash())
                .bind(sender.as_str())
                .bind(receiver.as_str())
                .bind(limit.get())
                .bind(PAGE_BYTES)
                .bind(before)
                .bind(after)
        })
        .await?;
    let Some(first_row) = rows.first() else { return Ok(Page { messages: Vec::new(), more: false }) };
    let newest: i64 = first_row.try_get(1)?;
    let messages = rows.iter().map(|row| Message::from_row(row, 2)).collect::<Result<Vec<_>, _>>()?;
    let (first, last) = (messages[0].id, messages[messages.len() - 1].id);

    // Ids are dense: what lies beyond the page is known from the ids at its ends.
    let (complete, more) = match cursor {
        Cursor::Newest => (last == newest, first > 1),
        Cursor::Before(id) => (last == newest.min(id.get() - 1), first > 1),
        Cursor::After(id) => (first == id.get() + 1, last < newest),
    };
    if complete && (first..).zip(&messages).all(|(id, message)| message.id == id) {
        Ok(Page { messages, more })
    } else {
        Err(DatabaseError::Answer.into())
    }
}

impl Message {
    /// Reads the five columns from `column` on.
    pub(crate) fn from_row(row: &MySqlRow, column: usize) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get(column)?,
            sender: row.try_get(column + 1)?,
            receiver: row.try_get(column + 2)?,
            text: text(row.try_get(column + 3)?)?,
            time_stamp: row.try_get(column + 4)?,
        })
    }
}
