//! What can't happen is made to happen: none of it may look like success.

use serde_json::json;

use crate::support::Service;
use crate::support::service::PASSWORD;

/// The statements of the documents that put conversations right after a restore (0) and then memberships (1).
fn restore(block: usize) -> impl Iterator<Item = &'static str> {
    let chapter = include_str!("../../../docs/aws.md").split("```sql\n").nth(block + 1).unwrap();
    let statements = chapter.split("```").next().unwrap().split(';').map(str::trim);
    statements.filter(|statement| !statement.is_empty())
}

#[test]
fn a_send_is_refused_while_the_newest_id_is_behind_the_messages_and_the_documented_statement_mends_it() {
    let service = Service::start();
    let alice = service.session("alice");
    service.session("bob");
    let send = |text: &str| alice.message("bob", text).header("Idempotency-Key", text);
    for text in ["1", "2", "3"] {
        send(text).expect(201);
    }
    alice.message("alice", "elsewhere").expect(201);
    // As after messages 2 and 3 have been copied back from a backup, but not their conversation.
    service.database.execute(
        "UPDATE conversations SET last_id = 1, longest = 0, last_time = '2026-01-01' WHERE last_id = 3",
    );
    for _ in 0..3 {
        assert_eq!(send("4").expect(500).code(), "INTERNAL");
    }
    assert!(service.logs().contains("MySQL error 1062"), "{}", service.logs());
    assert_eq!(service.database.number("SELECT COUNT(*) FROM messages"), 4);
    assert_eq!(send("3").expect(201).header("idempotent-replayed"), Some("true"), "replays are answered");

    restore(0).for_each(|statement| service.database.execute(statement));
    assert_eq!(send("4").expect(201).body["id"], 4);
    assert_eq!(alice.ids("bob", json!({})), (vec![1, 2, 3, 4], false));
    assert_eq!(alice.message("alice", "elsewhere").expect(201).body["id"], 2);
    assert_eq!(service.database.number("SELECT MIN(longest) FROM conversations"), 1);
}

#[test]
fn after_a_restore_the_documented_statements_make_counts_exact_and_tell_every_client_everything() {
    let service = Service::start();
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    for text in ["1", "2", "3"] {
        bob.message("alice", text).expect(201);
    }
    alice.message("bob", "4").expect(201);
    alice.message("alice", "a note").expect(201);
    alice.mark("bob", 1).expect(200);
    let inbox = alice.inbox("");
    let position = inbox["position"].as_i64().unwrap();

    service.database.execute("DELETE FROM memberships WHERE username = 'bob'");
    service.database.execute("UPDATE memberships SET unread = 7, last_time = '2026-01-01', position = 0");
    service.database.execute("UPDATE users SET position = 0");
    for _ in 0..2 {
        restore(0).chain(restore(1)).for_each(|statement| service.database.execute(statement));
    }
    let restored = alice.inbox("");
    assert_eq!(restored["conversations"], inbox["conversations"]);
    assert_eq!(bob.inbox("")["conversations"][0]["unread"], 1);
    let changes = alice.changes(&format!("after={position}"));
    assert_eq!(changes["conversations"].as_array().unwrap().len(), 2, "from a position of before");
}

#[test]
fn a_page_with_a_hole_is_a_500() {
    let service = Service::start();
    let alice = service.session("alice");
    service.session("bob");
    service.database.fill("alice", "bob", 10);
    let ids = |cursor| alice.page("bob", cursor).send().status;
    for (hole, cursor) in [
        (5, json!({})),
        (10, json!({})),
        (4, json!({"before": 5})),
        (3, json!({"after": 2})),
        (5, json!({"after": 2})),
        (3, json!({"after": 2, "limit": 1})),
    ] {
        assert_eq!(ids(cursor.clone()), 200);
        service.database.execute(&format!("CREATE TABLE kept AS SELECT * FROM messages WHERE id = {hole}"));
        service.database.execute(&format!("DELETE FROM messages WHERE id = {hole}"));
        assert_eq!(ids(cursor.clone()), 500, "without {hole}: {cursor}");
        service.database.execute("INSERT INTO messages SELECT * FROM kept");
        service.database.execute("DROP TABLE kept");
    }
}

#[test]
fn a_stored_hash_that_makes_no_sense_is_a_500_and_opens_no_session() {
    let service = Service::start();
    service.session("alice");
    let before = service.database.number("SELECT COUNT(*) FROM sessions");
    for hash in [
        "",
        "none",
        "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        service.database.execute(&format!("UPDATE users SET password = '{hash}'"));
        let body = json!({"username": "alice", "password": PASSWORD});
        assert_eq!(service.call("login").json(body).expect(500).code(), "INTERNAL", "{hash}");
    }
    assert_eq!(service.database.number("SELECT COUNT(*) FROM sessions"), before);
}

#[test]
fn a_session_whose_user_has_no_row_is_not_ended_with_success() {
    let service = Service::start();
    let alice = service.session("alice");
    service.database.execute("DELETE FROM users");
    service.call("logout").token(&alice.token).json(json!({"username": "alice"})).expect(500);
}
