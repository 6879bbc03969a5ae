//! `SendMessage`: `POST /messages`

use std::process::ExitCode;

use functions::{ApiError, Connections, Context, Response, json, request};
use lambda_http::http::{HeaderValue, StatusCode};
use shared::connection::DISCONNECT;
use shared::message::{self, IdempotencyKey, SEND_MESSAGE, Text};
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let connections = Connections::from_env();
    functions::run("send_message", &[SEND_MESSAGE, DISCONNECT], async |context| {
        handle(context, &connections).await
    })
    .await
}

request! {
    /// A message to be sent.
    struct SendMessage from fields {
        /// The caller.
        sender: Username,
        /// Who is to receive it.
        receiver: Username,
        /// Its text.
        message: Text,
        /// What makes two sends the same.
        key: Option<IdempotencyKey> as { fields.header("Idempotency-Key") },
    }
}

async fn handle(context: &Context<'_>, connections: &Connections) -> Result<Response, ApiError> {
    let token = context.token()?;
    let SendMessage { sender, receiver, message, key } = context.body()?;
    // A send without a key is repeated only inside its request, which the client need not know.
    let tell_replay = key.is_some();
    let key = key.unwrap_or_else(IdempotencyKey::random);
    let sent = message::send_message(context.database, &token, &sender, &receiver, message, &key).await?;
    connections.push(context, &sent.pushes).await;
    let mut response = json(StatusCode::CREATED, &sent.message);
    if sent.replayed && tell_replay {
        response.headers_mut().insert("Idempotent-Replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}
