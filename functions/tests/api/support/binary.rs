//! The binaries under test.

use std::path::{Path, PathBuf};

/// The path of a binary of this crate.
pub fn binary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_migrate")).with_file_name(name)
}
