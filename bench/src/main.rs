//! Measures the functions against the limit that their database sets, and against the usual way of writing them.
//!
//! Environment: `DATABASE_URL`, of a user who may create databases and users; `ROWS` (optional), how many
//! messages to load. The argument is the directory for the results.

mod charts;
mod cold_start;
mod database;
mod history;
mod latency;
mod network;
mod pages;
mod passwords;
mod report;
mod requests;
mod samples;
mod setting;
mod throughput;

use std::path::PathBuf;
use std::{env, fs};

use database::Database;
use history::History;
use report::Report;

/// What the measures share.
pub struct Bench {
    /// The database.
    database: Database,
    /// What it was filled with.
    history: History,
    /// How many messages that are.
    rows: u64,
    /// How many runs a figure rests on.
    runs: usize,
}

fn main() {
    let results = PathBuf::from(env::args().nth(1).unwrap_or_else(|| ".local/bench/results".into()));
    let rows = env::var("ROWS").map_or(1_000_000, |rows| rows.parse().expect("ROWS is a number"));
    assert!(rows >= 10_000, "ROWS must be 10000 or more");
    fs::create_dir_all(&results).expect("a directory for the results");

    let database = Database::fresh();
    let history = history::load(&database, rows);
    let mut report = Report::new(setting::describe(&database, rows));
    // With few rows it is a try, not a measurement.
    let bench = Bench { database, history, rows, runs: if rows < 100_000 { 200 } else { 2_000 } };

    latency::measure(&bench, &mut report);
    network::measure(&bench, &mut report);
    pages::measure(&bench, &mut report);
    throughput::measure(&bench, &mut report);
    cold_start::measure(&bench, &mut report);
    passwords::measure(&bench, &mut report);

    report.print();
    report.write(&results.join("results.json"));
    charts::draw(&report, &results);
}
