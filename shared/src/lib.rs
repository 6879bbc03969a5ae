//! Models of the chat backend and their access to MySQL.
//!
//! Values are parsed once, at the border, into types that can't be wrong; every operation on chat data is
//! one function here and one stored procedure of the same name in `sql/`.

pub mod connection;
pub mod conversation;
mod data_source;
pub mod database;
mod error;
mod iam;
pub mod message;
pub mod migration;
mod number;
pub mod password;
pub mod session;
mod setting;
pub mod token;
pub mod user;

pub use error::{Error, Invalid};
pub use number::Bounded;
pub use setting::{SettingError, setting};

/// Bytes that nobody can guess.
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}
