//! Login and `CreateUser`: everything but argon2 itself, which is slow by intent.

use std::cell::Cell;

use serde_json::json;
use shared::password::{Hasher, Password};
use shared::session::{BEGIN_LOGIN, LOGIN};
use sqlx::Row;

use crate::Bench;
use crate::cold_start::resident;
use crate::history::READER;
use crate::report::Report;
use crate::requests::{Request, random_bytes};
use crate::samples::{Way, timed};

const GROUP: &str = "Passwords";

/// Measures both beside the hashing alone.
pub fn measure(bench: &Bench, report: &mut Report) {
    let runs = bench.runs / 5;
    let text = "correct horse battery";
    let password: Password = text.parse().expect("a password");
    let hasher = Hasher::new();
    let hash = || timed(|| hasher.hash(&password));
    let create_user = bench.database.function("create_user", 1);
    let count = Cell::new(0);
    let create = || {
        count.set(count.get() + 1);
        let body = json!({"username": format!("new{}", count.get()), "password": text});
        Request::new("create_user", READER).body(&body).send(&create_user)
    };
    report.compare(
        GROUP,
        "CreateUser",
        runs,
        &mut [
            Way::new("argon2", hash),
            Way::new("function", &create),
            Way::new("all but argon2", || create().saturating_sub(hash())),
        ],
    );

    let login = bench.database.function("login", 1);
    let mut connection = bench.database.connect();
    let source = [192, 0, 2, 1];
    let request = Request::new("login", READER).body(&json!({"username": "new1", "password": text}));
    report.compare(
        GROUP,
        "Login",
        runs,
        &mut [
            Way::new("argon2", hash),
            Way::new("function", || request.send(&login)),
            Way::new("all but argon2", || request.send(&login).saturating_sub(hash())),
            Way::new("bare CALLs", || {
                timed(|| {
                    let begin = sqlx::query(BEGIN_LOGIN).bind("new1").bind(&source[..]);
                    let hash: String = connection.fetch(begin)[0].get(1);
                    let login = sqlx::query(LOGIN).bind([random_bytes(), random_bytes()].concat());
                    connection.fetch(login.bind("new1").bind(hash).bind(&source[..]));
                })
            }),
        ],
    );

    for (case, function) in [("Login", &login), ("CreateUser", &create_user)] {
        let rest = report.get(GROUP, case, "all but argon2");
        report.at_most(format!("{case}: all but argon2"), "ms", rest, 3.0);
        // argon2's 19 MiB, taken once, and what every function has.
        let megabytes = resident(function);
        report.figure(GROUP, case, "resident after the requests", "MB", megabytes);
        report.at_most(format!("{case}: resident memory after {}", 2 * runs), "MB", megabytes, 32.0);
    }
}
