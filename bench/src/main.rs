//! Measures the functions against the limit that their database sets, and against the usual way of writing them.
//!
//! Environment: `DATABASE_URL`, of a user who may create databases and users; `ROWS` (optional), how many
//! messages to load. The argument is the directory for the results.

mod charts;
mod database;
mod history;
mod inbox;
mod latency;
mod load;
mod network;
mod operations;
mod pages;
mod push;
mod report;
mod sends;
mod start;
mod targets;

use std::path::PathBuf;
use std::{env, fs};

use database::Database;
use history::History;
use report::Report;

/// What the measures share.
struct Bench {
    database: Database,
    history: History,
    /// How many runs a figure rests on.
    runs: usize,
}

fn main() {
    let results = PathBuf::from(env::args().nth(1).unwrap_or_else(|| ".local/bench/results".into()));
    let rows = env::var("ROWS").map_or(1_000_000, |rows| rows.parse().expect("ROWS is a number"));
    assert!(rows >= 10_000, "ROWS must be 10000 or more");
    fs::create_dir_all(&results).expect("a directory for the results");

    let database = Database::fresh(&database::server(), "chat_bench");
    let history = History::load(&database, rows);
    let mut report = Report::new(&database);
    // With few rows it is a try, not a measurement.
    let bench = Bench { database, history, runs: if rows < 100_000 { 200 } else { 2_000 } };
    latency::measure(&bench, &mut report);
    latency::measure_from_afar(&bench, &mut report);
    pages::measure(&bench, &mut report);
    inbox::measure(&bench, &mut report);
    load::measure(&bench, &mut report);
    sends::measure_forms(&bench, &mut report);
    sends::measure_one_receiver(&bench, &mut report);
    load::measure_over_http(&bench, &mut report);
    push::measure(&bench, &mut report);
    start::measure(&bench, &mut report);
    start::measure_passwords(&bench, &mut report);
    report.targets = targets::check(&bench, &report);

    report.print();
    let json = serde_json::to_string_pretty(&report).expect("figures are plain structs");
    fs::write(results.join("results.json"), json + "\n").expect("the directory can be written to");
    charts::draw(&report, &results);
}
