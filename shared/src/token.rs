//! Session tokens.

use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::{Invalid, random_bytes};

/// The secret that opens a session: 32 random bytes, written as 43 characters of base64url (RFC 4648,
/// section 5). It can't be printed.
pub struct Token([u8; 32]);

impl FromStr for Token {
    type Err = Invalid;

    /// Reads a token as a client sends it.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| "must be the 43 characters of base64url that Login returned".into())
    }
}

impl Token {
    /// A new token.
    pub(crate) fn random() -> Self {
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
