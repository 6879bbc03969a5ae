//! Whole numbers within bounds, as limits and cursors are.

use std::str::FromStr;

use crate::Invalid;

/// The largest integer that every JSON reader gets right: 2⁵³ − 1 (RFC 8259, section 6).
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// A whole number from `MIN` to `MAX`, at most [`MAX_SAFE_INTEGER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Bounded<MIN, MAX> {
    /// A number that is known at compile time. One that is out of bounds does not compile.
    #[must_use]
    pub const fn constant<const VALUE: i64>() -> Self {
        const { assert!(MIN <= VALUE && VALUE <= MAX && MAX <= MAX_SAFE_INTEGER) };
        Self(VALUE)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> FromStr for Bounded<MIN, MAX> {
    type Err = Invalid;

    /// Reads plain decimal digits: no sign, fraction or exponent.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if plain && (MIN..=MAX).contains(&value) => Ok(Self(value)),
            _ => Err(Invalid(format!("must be a whole number from {MIN} to {MAX}, in plain digits").into())),
        }
    }
}
