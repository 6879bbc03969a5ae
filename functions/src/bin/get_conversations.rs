//! `GetConversations`: `GET /conversations`

use std::process::ExitCode;

use functions::{ApiError, Context, Response, json, request};
use lambda_http::http::StatusCode;
use shared::Bounded;
use shared::conversation::{self, GET_CONVERSATIONS, InboxCursor, PageLimit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("get_conversations", &[GET_CONVERSATIONS], handle).await
}

request! {
    /// A page of the caller's inbox.
    struct GetConversations from fields {
        /// How many conversations at the most.
        limit: PageLimit = Bounded::constant::<50>(),
        /// `next` of the page before.
        before: Option<InboxCursor>,
    }
}

async fn handle(context: &Context<'_>) -> Result<Response, ApiError> {
    let token = context.token()?;
    let GetConversations { limit, before } = context.parameters()?;
    let inbox = conversation::get_conversations(context.database, &token, limit, before.as_ref()).await?;
    Ok(json(StatusCode::OK, &inbox))
}
