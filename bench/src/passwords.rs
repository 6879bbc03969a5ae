//! Login and `CreateUser`: everything but argon2 itself, which is slow by intent.

use std::cell::Cell;

use serde_json::json;
use shared::session::{BEGIN_LOGIN, LOGIN};
use shared::user::Password;

use crate::Bench;
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
            Way::new("argon2", || timed(|| password.hash())),
            Way::new("function", &create),
            Way::new("all but argon2", || create().saturating_sub(timed(|| password.hash()))),
        ],
    );

    let login = bench.database.function("login", 1);
    let hash = password.hash();
    let mut connection = bench.database.connect();
    let source = [192, 0, 2, 1];
    let request = Request::new("login", READER).body(&json!({"username": "new1", "password": text}));
    report.compare(
        GROUP,
        "Login",
        runs,
        &mut [
            Way::new("argon2", || timed(|| assert!(password.matches(Some(&hash))))),
            Way::new("function", || request.send(&login)),
            Way::new("all but argon2", || {
                request.send(&login).saturating_sub(timed(|| password.matches(Some(&hash))))
            }),
            Way::new("bare CALLs", || {
                let begin = sqlx::query(BEGIN_LOGIN).bind("new1").bind(&source[..]);
                let finish = sqlx::query(LOGIN)
                    .bind([random_bytes(), random_bytes()].concat())
                    .bind("new1")
                    .bind(&source[..]);
                timed(|| {
                    connection.fetch(begin);
                    connection.fetch(finish);
                })
            }),
        ],
    );

    for case in ["Login", "CreateUser"] {
        let rest = report.get(GROUP, case, "all but argon2");
        report.at_most(format!("{case}: all but argon2"), "ms", rest, 3.0);
    }
}
