//! Sessions: Login and Logout.

use std::net::IpAddr;

use sqlx::Row;

use crate::Error;
use crate::connection;
use crate::database::Database;
use crate::password::PasswordHash;
use crate::token::Token;
use crate::user::{User, Username};

/// The statement of [`begin_login`].
pub const BEGIN_LOGIN: &str = "CALL begin_login(?, ?)";
/// The statement of [`fail_login`].
pub const FAIL_LOGIN: &str = "CALL fail_login(?, ?)";
/// The statement of [`login`].
pub const LOGIN: &str = "CALL login(?, ?, ?, ?)";
/// The statement of [`logout`].
pub const LOGOUT: &str = "CALL logout(?, ?, ?)";

/// Where a login comes from, for counting failures: an IPv4 address, or the /64 network of an IPv6 one,
/// the least that a provider gives to one customer.
pub struct Source(Vec<u8>);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        })
    }
}

/// A session just opened.
pub struct Session {
    /// The user's name as created.
    pub username: String,
    /// What opens the session.
    pub token: Token,
    /// When the session ends: RFC 3339 in UTC with microseconds.
    pub expires_at: String,
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

/// Second half of Login, if the password matches `hash`: opens a session of 30 days.
///
/// Fails with [`Error::InvalidCredentials`] if `hash` is no longer the user's. Safe to repeat: the same token is the
/// same session.
pub async fn login(
    database: &Database,
    username: &Username,
    hash: &PasswordHash,
    source: &Source,
) -> Result<Session, Error> {
    let token = Token::random();
    let row = database
        .call(&["ok"], || {
            sqlx::query(LOGIN).bind(token.hash()).bind(username.as_str()).bind(hash.as_str()).bind(&source.0)
        })
        .await?;
    Ok(Session { username: row.try_get(1)?, expires_at: row.try_get(2)?, token })
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
    let (row, closed) = database.call_for_more(&["ok"], "close", query).await?;
    let user = User { username: row.try_get(1)?, logged_in: row.try_get(2)? };
    Ok((user, connection::closed(&closed)?))
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
