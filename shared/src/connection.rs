//! Open WebSocket connections, and what they are to be told.

use sqlx::Row;
use sqlx::mysql::{MySql, MySqlArguments, MySqlRow};
use sqlx::query::Query;

use crate::Error;
use crate::conversation::Conversation;
use crate::database::{Database, text};
use crate::token::Token;

/// The statement of [`connect`].
pub const CONNECT: &str = "CALL connect(?, ?)";
/// The statement of [`disconnect`].
pub const DISCONNECT: &str = "CALL disconnect(?)";

/// A conversation that a connection is to be told of, in a state that has just been committed.
pub struct Push {
    /// API Gateway's id of the connection.
    pub connection: String,
    /// The conversation as the connection's user sees it.
    pub conversation: Conversation,
}

impl Push {
    pub(crate) fn from_row(row: &MySqlRow) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: text(row.try_get(1)?)?, conversation: Conversation::from_row(row, 2)? })
    }
}

/// Notes a connection of the session's user. Returns those that it displaces, which are to be closed.
///
/// Fails with [`Error::InvalidToken`]. Safe to repeat.
pub async fn connect(database: &Database, token: &Token, connection: &str) -> Result<Vec<String>, Error> {
    let query = || sqlx::query(CONNECT).bind(token.hash()).bind(connection.as_bytes());
    let (_, displaced) = call_for_closed(database, query).await?;
    Ok(displaced)
}

/// Forgets a connection that has gone; not if it is younger than 30 s, as it may not be open yet.
pub async fn disconnect(database: &Database, connection: &str) -> Result<(), Error> {
    database.call(&["ok"], || sqlx::query(DISCONNECT).bind(connection.as_bytes())).await?;
    Ok(())
}

/// Calls a procedure that answers one row as `ok`, and behind it the connections that are to be closed.
///
/// Fails as [`Database::call`] does.
pub(crate) async fn call_for_closed<'q>(
    database: &Database,
    query: impl Fn() -> Query<'q, MySql, MySqlArguments>,
) -> Result<(MySqlRow, Vec<String>), Error> {
    let (row, closed) = database.call_for_more(&["ok"], "close", query).await?;
    let closed = closed.iter().map(|row| text(row.try_get(1)?)).collect::<Result<_, _>>()?;
    Ok((row, closed))
}
