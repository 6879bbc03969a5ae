//! Each operation from invocation to response, beside the bare statement and the usual way.

use serde_json::json;
use shared::message::{GET_MESSAGES, PAGE_BYTES, SEND_MESSAGE};
use shared::session::LOGOUT;
use shared::token::Token;
use shared::user::GET_USERS;

use crate::Bench;
use crate::history::{READER, open_sessions, token};
use crate::report::Report;
use crate::requests::{Request, TEXT, random_bytes};
use crate::samples::{Way, timed};

const GROUP: &str = "Operations";

/// The SELECT of the procedure `get_messages`, which is the least that a page can cost.
pub const PAGE: &str = "SELECT id, sender, receiver, CAST(message AS BINARY),
                               DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
                          FROM messages WHERE conversation_id = ? AND id BETWEEN ? AND ? ORDER BY id";
const USERS: &str = "SELECT username, COALESCE(logged_in > UTC_TIMESTAMP(6), FALSE)
                       FROM users WHERE username > ? ORDER BY username LIMIT 101";

/// What the database knows of the session of `name`.
pub fn hash(name: &str) -> Vec<u8> {
    token(name).parse::<Token>().expect("a token").hash()
}

/// Measures all operations that need no password.
pub fn measure(bench: &Bench, report: &mut Report) {
    let database = &bench.database;
    let mut connection = database.connect();
    let usual = database.usual();
    let users = &bench.history.users;
    let runs = bench.runs;

    let (one, other) = (&users[0], &users[1]);
    let send_message = database.function("send_message", 1);
    let token = hash(one);
    report.compare(
        GROUP,
        "SendMessage",
        runs,
        &mut [
            Way::new("bare statement", || {
                let call = sqlx::query(SEND_MESSAGE).bind(&token).bind(one).bind(other);
                let call = call.bind(TEXT.as_bytes()).bind(random_bytes().to_vec());
                timed(|| connection.fetch(call))
            }),
            Way::new("function", || Request::message(one, other).send(&send_message)),
            Way::new("usual way", || Request::message(one, other).send(&usual)),
        ],
    );

    let probe = &bench.history.probes[1];
    let get_messages = database.function("get_messages", 1);
    let page =
        Request::new("get_messages", READER).body(&json!({"sender": probe.first, "receiver": probe.second}));
    let token = hash(READER);
    let mut second = database.connect();
    report.compare(
        GROUP,
        "GetMessages, 50",
        runs,
        &mut [
            Way::new("bare statement", || {
                let select = sqlx::query(PAGE).bind(probe.id).bind(probe.size - 49).bind(probe.size);
                timed(|| connection.fetch(select))
            }),
            Way::new("function", || page.send(&get_messages)),
            Way::new("usual way", || page.send(&usual)),
            Way::new("bare CALL", || {
                let call = sqlx::query(GET_MESSAGES).bind(&token).bind(&probe.first).bind(&probe.second);
                let call = call.bind(50).bind(PAGE_BYTES).bind(None::<i64>).bind(None::<i64>);
                timed(|| second.fetch(call))
            }),
        ],
    );

    let get_users = database.function("get_users", 1);
    let list = Request::new("get_users", READER);
    report.compare(
        GROUP,
        "GetUsers, 100",
        runs,
        &mut [
            Way::new("bare statement", || timed(|| connection.fetch(sqlx::query(USERS).bind("")))),
            Way::new("function", || list.send(&get_users)),
            Way::new("usual way", || list.send(&usual)),
            Way::new("bare CALL", || {
                let call = sqlx::query(GET_USERS).bind(&token).bind(101).bind(None::<&str>);
                timed(|| second.fetch(call))
            }),
        ],
    );

    // Each run ends a session of its own.
    let logout = database.function("logout", 1);
    let names: Vec<_> = (0..3 * runs).map(|n| format!("logout{n}")).collect();
    open_sessions(&mut connection, &names, Some(one));
    let (bare, function) = names.split_at(names.len() / 2);
    let (mut bare, mut function) = (bare.iter(), function.iter());
    let body = json!({"username": one});
    report.compare(
        GROUP,
        "Logout",
        runs,
        &mut [
            Way::new("bare statement", || {
                let token = hash(bare.next().expect("a session"));
                let call = sqlx::query(LOGOUT).bind(token).bind(one).bind(false);
                timed(|| connection.fetch(call))
            }),
            Way::new("function", || {
                let name = function.next().expect("a session");
                Request::new("logout", name).body(&body).send(&logout)
            }),
        ],
    );

    let hello = database.function("hello_world", 1);
    let nothing = Request::new("get_users", READER);
    report.compare(GROUP, "hello world", runs, &mut [Way::new("function", || nothing.send(&hello))]);

    for case in ["SendMessage", "GetMessages, 50", "GetUsers, 100"] {
        let seen = report.get(GROUP, case, "function");
        let limit = 1.3 * report.get(GROUP, case, "bare statement") + 0.2;
        report.at_most(format!("{case}: 1.3 × bare statement + 0.2 ms"), "ms", seen, limit);
    }
}
