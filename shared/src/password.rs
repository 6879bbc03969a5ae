//! Passwords, and the hashes that are stored of them.

use std::cell::RefCell;
use std::str::FromStr;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization;

use crate::database::DatabaseError;
use crate::user::Username;
use crate::{Invalid, random_bytes};

/// A password as a user types it, normalized to NFC, so that it is the same from every keyboard and system
/// (RFC 8265, section 4.2): 8–128 code points. It can't be printed.
pub struct Password(String);

/// The common passwords of 8 characters or more, one a line, in lower case: the list by Royce Williams that
/// Django 5.2 ships as `contrib/auth/common-passwords.txt.gz` (BSD licence), without its unreadable lines.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

impl FromStr for Password {
    type Err = Invalid;

    /// Checks the length only: whether the password is a good one matters when it is chosen.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let password: String = text.nfc().collect();
        if !(8..=128).contains(&password.chars().count()) {
            return Err("must have 8 to 128 characters".into());
        }
        Ok(Self(password))
    }
}

impl Password {
    /// Refuses what OWASP ASVS 5 (6.2.4, 6.2.11) does at its first level: common passwords and those that contain
    /// the username, if that has 4 characters or more. Case makes no difference.
    pub fn check_strength(&self, username: &Username) -> Result<(), Invalid> {
        let password = self.0.to_lowercase();
        if COMMON_PASSWORDS.lines().any(|common| common == password) {
            return Err(
                "is one of the most common passwords, which are tried first by attackers; choose another"
                    .into(),
            );
        }
        let username = username.as_str().to_lowercase();
        if username.len() >= 4 && password.contains(&username) {
            return Err("contains the username, which makes it easy to guess; choose another".into());
        }
        Ok(())
    }
}

/// An argon2id hash and its salt, as a PHC string. It can't be printed.
pub struct PasswordHash {
    text: String,
    salt: Salt,
    output: Output,
}

impl PasswordHash {
    /// Reads a stored hash. One that [`Hasher`] can't have made with its present parameters is an error.
    pub(crate) fn stored(text: &str) -> Result<Self, DatabaseError> {
        let phc = Phc::new(text).map_err(|_| DatabaseError::Answer)?;
        let (Some(salt), Some(output)) = (phc.salt, phc.hash) else { return Err(DatabaseError::Answer) };
        let hash = Self::new(salt, output);
        if hash.text == text && output.len() == Params::DEFAULT_OUTPUT_LEN {
            Ok(hash)
        } else {
            Err(DatabaseError::Answer)
        }
    }

    fn new(salt: Salt, output: Output) -> Self {
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params()).expect("argon2 writes its own parameters"),
            salt: Some(salt),
            hash: Some(output),
        };
        Self { text: phc.to_string(), salt, output }
    }

    /// The PHC string, for the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 iterations, 1 lane.
fn params() -> Params {
    Params::new(19 * 1024, 2, 1, None).expect("the parameters are within argon2's bounds")
}

/// Hashes passwords, in memory that is taken once and used again: 19 MiB.
///
/// The interface of argon2 that allocates for each hash can't be used. glibc before 2.38, which Amazon Linux 2023
/// and Debian 12 have, doesn't reuse freed blocks of that size and alignment: every login would take another 19 MiB.
pub struct Hasher {
    argon2: Argon2<'static>,
    memory: RefCell<Vec<Block>>,
}

impl Hasher {
    /// Takes the memory.
    #[must_use]
    pub fn new() -> Self {
        let params = params();
        let memory = RefCell::new(vec![Block::new(); params.block_count()]);
        Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), memory }
    }

    /// Hashes a password with a new salt; takes tens of milliseconds on purpose.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn hash(&self, password: &Password) -> PasswordHash {
        let salt = Salt::new(&random_bytes::<16>()).expect("16 bytes are the length that is recommended");
        PasswordHash::new(salt, self.output(password, &salt))
    }

    /// Returns `hash` if it is the password's. `None`, for a user who does not exist, takes just as long.
    #[must_use]
    pub fn check(&self, password: &Password, hash: Option<PasswordHash>) -> Option<PasswordHash> {
        let output = self.output(password, hash.as_ref().map_or(&[0; 16], |hash| &hash.salt));
        // Outputs are compared in constant time.
        hash.filter(|hash| hash.output == output)
    }

    fn output(&self, password: &Password, salt: &[u8]) -> Output {
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let mut memory = self.memory.borrow_mut();
        self.argon2
            .hash_password_into_with_memory(password.0.as_bytes(), salt, &mut output, memory.as_mut_slice())
            .expect("lengths and memory are those of the parameters");
        Output::new(&output).expect("the length is the default")
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;

    use super::*;

    fn password(text: &str) -> Password {
        text.parse().unwrap()
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        let check = |username: &str, text: &str| {
            let username = username.parse::<Username>().unwrap();
            password(text).check_strength(&username).map_err(|invalid| invalid.to_string())
        };
        assert!(check("alice", "password1").unwrap_err().contains("common"));
        assert!(check("alice", "PassWord1").unwrap_err().contains("common"));
        assert!(check("alice", "my-ALICE-secret").unwrap_err().contains("username"));
        assert!(check("Alice", "correct horse battery").is_ok());
        assert!(check("bob", "bobs long secret").is_ok(), "a name of 3 characters may appear");
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hasher = Hasher::new();
        let stored = || PasswordHash::stored(hasher.hash(&password("correct horse")).as_str()).unwrap();
        assert!(stored().as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hasher.check(&password("correct horse"), Some(stored())).is_some());
        assert!(hasher.check(&password("Correct horse"), Some(stored())).is_none());
        assert!(hasher.check(&password("correct horse"), None).is_none());
        assert_ne!(stored().text, stored().text, "every hash has a salt of its own");
    }

    #[test]
    fn a_hash_is_what_the_library_itself_verifies() {
        let hash = Hasher::new().hash(&password("correct horse"));
        let library = Argon2::default();
        assert!(library.verify_password(b"correct horse", hash.as_str()).is_ok());
        assert!(library.verify_password(b"correct Horse", hash.as_str()).is_err());
    }

    #[test]
    fn memory_that_was_used_before_makes_no_difference() {
        let hasher = Hasher::new();
        let salt = [7; 16];
        let first = hasher.output(&password("correct horse"), &salt);
        hasher.output(&password("another horse"), &salt);
        assert_eq!(hasher.output(&password("correct horse"), &salt), first);
    }

    #[test]
    fn a_stored_hash_that_makes_no_sense_is_an_error_and_not_a_wrong_password() {
        let good = Hasher::new().hash(&password("correct horse")).text;
        for bad in [
            String::new(),
            "none".into(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=8"),
            good.replace("v=19", "v=16"),
            // An output of 30 bytes instead of 32, which is well-formed.
            good.rsplit_once('$').unwrap().0.to_owned() + "$" + &"A".repeat(40),
            good.rsplit_once('$').unwrap().0.into(),
        ] {
            assert!(PasswordHash::stored(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same_password() {
        let hasher = Hasher::new();
        let hash = hasher.hash(&password("cafe\u{301} creme"));
        assert!(hasher.check(&password("caf\u{e9} creme"), Some(hash)).is_some());
        assert!(
            "e\u{301}".repeat(7).parse::<Password>().is_err(),
            "the length is that of the normalized text"
        );
    }
}
