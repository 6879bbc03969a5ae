//! Why a value or an operation was refused.

use std::borrow::Cow;

use sqlx::Row;
use sqlx::mysql::MySqlRow;

use crate::database::DatabaseError;

/// Why a value was refused: what it must be, worded to follow the name of the field.
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
    /// The session belongs to another user than the one in whose name the request speaks.
    #[error(
        "The session is not that of the user in `{field}`; everyone can speak and read as themselves only."
    )]
    Forbidden {
        /// The field that has to name the caller.
        field: String,
    },
    /// No such user, or not the user's password. Which of the two is not told.
    #[error("The username or the password is wrong.")]
    InvalidCredentials,
    /// There is no user of the receiver's name.
    #[error("No user has the receiver's name; check its spelling.")]
    UnknownReceiver,
    /// One of the two has blocked the other.
    #[error("One of you has blocked the other; the message was not stored.")]
    Blocked,
    /// There is no such user.
    #[error("No user has this name; check its spelling.")]
    UnknownUser,
    /// The conversation has no message of this id yet, or there is no such conversation.
    #[error("The conversation has no message of this id; mark up to one that you have read.")]
    UnknownMessage,
    /// The user has no live session of this id.
    #[error("You have no live session of this id; it has ended, or is not yours.")]
    UnknownSession,
    /// The position is beyond the newest one, as after a restore from a backup.
    #[error("This position does not exist; begin again without `after`.")]
    UnknownPosition,
    /// The idempotency key belongs to a message to another receiver or with another text.
    #[error("This Idempotency-Key was used for another message; use a new key for a new message.")]
    KeyReused,
    /// The name is in use, perhaps in other letter case.
    #[error("This username is taken; choose another.")]
    UsernameTaken,
    /// Too many logins have failed, for the name or from the source.
    #[error("Too many logins have failed; try again in {wait_seconds} seconds.")]
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
    /// The refusal that a procedure's answer stands for: the first column is the outcome. A word that is not known is
    /// [`Error::Unexpected`], and never a success.
    pub(crate) fn refusal(row: &MySqlRow) -> Self {
        Self::known_refusal(row).unwrap_or_else(Self::from)
    }

    fn known_refusal(row: &MySqlRow) -> Result<Self, DatabaseError> {
        Ok(match row.try_get(0)? {
            "invalid_token" => Self::InvalidToken,
            "invalid_credentials" => Self::InvalidCredentials,
            "forbidden" => Self::Forbidden { field: row.try_get(1)? },
            "unknown_receiver" => Self::UnknownReceiver,
            "blocked" => Self::Blocked,
            "unknown_user" => Self::UnknownUser,
            "unknown_message" => Self::UnknownMessage,
            "unknown_session" => Self::UnknownSession,
            "unknown_position" => Self::UnknownPosition,
            "key_reused" => Self::KeyReused,
            "username_taken" => Self::UsernameTaken,
            "too_many_attempts" => {
                let seconds = u32::try_from(row.try_get::<i64, _>(1)?);
                Self::TooManyAttempts { wait_seconds: seconds.map_err(|_| DatabaseError::Answer)? }
            }
            _ => DatabaseError::Answer.into(),
        })
    }
}
