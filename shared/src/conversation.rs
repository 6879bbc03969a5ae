//! Conversations as one of their users sees them: the inbox, what has changed, read markers, blocks.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sqlx::Row;
use sqlx::mysql::MySqlRow;

use crate::connection::Push;
use crate::database::{Database, is_empty};
use crate::message::{Message, MessageId, PAGE_BYTES};
use crate::number::MAX_SAFE_INTEGER;
use crate::token::Token;
use crate::user::Username;
use crate::{Bounded, Error, Invalid};

/// The statement of [`get_conversations`].
pub const GET_CONVERSATIONS: &str = "CALL get_conversations(?, ?, ?, ?)";
/// The statement of [`get_changes`].
pub const GET_CHANGES: &str = "CALL get_changes(?, ?, ?)";
/// The statement of [`mark_read`].
pub const MARK_READ: &str = "CALL mark_read(?, ?, ?, ?)";
/// The statement of [`set_block`].
pub const SET_BLOCK: &str = "CALL set_block(?, ?, ?, ?)";

/// A conversation with at least one message.
#[derive(Serialize)]
pub struct Conversation {
    /// The other user's name as created; the user's own in notes to oneself.
    pub peer: String,
    /// The newest message.
    pub last_message: Message,
    /// How many messages of the peer are above `read_id`.
    pub unread: i64,
    /// How far the user has read: the id of a message, 0 at first.
    pub read_id: i64,
    /// How far the peer has read.
    pub peer_read_id: i64,
    /// Whether the user blocks the peer.
    pub blocked: bool,
}

impl Conversation {
    /// Reads the ten columns from `column` on.
    pub(crate) fn from_row(row: &MySqlRow, column: usize) -> Result<Self, sqlx::Error> {
        Ok(Self {
            peer: row.try_get(column)?,
            unread: row.try_get(column + 1)?,
            read_id: row.try_get(column + 2)?,
            peer_read_id: row.try_get(column + 3)?,
            blocked: row.try_get(column + 4)?,
            last_message: Message::from_row(row, column + 5)?,
        })
    }
}

/// How many conversations a page has.
pub type PageLimit = Bounded<1, 200>;

/// A position: the number of a change. 0 is before the first.
pub type Position = Bounded<0, MAX_SAFE_INTEGER>;

/// Where a page of the inbox begins: just after this conversation. Clients need not know what is in it.
pub struct InboxCursor {
    /// When its newest message was stored, in microseconds since 1970.
    time: i64,
    peer: String,
}

impl FromStr for InboxCursor {
    type Err = Invalid;

    /// Reads a cursor as [`Inbox::next`] has it.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let read = || {
            let (time, peer) = text.split_once('-')?;
            let time = time.parse::<Bounded<0, 99_999_999_999_999_999>>().ok()?;
            peer.parse::<Username>().ok()?;
            Some(Self { time: time.get(), peer: peer.into() })
        };
        read().ok_or_else(|| "must be the `next` of a page".into())
    }
}

impl fmt::Display for InboxCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time, self.peer)
    }
}

impl Serialize for InboxCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A page of the inbox.
#[derive(Serialize)]
pub struct Inbox {
    /// Conversations, that with the newest message first.
    pub conversations: Vec<Conversation>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<InboxCursor>,
    /// What changes after this page has a greater position.
    pub position: i64,
}

/// Conversations that have changed.
#[derive(Serialize)]
pub struct Changes {
    /// Each once, in its newest state, in the order of their changes.
    pub conversations: Vec<Conversation>,
    /// Where to go on from.
    pub position: i64,
    /// Whether there is more to be had at once.
    pub more: bool,
}

/// A read marker.
#[derive(Serialize)]
pub struct ReadMarker {
    /// How far the user has read.
    pub read_id: i64,
    /// How many messages of the peer are above it.
    pub unread: i64,
}

/// The outcome of marking.
pub struct Marked {
    /// Where the marker is.
    pub marker: ReadMarker,
    /// Who is to be told; nobody if it has not moved.
    pub pushes: Vec<Push>,
}

/// Whether somebody is blocked.
#[derive(Serialize)]
pub struct Block {
    /// The name as created.
    pub peer: String,
    /// Whether messages between the two are refused.
    pub blocked: bool,
}

/// A page of the conversations of the session's user: the first `limit`, or those after `before`.
///
/// Fails with [`Error::InvalidToken`].
pub async fn get_conversations(
    database: &Database,
    token: &Token,
    limit: PageLimit,
    before: Option<&InboxCursor>,
) -> Result<Inbox, Error> {
    let rows = database
        .call_for_rows(|| {
            sqlx::query(GET_CONVERSATIONS)
                .bind(token.hash())
                // One more than the page holds tells whether another page follows.
                .bind(limit.get() + 1)
                .bind(before.map(|cursor| cursor.time))
                .bind(before.map(|cursor| cursor.peer.as_str()))
        })
        .await?;
    let position = rows[0].try_get(1)?;
    let (conversations, cut) = page(&rows, limit, 3)?;
    let next = match (cut, conversations.last()) {
        (true, Some(last)) => {
            Some(InboxCursor { time: rows[conversations.len() - 1].try_get(2)?, peer: last.peer.clone() })
        }
        _ => None,
    };
    Ok(Inbox { conversations, next, position })
}

/// The conversations of the session's user that have changed after the position `after`, at most `limit`.
///
/// Fails with [`Error::InvalidToken`] and [`Error::UnknownPosition`].
pub async fn get_changes(
    database: &Database,
    token: &Token,
    after: Position,
    limit: PageLimit,
) -> Result<Changes, Error> {
    let rows = database
        .call_for_rows(|| sqlx::query(GET_CHANGES).bind(token.hash()).bind(after.get()).bind(limit.get() + 1))
        .await?;
    let left: bool = rows[0].try_get(2)?;
    let (conversations, cut) = page(&rows, limit, 4)?;
    let position = if cut { rows[conversations.len() - 1].try_get(3)? } else { rows[0].try_get(1)? };
    Ok(Changes { conversations, position, more: cut || left })
}

/// The conversations of a page, which begin in `column`, and whether it was cut: it ends after `limit`, or once its text
/// has reached [`PAGE_BYTES`].
fn page(rows: &[MySqlRow], limit: PageLimit, column: usize) -> Result<(Vec<Conversation>, bool), Error> {
    if is_empty(&rows[0])? {
        return Ok((Vec::new(), false));
    }
    let (mut conversations, mut bytes) = (Vec::new(), 0);
    for (count, row) in (0..).zip(rows) {
        if count == limit.get() || bytes >= PAGE_BYTES {
            return Ok((conversations, true));
        }
        let conversation = Conversation::from_row(row, column)?;
        bytes += i64::try_from(conversation.last_message.text.len()).unwrap_or(i64::MAX);
        conversations.push(conversation);
    }
    Ok((conversations, false))
}

/// Moves the read marker of the session's user, one of the two, forward to the message `id`; a smaller one changes
/// nothing. Safe to repeat.
///
/// Fails with [`Error::InvalidToken`], [`Error::Forbidden`] and [`Error::UnknownMessage`].
pub async fn mark_read(
    database: &Database,
    token: &Token,
    sender: &Username,
    receiver: &Username,
    id: MessageId,
) -> Result<Marked, Error> {
    let (row, pushes) = database
        .call_for_more(&["ok"], "push", || {
            sqlx::query(MARK_READ)
                .bind(token.hash())
                .bind(sender.as_str())
                .bind(receiver.as_str())
                .bind(id.get())
        })
        .await?;
    Ok(Marked {
        marker: ReadMarker { read_id: row.try_get(1)?, unread: row.try_get(2)? },
        pushes: pushes.iter().map(Push::from_row).collect::<Result<_, _>>()?,
    })
}

/// Has the session's user, who is `username`, block `peer`, or no longer. Once it has returned, no message between the two
/// is stored while the block lasts. Safe to repeat.
///
/// Fails with [`Error::InvalidToken`], [`Error::Forbidden`] and [`Error::UnknownUser`].
pub async fn set_block(
    database: &Database,
    token: &Token,
    username: &Username,
    peer: &Username,
    blocked: bool,
) -> Result<Block, Error> {
    let row = database
        .call(&["ok"], || {
            sqlx::query(SET_BLOCK)
                .bind(token.hash())
                .bind(username.as_str())
                .bind(peer.as_str())
                .bind(blocked)
        })
        .await?;
    Ok(Block { peer: row.try_get(1)?, blocked })
}
