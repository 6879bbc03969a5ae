//! `MarkRead`: `POST /messages/read`

use std::process::ExitCode;

use functions::{ApiError, Connections, Context, Response, json, request};
use lambda_http::http::StatusCode;
use shared::connection::DISCONNECT;
use shared::conversation::{self, MARK_READ};
use shared::message::MessageId;
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let connections = Connections::from_env();
    functions::run("mark_read", &[MARK_READ, DISCONNECT], async |context| handle(context, &connections).await)
        .await
}

request! {
    /// How far the caller has read a conversation.
    struct MarkRead from fields {
        /// One of the two users.
        sender: Username,
        /// The other. One of them is the caller.
        receiver: Username,
        /// The newest message that the caller has read.
        id: MessageId,
    }
}

async fn handle(context: &Context<'_>, connections: &Connections) -> Result<Response, ApiError> {
    let token = context.token()?;
    let MarkRead { sender, receiver, id } = context.body()?;
    let marked = conversation::mark_read(context.database, &token, &sender, &receiver, id).await?;
    connections.push(context, &marked.pushes).await;
    Ok(json(StatusCode::OK, &marked.marker))
}
