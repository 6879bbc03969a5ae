//! Puts two users with published passwords and tokens into the database of `DATABASE_URL`, for trying the
//! service out, and prints the tokens. Never for a database that others can reach.

use std::error::Error;

use shared::database::Database;
use shared::message::{self, SEND_MESSAGE};
use shared::password::Hasher;
use shared::token::Token;
use shared::user::{self, CREATE_USER};
use sqlx::{Connection, MySqlConnection};

/// Name, password and tokens. The events use the tokens; two of Alice's are for `events/logout.json` and
/// `events/end_session.json` to end.
const USERS: [(&str, &str, &[&str]); 2] = [
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
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hasher = Hasher::new();
    let database = Database::open(&[CREATE_USER, SEND_MESSAGE]).await?;
    let mut connection = MySqlConnection::connect(&std::env::var("DATABASE_URL")?).await?;
    for (username, password, tokens) in USERS {
        let hash = hasher.hash(&password.parse()?);
        match user::create_user(&database, &username.parse()?, &hash).await {
            Ok(_) | Err(shared::Error::UsernameTaken) => {}
            Err(error) => return Err(error.into()),
        }
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
        let update = "UPDATE users SET logged_in = UTC_TIMESTAMP(6) + INTERVAL 30 DAY WHERE username = ?";
        sqlx::query(update).bind(username).execute(&mut connection).await?;
    }
    // Once, however often this runs.
    let (token, bob, alice) = (USERS[1].2[0].parse()?, "bob".parse()?, "alice".parse()?);
    let key = "welcome".parse()?;
    message::send_message(&database, &token, &bob, &alice, "Welcome, Alice!".parse()?, &key).await?;
    Ok(())
}
