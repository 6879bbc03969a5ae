//! The migrate binary as CloudFormation's custom resource.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, thread};

use local::Function;
use serde_json::{Value, json};

use crate::support::{Database, Service, applied, binary, migrations};

/// The presigned URL's part: what it receives, it passes on, after it has refused `refusals` times.
fn s3(refusals: usize) -> (String, Receiver<Value>) {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let url = format!("http://{}/response?signature=x%2Fy", server.server_addr());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for (count, mut request) in server.incoming_requests().enumerate() {
            let mut body = String::new();
            request.as_reader().read_to_string(&mut body).unwrap();
            assert_eq!(
                (request.method(), request.url()),
                (&tiny_http::Method::Put, "/response?signature=x%2Fy")
            );
            let header = |name: &str| {
                let found = request
                    .headers()
                    .iter()
                    .find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
                found.map(|header| header.value.to_string())
            };
            // S3 refuses chunks, and a content type that was not signed.
            assert_eq!(header("Content-Length"), Some(body.len().to_string()));
            assert_eq!((header("Content-Type"), header("Transfer-Encoding")), (Some(String::new()), None));
            let status = if count < refusals { 503 } else { 200 };
            request.respond(tiny_http::Response::empty(status)).unwrap();
            if status == 200 {
                sender.send(serde_json::from_str(&body).unwrap()).ok();
            }
        }
    });
    (url, receiver)
}

fn event(kind: &str, url: &str) -> Value {
    json!({
        "RequestType": kind,
        "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:chat-Migrate:1",
        "ResponseURL": url,
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/chat/guid",
        "RequestId": "unique id for this request",
        "ResourceType": "Custom::Migration",
        "LogicalResourceId": "Migration",
        "PhysicalResourceId": "Migration",
        "ResourceProperties": {"ServiceToken": "arn", "Version": "1"},
    })
}

fn answer(status: &str, reason: &str) -> Value {
    json!({
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": "Migration",
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/chat/guid",
        "RequestId": "unique id for this request",
        "LogicalResourceId": "Migration",
    })
}

/// Long enough for the work, beside what is kept for the answer.
const TIME: Duration = Duration::from_secs(50);

fn fresh() -> Database {
    Database::unmigrated(&env::var("DATABASE_URL").unwrap())
}

fn migrate(database: &Database) -> Function {
    let admin = database.admin_url();
    Function::start(
        binary("migrate"),
        1,
        &[("DATABASE_URL", &admin), ("FUNCTIONS_DATABASE_URL", &database.functions_url)],
    )
}

#[test]
fn create_and_update_migrate_and_delete_touches_nothing() {
    let database = fresh();
    let function = migrate(&database);
    let (url, answers) = s3(0);
    for (kind, reason) in [("Create", applied(migrations().len())), ("Update", applied(0))] {
        function.invoke(event(kind, &url).to_string(), TIME).unwrap();
        assert_eq!(answers.recv().unwrap(), answer("SUCCESS", &reason));
    }
    let service = Service::on(database);
    service.session("alice").message("alice", "kept").expect(201);
    let before = service.database.contents();
    function.invoke(event("Delete", &url).to_string(), TIME).unwrap();
    assert_eq!(answers.recv().unwrap(), answer("SUCCESS", "nothing to undo"));
    assert_eq!(service.database.contents(), before);
}

#[test]
fn a_failure_is_answered_with_its_reason_and_mended_by_the_next_deploy() {
    let database = fresh();
    let function = migrate(&database);
    let (url, answers) = s3(0);
    database.create_database();
    // Somebody else's table where the migrations are noted.
    database.execute("CREATE TABLE _sqlx_migrations (version INT)");
    function.invoke(event("Create", &url).to_string(), TIME).unwrap();
    let failed = answers.recv().unwrap();
    assert_eq!(failed["Status"], "FAILED");
    assert!(failed["Reason"].as_str().unwrap().contains("success"), "{failed}");
    database.execute("DROP TABLE _sqlx_migrations");
    function.invoke(event("Update", &url).to_string(), TIME).unwrap();
    assert_eq!(answers.recv().unwrap()["Status"], "SUCCESS");
}

#[test]
fn a_database_that_never_answers_is_a_failure_in_time() {
    let function =
        Function::start(binary("migrate"), 1, &[("DATABASE_URL", "mysql://nobody@127.0.0.1:1/chat")]);
    let (url, answers) = s3(0);
    let start = Instant::now();
    function.invoke(event("Create", &url).to_string(), Duration::from_secs(26)).unwrap();
    let failed = answers.recv().unwrap();
    assert_eq!(failed["Status"], "FAILED");
    assert!(failed["Reason"].as_str().unwrap().contains("refused"), "{failed}");
    assert!((2..6).contains(&start.elapsed().as_secs()), "it is waited for, but not for long");
}

#[test]
fn the_answer_is_sent_again_where_the_url_is_down() {
    let database = fresh();
    let function = migrate(&database);
    let (url, answers) = s3(2);
    function.invoke(event("Create", &url).to_string(), TIME).unwrap();
    assert_eq!(answers.recv().unwrap()["Status"], "SUCCESS");

    let nowhere = event("Update", "http://127.0.0.1:1/response");
    let error = function.invoke(nowhere.to_string(), TIME).unwrap_err();
    assert!(error.contains("could not be answered"), "{error}");
}

#[test]
fn an_old_release_leaves_a_newer_schema_alone() {
    let database = fresh();
    let function = migrate(&database);
    let (url, answers) = s3(0);
    function.invoke(event("Create", &url).to_string(), TIME).unwrap();
    answers.recv().unwrap();
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of a later release', TRUE, '', 0)",
    );
    function.invoke(event("Update", &url).to_string(), TIME).unwrap();
    assert_eq!(answers.recv().unwrap()["Status"], "SUCCESS");
}

#[test]
fn the_master_user_creates_the_two_others_once_and_is_not_needed_again() {
    let database = fresh();
    let owner = format!("{}_o", database.name());
    let owner_url = database.url_of(&owner, "owner's password");
    let (master, password) = database.admin();
    let deploy = |password: &str| {
        let environment = [
            ("DATABASE_URL", owner_url.as_str()),
            ("FUNCTIONS_DATABASE_URL", &database.functions_url),
            ("MASTER_USERNAME", &master),
            ("MASTER_PASSWORD", password),
        ];
        let (url, answers) = s3(0);
        Function::start(binary("migrate"), 1, &environment)
            .invoke(event("Update", &url).to_string(), TIME)
            .unwrap();
        answers.recv().unwrap()
    };
    assert_eq!(deploy(&password), answer("SUCCESS", &applied(migrations().len())));
    // The password has been rotated since.
    assert_eq!(deploy("an old password"), answer("SUCCESS", &applied(0)));
    let definers = format!(
        "SELECT COUNT(DISTINCT definer) FROM information_schema.routines
         WHERE routine_schema = '{}' AND definer = '{owner}@%'",
        database.name()
    );
    assert_eq!(database.number(&definers), 1);
    assert_eq!(database.error_as_functions("SELECT * FROM users"), 1142);
    let service = Service::on(database);
    service.session("alice").message("alice", "hello").expect(201);
    service.database.execute(&format!("DROP USER '{owner}'@'%'"));
}

#[test]
fn users_half_created_by_a_deploy_that_was_cut_off_are_completed() {
    let database = fresh();
    let owner = format!("{}_o", database.name());
    database.execute_anywhere(&format!("CREATE USER '{owner}'@'%' IDENTIFIED BY 'pw'"));
    let (master, password) = database.admin();
    let owner_url = database.url_of(&owner, "pw");
    let environment = [
        ("DATABASE_URL", owner_url.as_str()),
        ("FUNCTIONS_DATABASE_URL", &database.functions_url),
        ("MASTER_USERNAME", &master),
        ("MASTER_PASSWORD", &password),
    ];
    let (url, answers) = s3(0);
    Function::start(binary("migrate"), 1, &environment)
        .invoke(event("Create", &url).to_string(), TIME)
        .unwrap();
    assert_eq!(answers.recv().unwrap(), answer("SUCCESS", &applied(migrations().len())));
    let service = Service::on(database);
    service.session("alice").message("alice", "hello").expect(201);
    service.database.execute(&format!("DROP USER '{owner}'@'%'"));
}
