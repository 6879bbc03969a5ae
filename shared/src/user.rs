//! Users: their names and passwords.

use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::Serialize;
use sqlx::Row;

use crate::database::Database;
use crate::token::Token;
use crate::{Bounded, Error, Invalid};

/// The statement of [`create_user`].
pub const CREATE_USER: &str = "CALL create_user(?, ?)";
/// The statement of [`get_users`].
pub const GET_USERS: &str = "CALL get_users(?, ?, ?)";

/// A user's name: 3–64 of `A–Z a–z 0–9 . _ - @ +`, the first a letter or digit; the same user in any case.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Username(String);

impl FromStr for Username {
    type Err = Invalid;

    /// Checks the syntax; whether there is such a user is not asked.
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
    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A password as a user types it: 8–128 code points, taken exactly as sent. It can't be printed.
pub struct Password(String);

/// The common passwords of 8 characters or more, one a line, in lower case: the list by Royce Williams that
/// Django 5.2 ships as `contrib/auth/common-passwords.txt.gz` (BSD licence), without its unreadable lines.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

/// The hash of a password that nobody has, with the parameters of [`argon2`], so that the name of a user
/// who does not exist takes as long to refuse as a wrong password.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$UoUaDFM/sr2ovRRIuFghNg$Py0FoQ/XsYrzaTU8RJApVZeOP7lak405KMFXsYsoTLQ";

/// Argon2id with the parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 iterations, 1 lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl FromStr for Password {
    type Err = Invalid;

    /// Checks the length only: whether the password is a good one matters to new users alone.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !(8..=128).contains(&text.chars().count()) {
            return Err("must have 8 to 128 characters".into());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Password {
    /// Refuses what OWASP ASVS 5 (6.2.4, 6.2.11) does at its first level: common passwords and those that contain
    /// the username, where that has 4 characters or more. Case makes no difference.
    pub fn check_strength(&self, username: &Username) -> Result<(), Invalid> {
        let password = self.0.to_lowercase();
        if COMMON_PASSWORDS.lines().any(|common| common == password) {
            return Err(
                "is one of the most common passwords, which are tried first by attackers; choose another"
                    .into(),
            );
        }
        let username = username.0.to_lowercase();
        if username.len() >= 4 && password.contains(&username) {
            return Err("contains the username, which makes it easy to guess; choose another".into());
        }
        Ok(())
    }

    /// Hashes the password with a new salt; takes tens of milliseconds by intent.
    ///
    /// # Panics
    /// Where the operating system has no randomness to give.
    #[must_use]
    pub fn hash(&self) -> PasswordHash {
        let hash: Phc =
            argon2().hash_password(self.0.as_bytes()).expect("the salt comes from the operating system");
        PasswordHash(hash.to_string())
    }

    /// Whether the password is the one that was hashed; `None`, for a user who does not exist, takes just
    /// as long and is never right.
    #[must_use]
    pub fn matches(&self, hash: Option<&PasswordHash>) -> bool {
        let text = hash.map_or(NOBODYS_HASH, |hash| &hash.0);
        let matches =
            Phc::new(text).is_ok_and(|phc| argon2().verify_password(self.0.as_bytes(), &phc).is_ok());
        matches && hash.is_some()
    }
}

/// An argon2id hash as a PHC string. It can't be printed.
pub struct PasswordHash(pub(crate) String);

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
    database.call(|| sqlx::query(CREATE_USER).bind(username.as_str()).bind(&password.0)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        let check = |username: &str, password: &str| {
            let (username, password) =
                (username.parse::<Username>().unwrap(), password.parse::<Password>().unwrap());
            password.check_strength(&username).map_err(|invalid| invalid.to_string())
        };
        assert!(check("alice", "password1").unwrap_err().contains("common"));
        assert!(check("alice", "PassWord1").unwrap_err().contains("common"));
        assert!(check("alice", "my-ALICE-secret").unwrap_err().contains("username"));
        assert!(check("Alice", "correct horse battery").is_ok());
        assert!(check("bob", "bobs long secret").is_ok(), "a name of 3 characters may appear");
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let password = "correct horse".parse::<Password>().unwrap();
        let hash = password.hash();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(password.matches(Some(&hash)));
        assert!(!"Correct horse".parse::<Password>().unwrap().matches(Some(&hash)));
        assert!(!password.matches(None));
        assert!(!password.matches(Some(&PasswordHash("not a hash".into()))));
        assert_ne!(password.hash().0, hash.0, "every hash has a salt of its own");
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_costs() {
        let (nobodys, real) = (Phc::new(NOBODYS_HASH).unwrap(), Password("x".into()).hash());
        let real = Phc::new(&real.0).unwrap();
        assert_eq!(nobodys.algorithm, real.algorithm);
        assert_eq!(nobodys.params, real.params);
        assert_eq!(nobodys.hash.unwrap().len(), real.hash.unwrap().len());
    }
}
