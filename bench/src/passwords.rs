//! Login and `CreateUser`: everything but argon2 itself, which is slow by intent.

use serde_json::json;
use shared::session::{BEGIN_LOGIN, LOGIN};
use shared::user::Password;

use crate::Bench;
use crate::report::Report;
use crate::requests::{Request, key};
use crate::samples::{Way, timed};

const GROUP: &str = "Passwords";

/// Measures both beside the hashing alone.
pub fn measure(bench: &Bench, report: &mut Report) {
    let runs = bench.runs / 5;
    let text = "correct horse battery";
    let password: Password = text.parse().expect("a password");
    let create_user = bench.database.function("create_user", 1);
    let mut count = 0;
    let create = |name: &str| {
        let body = json!({"username": name, "password": text});
        Request::new("create_user", name).body(&body).send(&create_user)
    };
    report.compare(
        GROUP,
        "CreateUser",
        runs,
        &mut [
            Way::new("argon2", || timed(|| password.hash())),
            Way::new("function", || {
                count += 1;
                create(&format!("new{count}"))
            }),
        ],
    );

    let login = bench.database.function("login", 1);
    let hash = password.hash();
    let mut connection = bench.database.connect();
    let source = [192, 0, 2, 1];
    let request = Request::new("login", "new1").body(&json!({"username": "new1", "password": text}));
    report.compare(
        GROUP,
        "Login",
        runs,
        &mut [
            Way::new("argon2", || timed(|| assert!(password.matches(Some(&hash))))),
            Way::new("function", || request.send(&login)),
            Way::new("bare CALLs", || {
                let begin = sqlx::query(BEGIN_LOGIN).bind("new1").bind(&source[..]);
                let finish = sqlx::query(LOGIN).bind([key(), key()].concat()).bind("new1").bind(&source[..]);
                timed(|| {
                    connection.fetch(begin);
                    connection.fetch(finish);
                })
            }),
        ],
    );

    for case in ["Login", "CreateUser"] {
        let rest = report.get(GROUP, case, "function") - report.get(GROUP, case, "argon2");
        report.figure(GROUP, case, "all but argon2", "ms", rest);
        report.at_most(format!("{case}: all but argon2"), "ms", rest, 3.0);
    }
}
