//! SendMessage: `POST /messages`

use std::process::ExitCode;

use functions::{ApiError, Request, Response, json};
use http::StatusCode;
use shared::database::Database;
use shared::message::{self, IdempotencyKey, SEND_MESSAGE};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("send_message", &[SEND_MESSAGE], handle).await
}

async fn handle(request: &Request, database: &Database) -> Result<Response, ApiError> {
    let token = request.token()?;
    let (sender, receiver, text, key) = request.body(|fields| {
        let (sender, receiver) = (fields.required("sender"), fields.required("receiver"));
        let (text, key) = (fields.required("message"), fields.header("Idempotency-Key"));
        Some((sender?, receiver?, text?, key?))
    })?;
    // A send without a key can be repeated inside its request only, which is nobody's business.
    let tell_replay = key.is_some();
    let key = key.unwrap_or_else(IdempotencyKey::random);
    let sent = message::send_message(database, &token, &sender, &receiver, text, &key).await?;
    let response = json(StatusCode::CREATED, &sent.message);
    Ok(if sent.replayed && tell_replay { response.header("Idempotent-Replayed", "true") } else { response })
}
