//! What the figures were seen on.

use std::{env, fs, thread};

use crate::database::Database;
use crate::report::thousands;

/// The machine, the server and the history, each with its name.
pub fn describe(database: &Database, rows: u64) -> Vec<(&'static str, String)> {
    let mut connection = database.connect();
    let mut ask = |sql: &str| connection.last_column(sql).join(", ");
    let line = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim_start_matches([' ', '\t', ':']).to_owned()
    };
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let binary_log = if ask("SELECT @@log_bin") == "1" { "on" } else { "off" };
    vec![
        ("date", ask("SELECT UTC_DATE()")),
        ("processor", format!("{cores} × {}", line("/proc/cpuinfo", "model name"))),
        ("memory", line("/proc/meminfo", "MemTotal")),
        ("system", format!("Linux {}, {}", line("/proc/sys/kernel/osrelease", ""), env::consts::ARCH)),
        ("server", ask("SELECT VERSION()")),
        (
            "its settings",
            format!(
                "buffer pool of {} MiB, innodb_flush_log_at_trx_commit = {}, binary log {binary_log}",
                ask("SELECT @@innodb_buffer_pool_size DIV 1048576"),
                ask("SELECT @@innodb_flush_log_at_trx_commit"),
            ),
        ),
        (
            "history",
            format!(
                "{} messages, the tables {} MB",
                thousands(rows),
                ask(
                    "SELECT CAST(SUM(data_length + index_length) / 1000000 AS SIGNED) FROM information_schema.tables \
                     WHERE table_schema = DATABASE() AND table_name = 'messages'"
                ),
            ),
        ),
    ]
}
