//! Sessions: beginning, listing and ending them.

use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;
use sqlx::Row;
use sqlx::mysql::MySqlRow;

use crate::connection::call_for_closed;
use crate::database::{Database, text};
use crate::password::{Hasher, Password, PasswordHash};
use crate::token::Token;
use crate::user::{User, Username};
use crate::{Error, Invalid};

/// The statement of [`begin_login`].
pub const BEGIN_LOGIN: &str = "CALL begin_login(?, ?)";
/// The statement of [`fail_login`].
pub const FAIL_LOGIN: &str = "CALL fail_login(?, ?)";
/// The statement of the first half of [`reauthenticate`]; the other is [`FAIL_LOGIN`].
pub const BEGIN_REAUTHENTICATION: &str = "CALL begin_reauthentication(?, ?, ?)";
/// The statement of [`login`].
pub const LOGIN: &str = "CALL login(?, ?, ?, ?, ?)";
/// The statement of [`logout`].
pub const LOGOUT: &str = "CALL logout(?, ?, ?)";
/// The statement of [`get_sessions`].
pub const GET_SESSIONS: &str = "CALL get_sessions(?)";
/// The statement of [`end_session`].
pub const END_SESSION: &str = "CALL end_session(?, ?, UNHEX(?))";

/// Where a login comes from, for counting failures: an IPv4 address, or the /64 network of an IPv6 one,
/// the least that a provider gives to one customer.
pub struct Source(pub(crate) Vec<u8>);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        })
    }
}

/// What a client calls the device that it runs on: 1–64 code points, none of them a control character.
pub struct Device(String);

impl FromStr for Device {
    type Err = Invalid;

    /// Checks length and characters.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !(1..=64).contains(&text.chars().count()) {
            return Err("must have 1 to 64 characters".into());
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters".into());
        }
        Ok(Self(text.to_owned()))
    }
}

/// What names a session, and does not open it: the SHA-256 of its token, in 64 hexadecimal digits.
pub struct SessionId(String);

impl FromStr for SessionId {
    type Err = Invalid;

    /// Checks the syntax, not whether there is such a session.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return Err("must be the `id` of a session".into());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A session just opened.
pub struct NewSession {
    /// The user's name as created.
    pub username: String,
    /// What opens the session.
    pub token: Token,
    /// When the session ends: RFC 3339 in UTC with microseconds.
    pub expires_at: String,
}

/// A live session, as its user sees it.
#[derive(Serialize)]
pub struct Session {
    /// What names it.
    pub id: String,
    /// What the client called its device when it logged in.
    pub device: Option<String>,
    /// When it began: RFC 3339 in UTC with microseconds.
    pub created_at: String,
    /// When it ends, in the same form.
    pub expires_at: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Session {
    /// Reads the five columns from `column` on.
    fn from_row(row: &MySqlRow, column: usize) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get(column)?,
            device: row.try_get::<Option<_>, _>(column + 1)?.map(text).transpose()?,
            created_at: row.try_get(column + 2)?,
            expires_at: row.try_get(column + 3)?,
            current: row.try_get(column + 4)?,
        })
    }
}

/// The live sessions of a user.
#[derive(Serialize)]
pub struct Sessions {
    /// The user's name as created.
    #[serde(skip)]
    pub username: String,
    /// The newest first; 1,000 at the most.
    pub sessions: Vec<Session>,
}

/// First half of Login: the hash that the user's password has to match, or `None` if there is no such user.
///
/// Fails with [`Error::TooManyAttempts`].
pub async fn begin_login(
    database: &Database,
    username: &Username,
    source: &Source,
) -> Result<Option<PasswordHash>, Error> {
    let row =
        database.call(&["ok"], || sqlx::query(BEGIN_LOGIN).bind(username.as_str()).bind(&source.0)).await?;
    let hash: Option<&str> = row.try_get(1)?;
    Ok(hash.map(PasswordHash::stored).transpose()?)
}

/// Second half of Login, if the password was wrong: counts the failure.
///
/// Repeated after a lost reply it counts twice, which errs on the safe side.
pub async fn fail_login(database: &Database, username: &Username, source: &Source) -> Result<(), Error> {
    database.call(&["ok"], || sqlx::query(FAIL_LOGIN).bind(username.as_str()).bind(&source.0)).await?;
    Ok(())
}

/// First half of an operation that takes a session and the password of its user, who is `username`: checks both, under the
/// throttle of Login, and returns the hash that `password` matches.
///
/// Fails with [`Error::InvalidToken`], [`Error::Forbidden`], [`Error::TooManyAttempts`] and [`Error::InvalidCredentials`].
pub async fn reauthenticate(
    database: &Database,
    hasher: &Hasher,
    token: &Token,
    username: &Username,
    password: &Password,
    source: &Source,
) -> Result<PasswordHash, Error> {
    let row = database
        .call(&["ok"], || {
            sqlx::query(BEGIN_REAUTHENTICATION).bind(token.hash()).bind(username.as_str()).bind(&source.0)
        })
        .await?;
    // Without one the user was deleted just now, and the session with it.
    let hash = row.try_get::<Option<&str>, _>(1)?.ok_or(Error::InvalidToken)?;
    let Some(hash) = hasher.check(password, Some(PasswordHash::stored(hash)?)) else {
        fail_login(database, username, source).await?;
        return Err(Error::InvalidCredentials);
    };
    Ok(hash)
}

/// Second half of Login, if the password matches `hash`: opens a session of 30 days.
///
/// Fails with [`Error::InvalidCredentials`] if `hash` is no longer the user's. Safe to repeat: the same token is the
/// same session.
pub async fn login(
    database: &Database,
    username: &Username,
    hash: &PasswordHash,
    source: &Source,
    device: Option<&Device>,
) -> Result<NewSession, Error> {
    let token = Token::random();
    let row = database
        .call(&["ok"], || {
            sqlx::query(LOGIN)
                .bind(token.hash())
                .bind(username.as_str())
                .bind(hash.as_str())
                .bind(&source.0)
                // As bytes, which no character set of the session or the server can change.
                .bind(device.map(|device| device.0.as_bytes()))
        })
        .await?;
    Ok(NewSession { username: row.try_get(1)?, expires_at: row.try_get(2)?, token })
}

/// Ends the session that `token` opens, or with `everywhere` all of its user's. Returns the user, and the connections that
/// are to be closed.
///
/// Fails with [`Error::InvalidToken`] and, if `username` is not the session's user, with
/// [`Error::Forbidden`]. Repeated after a lost reply it answers [`Error::InvalidToken`], which is then true.
pub async fn logout(
    database: &Database,
    token: &Token,
    username: &Username,
    everywhere: bool,
) -> Result<(User, Vec<String>), Error> {
    let query = || sqlx::query(LOGOUT).bind(token.hash()).bind(username.as_str()).bind(everywhere);
    let (row, closed) = call_for_closed(database, query).await?;
    Ok((User { username: row.try_get(1)?, logged_in: row.try_get(2)? }, closed))
}

/// The live sessions of the user whose session `token` opens.
///
/// Fails with [`Error::InvalidToken`].
pub async fn get_sessions(database: &Database, token: &Token) -> Result<Sessions, Error> {
    let rows = database.call_for_rows(|| sqlx::query(GET_SESSIONS).bind(token.hash())).await?;
    Ok(Sessions {
        username: rows[0].try_get(1)?,
        sessions: rows.iter().map(|row| Session::from_row(row, 2)).collect::<Result<_, _>>()?,
    })
}

/// Ends the session `id` of the user whose session `token` opens, be it the same or another. Returns the user, and the
/// connections that are to be closed.
///
/// Fails with [`Error::InvalidToken`], with [`Error::Forbidden`] if `username` is not the session's user, and with
/// [`Error::UnknownSession`]. Repeated after a lost reply it answers the first or the last of these, which is then true.
pub async fn end_session(
    database: &Database,
    token: &Token,
    username: &Username,
    id: &SessionId,
) -> Result<(User, Vec<String>), Error> {
    let query = || sqlx::query(END_SESSION).bind(token.hash()).bind(username.as_str()).bind(&id.0);
    let (row, closed) = call_for_closed(database, query).await?;
    Ok((User { username: row.try_get(1)?, logged_in: row.try_get(2)? }, closed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_addresses_and_networks() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap()).0;
        assert_eq!(source("192.0.2.1"), [192, 0, 2, 1]);
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), source("2001:db8:1:2::"));
        assert_ne!(source("2001:db8:1:2::"), source("2001:db8:1:3::"));
    }
}
