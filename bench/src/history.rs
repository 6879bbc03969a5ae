//! The history that the database is filled with: conversations of a few messages and of very many, interleaved in
//! time as they are in life, once in the service's tables and once in one of the usual form.

use fastrand::Rng;
use sqlx::{MySql, QueryBuilder};

use crate::database::{Connection, Database};
use crate::report::thousands;

/// The user in whose conversations pages are measured.
pub const READER: &str = "reader";

/// How many rows one INSERT has.
const BATCH: usize = 1_000;

/// What was loaded.
pub struct History {
    /// The conversations of [`READER`], from small to large.
    pub probes: Vec<Conversation>,
    /// The names of users who have a session.
    pub users: Vec<String>,
}

/// Two users and their messages.
#[derive(Clone)]
pub struct Conversation {
    /// The key in the service's table.
    pub id: u64,
    /// The user whose name comes first.
    pub first: String,
    /// The other one.
    pub second: String,
    /// How many messages they have.
    pub size: u64,
}

/// The token of the session that `name` has: the name itself, filled up.
pub fn token(name: &str) -> String {
    format!("{name:-<42}A")
}

/// Opens sessions, one for each name, for a user of that name or, where given, for `user`.
pub fn open_sessions(connection: &mut Connection, names: &[String], user: Option<&str>) {
    for names in names.chunks(BATCH) {
        let mut insert =
            QueryBuilder::<MySql>::new("INSERT INTO sessions (token, username, created, expires) ");
        insert.push_values(names, |mut row, name| {
            row.push_bind(token(name).parse::<shared::token::Token>().expect("a token").hash())
                .push_bind(user.unwrap_or(name))
                .push("UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 30 DAY");
        });
        connection.fetch(insert.build());
    }
}

/// Fills the database with `rows` messages.
pub fn load(database: &Database, rows: u64) -> History {
    let mut connection = database.connect();
    let mut random = Rng::with_seed(1);
    let users: Vec<String> = (0..(rows / 100).max(1_000)).map(|n| format!("user{n:07}")).collect();
    let conversations = plan(rows, &users, &mut random);
    let mut probes: Vec<_> = conversations.iter().filter(|one| one.second == READER).cloned().collect();
    probes.sort_by_key(|probe| probe.size);

    let with_peers = probes.iter().map(|probe| probe.first.clone()).chain([READER.to_owned()]);
    let everyone: Vec<String> = users.iter().cloned().chain(with_peers).collect();
    for names in everyone.chunks(BATCH) {
        let mut insert = QueryBuilder::<MySql>::new("INSERT INTO users (username, password, logged_in) ");
        insert.push_values(names, |mut row, name| {
            row.push_bind(name).push("'nobody logs in by this', UTC_TIMESTAMP(6) + INTERVAL 30 DAY");
        });
        connection.fetch(insert.build());
    }
    open_sessions(&mut connection, &everyone, None);
    for conversations in conversations.chunks(BATCH) {
        let mut insert = QueryBuilder::<MySql>::new(
            "INSERT INTO conversations (conversation_id, first_user, second_user, last_id, last_time, longest) ",
        );
        insert.push_values(conversations, |mut row, one| {
            row.push_bind(one.id).push_bind(&one.first).push_bind(&one.second).push_bind(one.size);
            // A text has 30 words of 8 bytes and a space at most.
            row.push("'2026-01-01'").push("270");
        });
        connection.fetch(insert.build());
    }
    connection.execute(
        "CREATE TABLE usual_messages (
           id              BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
           first_user      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
           second_user     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
           sender          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
           receiver        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
           message         TEXT        CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
           time_stamp      DATETIME(6) NOT NULL,
           idempotency_key BINARY(16)  NOT NULL,
           KEY pair (first_user, second_user),
           UNIQUE KEY idempotency_key (sender, idempotency_key)
         ) ENGINE = InnoDB",
    );
    load_messages(&mut connection, &conversations, rows, &mut random);
    connection.execute("ANALYZE TABLE users, sessions, conversations, messages, usual_messages");
    History { probes, users }
}

/// The conversations: of [`READER`] with 100, 1,000 … messages and, the last, as many as remain; and of the other
/// users, with a tenth of all messages, half of them with a handful.
fn plan(rows: u64, users: &[String], random: &mut Rng) -> Vec<Conversation> {
    let mut conversations = Vec::new();
    let mut add = |first: String, second: String, size| {
        let id = conversations.len() as u64 + 1;
        conversations.push(Conversation { id, first, second, size });
    };
    let crowd = rows / 10;
    let mut left = crowd;
    for distance in 1.. {
        for (n, one) in users.iter().enumerate() {
            let other = &users[(n + distance) % users.len()];
            let size = (1 << random.u64(..10).min(random.u64(..10))) + random.u64(..8);
            let size = size.min(left);
            if size > 0 {
                add(one.min(other).clone(), one.max(other).clone(), size);
            }
            left -= size;
        }
        if left == 0 {
            break;
        }
    }
    let mut left = rows - crowd;
    for size in (2..).map(|power| 10_u64.pow(power)) {
        let last = left < size * 3 / 2;
        let size = if last { left } else { size };
        left -= size;
        add(format!("peer{size:09}"), READER.into(), size);
        if left == 0 {
            return conversations;
        }
    }
    unreachable!("the sizes grow beyond what is left")
}

/// Inserts the messages in an order of time that is as good as random, into both tables alike.
fn load_messages(connection: &mut Connection, conversations: &[Conversation], rows: u64, random: &mut Rng) {
    let mut order: Vec<&Conversation> = Vec::new();
    for conversation in conversations {
        order.extend((0..conversation.size).map(|_| conversation));
    }
    random.shuffle(&mut order);
    let mut last_ids = vec![0_u64; conversations.len() + 1];
    let words =
        "the a of to and in is you that it chat message meeting tomorrow photo lunch thanks really 😀 naïve";
    let words: Vec<&str> = words.split(' ').collect();
    let mut loaded = 0_u64;
    for batch in order.chunks(BATCH) {
        let messages: Vec<_> = batch
            .iter()
            .map(|conversation| {
                let last_id = &mut last_ids[usize::try_from(conversation.id).expect("a small number")];
                *last_id += 1;
                let (mut sender, mut receiver) = (&conversation.first, &conversation.second);
                if random.bool() {
                    (sender, receiver) = (receiver, sender);
                }
                let length = 1 + random.u64(..30);
                let text =
                    (0..length).map(|_| *random.choice(&words).expect("words")).collect::<Vec<_>>().join(" ");
                let mut key = [0; 16];
                key[..8].copy_from_slice(&random.u64(..).to_be_bytes());
                key[8..].copy_from_slice(&random.u64(..).to_be_bytes());
                loaded += 1;
                (*conversation, *last_id, sender, receiver, text, loaded, key.to_vec())
            })
            .collect();
        let interval = 365 * 24 * 3600 * 1_000_000 / rows;
        let mut insert = QueryBuilder::<MySql>::new("INSERT INTO messages ");
        insert.push_values(&messages, |mut row, (conversation, id, sender, receiver, text, at, key)| {
            row.push_bind(conversation.id)
                .push_bind(id)
                .push_bind(sender)
                .push_bind(receiver)
                .push_bind(text);
            row.push("'2025-01-01' + INTERVAL ").push_bind_unseparated(at * interval);
            row.push_unseparated(" MICROSECOND").push_bind(key);
        });
        connection.fetch(insert.build());
        let mut insert = QueryBuilder::<MySql>::new(
            "INSERT INTO usual_messages
               (first_user, second_user, sender, receiver, message, time_stamp, idempotency_key) ",
        );
        insert.push_values(&messages, |mut row, (conversation, _, sender, receiver, text, at, key)| {
            row.push_bind(&conversation.first).push_bind(&conversation.second);
            row.push_bind(sender).push_bind(receiver).push_bind(text);
            row.push("'2025-01-01' + INTERVAL ").push_bind_unseparated(at * interval);
            row.push_unseparated(" MICROSECOND").push_bind(key);
        });
        connection.fetch(insert.build());
        if loaded % (rows / 10) < BATCH as u64 {
            eprintln!("{} of {} messages loaded, twice", thousands(loaded), thousands(rows));
        }
    }
}
