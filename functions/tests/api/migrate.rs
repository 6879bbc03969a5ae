//! The migrate binary, and what the schema has to withstand.

use std::process::{Command, Output};
use std::{env, thread};

use serde_json::json;

use crate::support::{Database, OwnServer, Service, applied, binary, migrations};

fn server() -> String {
    env::var("DATABASE_URL").unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn works(database: Database) {
    let service = Service::on(database);
    let alice = service.session("alice");
    alice.message("alice", "hello").expect(201);
    assert_eq!(alice.ids("alice", json!({})).0, [1]);
}

#[test]
fn a_second_run_changes_nothing() {
    let database = Database::unmigrated(&server());
    assert!(text(&database.migrate()).starts_with(&applied(migrations().len())));
    let service = Service::on(database);
    service.session("alice").message("alice", "kept").expect(201);
    let before = service.database.contents();
    assert!(text(&service.database.migrate()).starts_with(&applied(0)));
    assert_eq!(service.database.contents(), before);
}

#[test]
fn a_run_that_failed_half_way_is_taken_up_again() {
    let database = Database::unmigrated(&server());
    // May create tables and views but no procedures.
    let limited = format!("{}_m", database.name());
    database.create_database();
    database.execute(&format!("CREATE USER '{limited}'@'%' IDENTIFIED BY 'limited'"));
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE VIEW, DROP, ALTER, INDEX, REFERENCES";
    database.execute(&format!("GRANT {rights} ON {}.* TO '{limited}'@'%'", database.name()));
    let output = Command::new(binary("migrate"))
        .env_clear()
        .env("DATABASE_URL", database.url_of(&limited, "limited"))
        .output()
        .unwrap();
    database.execute(&format!("DROP USER '{limited}'@'%'"));
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    let before = migrations().iter().position(|sql| sql.contains("CREATE PROCEDURE")).unwrap();
    assert!(error.contains("denied") && error.contains(&format!("migration {}", before + 1)), "{error}");

    assert!(text(&database.migrate()).starts_with(&applied(migrations().len() - before)));
    works(database);
}

#[test]
fn a_migration_whose_end_was_not_noted_is_run_again() {
    let database = Database::unmigrated(&server());
    text(&database.migrate());
    database.execute("UPDATE _sqlx_migrations SET success = FALSE WHERE version IN (3, 16)");
    database.execute("DROP PROCEDURE get_messages");
    assert!(text(&database.migrate()).starts_with(&applied(2)));
    works(database);
}

#[test]
fn migrations_of_a_newer_release_are_left_alone() {
    let database = Database::unmigrated(&server());
    text(&database.migrate());
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of a later release', TRUE, '', 0)",
    );
    assert!(text(&database.migrate()).starts_with(&applied(0)));
    works(database);
}

#[test]
fn a_database_of_an_unreleased_version_is_left_alone_with_a_word_on_what_to_do() {
    let database = Database::unmigrated(&server());
    text(&database.migrate());
    database.execute("UPDATE _sqlx_migrations SET checksum = 'of another text' WHERE version = 2");
    let output = database.migrate();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("made by an unreleased version") && error.contains(".local/"), "{error}");
}

#[test]
fn several_runs_at_a_time_do_not_disturb_each_other() {
    let database = Database::unmigrated(&server());
    thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| text(&database.migrate()))).collect();
        let mut texts: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        texts.sort();
        assert!(texts[2].starts_with(&applied(migrations().len())), "{texts:?}");
        assert!(texts[0].starts_with(&applied(0)), "{texts:?}");
    });
    works(database);
}

#[test]
fn a_missing_or_wrong_setting_is_told_without_its_secret() {
    let run = |url: Option<&str>| {
        let output =
            Command::new(binary("migrate")).env_clear().envs(url.map(|url| ("DATABASE_URL", url))).output();
        let output = output.unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(run(None).contains("DATABASE_URL is not set"));
    for url in [
        "secret",
        "mysql://root:secret@127.0.0.1:3306",
        "mysql://root:secret@127.0.0.1:port/chat",
        "http://root:secret@x/y",
    ] {
        let error = run(Some(url));
        assert!(error.contains("DATABASE_URL") && !error.contains("secret"), "{url}: {error}");
    }
}

#[test]
fn the_functions_user_is_for_the_same_database() {
    let mut database = Database::unmigrated(&server());
    database.functions_url = database.functions_url.replace(database.name(), "another");
    let error = String::from_utf8_lossy(&database.migrate().stderr).into_owned();
    assert!(error.contains("FUNCTIONS_DATABASE_URL names another database"), "{error}");
}

#[test]
fn nothing_depends_on_the_servers_defaults() {
    let server = OwnServer::start(
        "--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH --character-set-server=latin1 \
         --collation-server=latin1_swedish_ci --default-time-zone=+05:30 --transaction-isolation=SERIALIZABLE \
         --autocommit=0 --completion-type=CHAIN --loose-partial-revokes=ON --log-bin --loose-binlog-format=STATEMENT --lc-time-names=de_DE --explicit-defaults-for-timestamp=1 --div-precision-increment=0",
    );
    for isolation in ["SERIALIZABLE", "READ UNCOMMITTED"] {
        let service = Service::on(Database::on(&server.url)).environments(2);
        service.database.execute(&format!("SET GLOBAL TRANSACTION ISOLATION LEVEL {isolation}"));
        let (alice, bob) = (service.session("Alice"), service.session("bob"));
        let text = "é 🎉 \\ ' \" \0 ";
        let first = alice.message("BOB", text).header("Idempotency-Key", "k").expect(201);
        assert_eq!(first.body["message"], text);
        assert_eq!(bob.page("alice", json!({})).expect(200).body["messages"][0], first.body);
        assert_eq!(alice.message("bob", text).header("Idempotency-Key", "k").expect(201).body, first.body);
        alice.message("bob", "é 🎉").header("Idempotency-Key", "k").expect(422);
        thread::scope(|scope| {
            for n in 0..20 {
                let (from, to) = if n % 2 == 0 { (&alice, "bob") } else { (&bob, "alice") };
                scope.spawn(move || from.message(to, "at once").expect(201));
            }
        });
        assert_eq!(bob.ids("alice", json!({})).0, (1..=21).collect::<Vec<_>>());
        let logged_in = || {
            let users = service.call("get_users").token(&alice.token).expect(200).body;
            users["users"].as_array().unwrap().iter().filter(|user| user["logged_in"] == true).count()
        };
        assert_eq!(logged_in(), 2);
        service.call("logout").token(&bob.token).json(json!({"username": "bob"})).expect(200);
        assert_eq!([logged_in(), logged_in()], [1, 1], "in both environments");
        let body = json!({"username": "alice", "password": "wrong password"});
        (0..10).for_each(|_| drop(service.call("login").json(body.clone()).expect(401)));
        service.call("login").json(body).expect(429);
        let time: String = first.body["time_stamp"].as_str().unwrap().into();
        let age = format!(
            "SELECT ABS(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), '{}'))",
            &time[..19].replace('T', " ")
        );
        assert!(service.database.number(&age) < 60, "in UTC");
        assert!(time.starts_with("20") && time.ends_with('Z'));
    }
}
