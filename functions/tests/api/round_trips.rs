//! Promise 5: one round trip a request, and a page of history that costs the same in every conversation.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Database, OwnServer, Service, Session};

/// The server's counters of the statements that clients send, and of the rows that handlers read.
type Counters = BTreeMap<String, i64>;

/// What is asked in a session whose newest position is given.
type Question = fn(&Session<'_>, i64) -> Value;

const STATEMENTS: &str =
    "'Questions', 'Com_stmt_prepare', 'Com_stmt_execute', 'Com_call_procedure', 'Connections'";

fn counters(service: &Service, which: &str) -> Counters {
    use sqlx::Row;
    let rows = service.database.rows(&format!("SHOW GLOBAL STATUS WHERE Variable_name {which}"));
    rows.iter()
        .map(|row| {
            let value: String = row.try_get_unchecked(1).unwrap();
            (row.try_get_unchecked(0).unwrap(), value.parse().unwrap())
        })
        .collect()
}

/// By how much the counters rise while `work` is done, without what it takes to look at them.
fn counted(service: &Service, which: &str, work: impl Fn()) -> Counters {
    let rise = |work: &dyn Fn()| -> Counters {
        let before = counters(service, which);
        work();
        let after = counters(service, which);
        after.into_iter().map(|(name, value)| (name.clone(), value - before[&name])).collect()
    };
    let looking = rise(&|| ());
    rise(&work).into_iter().map(|(name, value)| (name.clone(), value - looking[&name])).collect()
}

fn assert_one_round_trip(service: &Service, operation: &str, work: impl Fn()) {
    work();
    let rose = counted(service, &format!("IN ({STATEMENTS})"), || (0..50).for_each(|_| work()));
    println!("50 × {operation}: {rose:?}");
    assert_eq!(rose["Questions"], 50, "{operation}");
    assert_eq!(rose["Com_stmt_prepare"], 0, "{operation}");
    assert_eq!(rose["Connections"], 0, "{operation}");
}

#[test]
fn hot_paths_take_one_round_trip_and_a_page_reads_only_its_own_rows() {
    let server = OwnServer::start("");
    let service = Service::on(Database::on(&server.url));
    let alice = service.session("alice");
    service.session("bob");
    service.database.fill("alice", "bob", 100);
    service.database.fill("alice", "carol", 10_000);
    service.database.execute("ANALYZE TABLE users, sessions, conversations, messages");

    assert_one_round_trip(&service, "SendMessage", || drop(alice.message("bob", "hello").expect(201)));
    assert_one_round_trip(&service, "GetMessages", || drop(alice.page("carol", json!({})).expect(200)));
    assert_one_round_trip(&service, "GetUsers", || {
        drop(service.call("get_users").token(&alice.token).expect(200));
    });

    service.database.fill_inbox("alice", 60);
    while alice.changes("limit=200")["more"] == true {}
    assert_one_round_trip(&service, "GetConversations", || drop(alice.inbox("")));
    assert_one_round_trip(&service, "GetChanges", || drop(alice.changes("after=50")));
    let id = std::cell::Cell::new(0);
    assert_one_round_trip(&service, "MarkRead", || {
        id.set(id.get() + 1);
        alice.mark("bob", id.get()).expect(200);
    });

    for (other, cursor) in [
        ("bob", json!({})),
        ("carol", json!({})),
        ("carol", json!({"before": 5_000})),
        ("carol", json!({"after": 5_000})),
        ("carol", json!({"after": 0})),
    ] {
        let read =
            counted(&service, "LIKE 'Handler_read%'", || drop(alice.page(other, cursor.clone()).expect(200)));
        let rows: i64 = read.values().sum();
        println!("a page of 50 with {other}, {cursor}: {rows} reads, {read:?}");
        assert!((50..=55).contains(&rows), "{read:?}");
    }
}

#[test]
fn the_inbox_and_what_has_changed_cost_the_same_among_ten_thousand_conversations() {
    let server = OwnServer::start("");
    let service = Service::on(Database::on(&server.url));
    let users = [("alice", 100), ("bob", 10_000)].map(|(name, count)| {
        let session = service.session(name);
        service.database.fill_inbox(name, count);
        let mut position = 0;
        loop {
            let changes = session.changes(&format!("limit=200&after={position}"));
            position = changes["position"].as_i64().unwrap();
            if changes["more"] == false {
                break (session, position);
            }
        }
    });
    service.database.execute("ANALYZE TABLE users, sessions, conversations, messages, memberships");
    let questions: [(&str, i64, Question); 4] = [
        ("an inbox page", 400, |session, _| session.inbox("")),
        ("no changes", 20, |session, newest| session.changes(&format!("after={newest}"))),
        ("fifty changes", 400, |session, newest| session.changes(&format!("after={}", newest - 50))),
        ("the first changes", 400, |session, _| session.changes("")),
    ];
    for (what, limit, ask) in questions {
        let reads = users.each_ref().map(|(session, position)| {
            let read = counted(&service, "LIKE 'Handler_read%'", || drop(ask(session, *position)));
            read.values().sum::<i64>()
        });
        println!("{what}: {reads:?} rows read among 100 and 10,000 conversations");
        assert!(reads[1] <= limit && reads[1] <= reads[0] + 5, "{what}: {reads:?}");
    }
}
