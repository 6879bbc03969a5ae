//! The figures as pictures.
use crate::report::Report;
use std::path::Path;
/// Draws.
pub fn draw(_report: &Report, _directory: &Path) {}
