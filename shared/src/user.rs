//! Users: creating, listing and deleting them, and their passwords.

use std::str::FromStr;

use serde::Serialize;
use sqlx::Row;

use crate::connection::call_for_closed;
use crate::database::Database;
use crate::password::PasswordHash;
use crate::session::Source;
use crate::token::Token;
use crate::{Bounded, Error, Invalid};

/// The statement of [`create_user`].
pub const CREATE_USER: &str = "CALL create_user(?, ?)";
/// The statement of [`get_users`].
pub const GET_USERS: &str = "CALL get_users(?, ?, ?)";
/// The statement of [`change_password`].
pub const CHANGE_PASSWORD: &str = "CALL change_password(?, ?, ?, ?)";
/// The statement of [`delete_user`].
pub const DELETE_USER: &str = "CALL delete_user(?, ?)";

/// A user's name: 3–64 of `A–Z a–z 0–9 . _ - @ +`, the first a letter or digit; the same user in any letter case.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Username(String);

impl FromStr for Username {
    type Err = Invalid;

    /// Checks the syntax, not whether there is such a user.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
        if !(3..=64).contains(&text.len()) {
            return Err("must have 3 to 64 characters".into());
        }
        if !text.bytes().all(allowed) {
            return Err("may contain only the letters A–Z and a–z, digits and . _ - @ +".into());
        }
        if !text.as_bytes()[0].is_ascii_alphanumeric() {
            return Err("must begin with a letter or a digit".into());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Username {
    /// Whether both are names of the same user.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many users a page has.
pub type PageLimit = Bounded<1, 1000>;

/// A user as others see them.
#[derive(Serialize)]
pub struct User {
    /// The name as created.
    pub username: String,
    /// Whether the user has a live session.
    pub logged_in: bool,
}

/// Users in the order of their names, without regard to case.
#[derive(Serialize)]
pub struct Page {
    /// The users of this page.
    pub users: Vec<User>,
    /// The name after which the next page begins; `None` on the last page.
    pub next: Option<String>,
}

/// Creates a user who is not logged in.
///
/// Fails with [`Error::UsernameTaken`]. Safe to repeat: the same hash, salt and all, is the same creation.
pub async fn create_user(
    database: &Database,
    username: &Username,
    password: &PasswordHash,
) -> Result<User, Error> {
    database
        .call(&["ok"], || sqlx::query(CREATE_USER).bind(username.as_str()).bind(password.as_str()))
        .await?;
    Ok(User { username: username.0.clone(), logged_in: false })
}

/// The first `limit` users after the name `after`, or from the start, for the user whose session `token` opens.
///
/// Fails with [`Error::InvalidToken`].
pub async fn get_users(
    database: &Database,
    token: &Token,
    limit: PageLimit,
    after: Option<&Username>,
) -> Result<Page, Error> {
    // One more than the page holds tells whether another page follows.
    let rows = database
        .call_for_page(|| {
            sqlx::query(GET_USERS).bind(token.hash()).bind(limit.get() + 1).bind(after.map(Username::as_str))
        })
        .await?;
    let mut users = rows
        .iter()
        .map(|row| Ok(User { username: row.try_get(1)?, logged_in: row.try_get(2)? }))
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    let next = if i64::try_from(users.len()).is_ok_and(|count| count > limit.get()) {
        users.pop();
        users.last().map(|last| last.username.clone())
    } else {
        None
    };
    Ok(Page { users, next })
}

/// Second half of `ChangePassword`, if the current password matches `hash`: `new_hash` takes its place, and all sessions of the
/// user but the one that `token` opens end. Returns the user's name as created, and the connections that are to be closed.
///
/// Fails with [`Error::InvalidToken`], and with [`Error::InvalidCredentials`] if `hash` is no longer the user's. Safe to
/// repeat: the same new hash, salt and all, is the same change.
pub async fn change_password(
    database: &Database,
    token: &Token,
    hash: &PasswordHash,
    new_hash: &PasswordHash,
    source: &Source,
) -> Result<(String, Vec<String>), Error> {
    let query = || {
        sqlx::query(CHANGE_PASSWORD)
            .bind(token.hash())
            .bind(hash.as_str())
            .bind(new_hash.as_str())
            .bind(&source.0)
    };
    let (row, closed) = call_for_closed(database, query).await?;
    Ok((row.try_get(1)?, closed))
}

/// Second half of `DeleteUser`, if the password matches `hash`: deletes the user whose session `token` opens. Returns the name
/// as created, and the connections that are to be closed.
///
/// Fails with [`Error::InvalidToken`], and with [`Error::InvalidCredentials`] if `hash` is no longer the user's. Repeated
/// after a lost reply it answers [`Error::InvalidToken`], which is then true.
pub async fn delete_user(
    database: &Database,
    token: &Token,
    hash: &PasswordHash,
) -> Result<(String, Vec<String>), Error> {
    let query = || sqlx::query(DELETE_USER).bind(token.hash()).bind(hash.as_str());
    let (row, closed) = call_for_closed(database, query).await?;
    Ok((row.try_get(1)?, closed))
}
