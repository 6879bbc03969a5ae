//! Settings: environment variables.

use std::env;

/// The value of an environment variable.
pub fn setting(name: &'static str) -> Result<String, SettingError> {
    env::var(name).map_err(|_| SettingError { name, problem: "is not set" })
}

/// An environment variable that has to be set right before anything can run. Its value, which may hold a
/// password, is left out.
#[derive(Debug, thiserror::Error)]
#[error("{name} {problem}")]
pub struct SettingError {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}
