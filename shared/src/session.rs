//! Sessions: tokens, Login and Logout.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::database::Database;
use crate::user::{PasswordHash, User, Username};
use crate::{Error, Invalid, random_bytes};

/// The statement of [`begin_login`].
pub const BEGIN_LOGIN: &str = "CALL begin_login(?, ?)";
/// The statement of [`login`].
pub const LOGIN: &str = "CALL login(?, ?, ?)";
/// The statement of [`logout`].
pub const LOGOUT: &str = "CALL logout(?, ?, ?)";

/// The secret that opens a session: 32 random bytes, written as 43 characters of base64url (RFC 4648,
/// section 5). It can't be printed.
pub struct Token([u8; 32]);

impl Token {
    /// Reads a token as a client sends it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // `decode_slice` would take a shorter text.
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| "must be the 43 characters of base64url that Login answered".into())
    }

    /// A new token.
    fn random() -> Self {
        Self(random_bytes())
    }

    /// The token in clear, as the client is to send it.
    #[must_use]
    pub fn reveal(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What the database knows of the token: its SHA-256.
    #[must_use]
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0).to_vec()
    }
}

/// Where a login comes from, for counting failures: an IPv4 address, or the /64 network of an IPv6 one,
/// which is what one customer of a provider has at the least.
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

/// First half of Login: counts a failed attempt, which [`login`] takes back, and returns the user's password
/// hash, or `None` where nobody has the name.
///
/// Fails with [`Error::TooManyAttempts`], and then counts nothing. Repeated after a lost reply it counts
/// twice, which errs on the safe side.
pub async fn begin_login(
    database: &Database,
    username: &Username,
    source: &Source,
) -> Result<Option<PasswordHash>, Error> {
    let rows = database.call(|| sqlx::query(BEGIN_LOGIN).bind(username.as_str()).bind(&source.0)).await?;
    let hash: Option<String> = rows[0].try_get(1)?;
    Ok(hash.map(PasswordHash))
}

/// Second half of Login, once the password is known to be right: opens a session of 30 days.
///
/// Safe to repeat: the same token is the same session.
pub async fn login(database: &Database, username: &Username, source: &Source) -> Result<Session, Error> {
    let token = Token::random();
    let rows = database
        .call(|| sqlx::query(LOGIN).bind(token.hash()).bind(username.as_str()).bind(&source.0))
        .await?;
    Ok(Session { username: rows[0].try_get(1)?, expires_at: rows[0].try_get(2)?, token })
}

/// How many of the user's sessions a logout ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The session of the request.
    This,
    /// Every session of the user, on all devices.
    Everywhere,
}

/// Ends the session that `token` opens, or all of its user's, and returns the user.
///
/// Fails with [`Error::InvalidToken`] and, where `username` is not the session's user, with
/// [`Error::Forbidden`]. Repeated after a lost reply it answers [`Error::InvalidToken`], which is then true.
pub async fn logout(
    database: &Database,
    token: &Token,
    username: &Username,
    scope: Scope,
) -> Result<User, Error> {
    let everywhere = scope == Scope::Everywhere;
    let rows = database
        .call(|| sqlx::query(LOGOUT).bind(token.hash()).bind(username.as_str()).bind(everywhere))
        .await?;
    Ok(User { username: rows[0].try_get(1)?, logged_in: rows[0].try_get(2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_sent() {
        let token = Token::random();
        assert_eq!(token.reveal().len(), 43);
        assert_eq!(Token::parse(&token.reveal()).unwrap().0, token.0);
        assert_ne!(Token::random().0, token.0);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = "A".repeat(43);
        assert!(Token::parse(&good).is_ok());
        for bad in [
            "",
            "A",
            &"A".repeat(42),
            &"A".repeat(44),
            &format!("{good}="),
            &good.replacen('A', "+", 1),
            &format!("{}B", &good[1..]),
            &format!(" {good}"),
        ] {
            assert!(Token::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sources_are_addresses_and_networks() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap()).0;
        assert_eq!(source("192.0.2.1"), [192, 0, 2, 1]);
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), source("2001:db8:1:2::"));
        assert_ne!(source("2001:db8:1:2::"), source("2001:db8:1:3::"));
    }
}
