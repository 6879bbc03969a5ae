//! What can't happen is made to happen: a procedure answers what it never would.

use super::service::Call;
use super::{Service, migrations};

/// Answers that no procedure gives.
const ANSWERS: [&str; 13] = [
    "DO 0",
    "SELECT 'ok' FROM users WHERE FALSE",
    "SELECT 'name_reserved'",
    "SELECT 'OK', 'alice', 'alice', 'alice', 'alice', 'alice', 'alice'",
    "SELECT '', 1, 1, 1, 1, 1, 1",
    "SELECT NULL, 1, 1, 1, 1, 1, 1",
    "SELECT 1, 1, 1, 1, 1, 1, 1",
    "SELECT 'ok', NULL, NULL, NULL, NULL, NULL, NULL UNION ALL SELECT 'no', 1, 1, 1, 1, 1, 1",
    "SELECT 'too_many_attempts', -1",
    "SELECT 'too_many_attempts', NULL",
    "SELECT 'forbidden', NULL",
    "SELECT 'replayed'",
    "SELECT 'empty', 1 UNION ALL SELECT 'empty', 2",
];

/// Replaces `procedure`, and fails if a request that calls it, made with alice's token, is answered with anything but a 500.
pub fn is_never_a_success(procedure: &str, request: impl for<'a> Fn(&'a Service, &str) -> Call<'a>) {
    with_each_answer(procedure, |service, token, answer| {
        let problem = request(service, token).send();
        assert_eq!(
            (problem.status, problem.code()),
            (500, "INTERNAL"),
            "{procedure}: {answer}: {}",
            problem.body
        );
    });
}

/// Replaces `procedure`, and checks what comes of each answer, with alice's token.
pub fn with_each_answer(procedure: &str, check: impl Fn(&Service, &str, &str)) {
    let service = Service::start();
    let token = service.session("alice").token;
    for answer in ANSWERS {
        service.database.execute(&format!("DROP PROCEDURE {procedure}"));
        service.database.execute(&doctored(procedure, answer));
        check(&service, &token, answer);
    }
}

/// The migration that creates `procedure`, with another body.
fn doctored(procedure: &str, body: &str) -> String {
    let create = format!("CREATE PROCEDURE IF NOT EXISTS {procedure}(");
    let migration = migrations().into_iter().find(|sql| sql.contains(&create)).unwrap();
    let head = migration[migration.find(&create).unwrap()..].split("SQL SECURITY DEFINER").next().unwrap();
    format!("{head} SQL SECURITY DEFINER {body}")
}
