//! Puts users with published passwords and tokens into the database of `DATABASE_URL`, for trying the service out, and
//! prints the tokens. Whatever has become of them since the last time is undone. Never for a database that others can
//! reach.

use std::error::Error;

use shared::database::Database;
use shared::message::{self, SEND_MESSAGE};
use shared::password::Hasher;
use shared::token::Token;
use sqlx::{Connection, MySqlConnection};

/// Name, password and tokens. The events use the tokens; two of Alice's are for `events/logout.json` and
/// `events/end_session.json` to end, Dave is there to be blocked and to change his password, and
/// Erin to be deleted.
const USERS: [(&str, &str, &[&str]); 4] = [
    (
        "alice",
        "white rabbit 1865",
        &[
            "demo-token-alice-AAAAAAAAAAAAAAAAAAAAAAAAAA",
            "demo-token-alice-to-be-ended-by-logout-AAAA",
            "demo-token-alice-to-be-ended-by-id-AAAAAAAA",
        ],
    ),
    ("bob", "fix it: yes we can", &["demo-token-bob-AAAAAAAAAAAAAAAAAAAAAAAAAAAA"]),
    ("dave", "open the pod bay doors", &["demo-token-dave-AAAAAAAAAAAAAAAAAAAAAAAAAAA"]),
    ("erin", "goodbye, blue sky of 1979", &["demo-token-erin-AAAAAAAAAAAAAAAAAAAAAAAAAAA"]),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hasher = Hasher::new();
    let database = Database::open(&[SEND_MESSAGE]).await?;
    let mut connection = MySqlConnection::connect(&std::env::var("DATABASE_URL")?).await?;
    for (username, password, tokens) in USERS {
        let insert = "INSERT INTO users (username, password, logged_in)
                      VALUES (?, ?, UTC_TIMESTAMP(6) + INTERVAL 30 DAY)
                      ON DUPLICATE KEY UPDATE
                        password = VALUES(password), logged_in = VALUES(logged_in), deleted = NULL";
        let hash = hasher.hash(&password.parse()?);
        sqlx::query(insert).bind(username).bind(hash.as_str()).execute(&mut connection).await?;
        for token in tokens {
            let insert = "INSERT INTO sessions (token, username, created, expires)
                          VALUES (?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 30 DAY)
                          ON DUPLICATE KEY UPDATE expires = VALUES(expires)";
            sqlx::query(insert)
                .bind(token.parse::<Token>()?.hash())
                .bind(username)
                .execute(&mut connection)
                .await?;
        }
        println!("  {}='Authorization: Bearer {}'", username.to_uppercase(), tokens[0]);
    }
    // Once, however often this runs.
    let (token, bob, alice) = (USERS[1].2[0].parse()?, "bob".parse()?, "alice".parse()?);
    let key = "welcome".parse()?;
    message::send_message(&database, &token, &bob, &alice, "Welcome, Alice!".parse()?, &key).await?;
    Ok(())
}
