//! Why a value or an operation was refused.

use std::borrow::Cow;

use sqlx::Row;
use sqlx::mysql::MySqlRow;

use crate::database::DatabaseError;

/// Why a value is not what it should be: what is asked for, worded to follow the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub Cow<'static, str>);

impl From<&'static str> for Invalid {
    fn from(detail: &'static str) -> Self {
        Self(Cow::Borrowed(detail))
    }
}

/// Why an operation was refused. `Display` is the text for the caller: it says what to do and tells
/// nothing about the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No live session has this token.
    #[error("The session is unknown or has ended; log in again.")]
    InvalidToken,
    /// The session belongs to somebody else than the user in whose name the request speaks.
    #[error(
        "The session is not that of the user in `{field}`; everyone can speak and read as themselves only."
    )]
    Forbidden {
        /// The field that has to name the caller.
        field: String,
    },
    /// There is no user of the receiver's name.
    #[error("No user has the receiver's name; check its spelling.")]
    UnknownReceiver,
    /// The idempotency key belongs to a message to another receiver or with another text.
    #[error("This Idempotency-Key was used for another message; use a new key for a new message.")]
    KeyReused,
    /// The name is in use, perhaps in other letter case.
    #[error("This username is taken; choose another.")]
    UsernameTaken,
    /// Too many failed logins in a row.
    #[error("Too many failed logins for this username; try again in {wait_seconds} seconds.")]
    TooManyAttempts {
        /// Seconds until the next attempt is let through.
        wait_seconds: u32,
    },
    /// The database is away, slow, full or failing over. The cause is for the log.
    #[error("The service is not available at the moment; try again shortly.")]
    Unavailable(#[source] DatabaseError),
    /// A statement that is wrong, or an answer that this code does not understand: a bug.
    #[error("Something went wrong on our side.")]
    Unexpected(#[source] DatabaseError),
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        if error.is_bug() { Self::Unexpected(error) } else { Self::Unavailable(error) }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl Error {
    /// The refusal that a procedure's answer stands for, if it is one. The first column of its first row is
    /// the outcome; every other word than these is a success, and so is an empty page.
    pub(crate) fn from_answer(rows: &[MySqlRow]) -> Result<Option<Self>, Self> {
        let Some(first) = rows.first() else { return Ok(None) };
        Ok(Some(match first.try_get(0)? {
            "invalid_token" => Self::InvalidToken,
            "forbidden" => Self::Forbidden { field: first.try_get(1)? },
            "unknown_receiver" => Self::UnknownReceiver,
            "key_reused" => Self::KeyReused,
            "username_taken" => Self::UsernameTaken,
            "too_many_attempts" => Self::TooManyAttempts {
                wait_seconds: first.try_get::<i64, _>(1)?.try_into().unwrap_or(u32::MAX),
            },
            _ => return Ok(None),
        }))
    }
}
