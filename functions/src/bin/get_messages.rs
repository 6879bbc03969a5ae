//! `GetMessages`: `POST /messages/query`

use std::process::ExitCode;

use functions::{ApiError, AtFault, Context, Fields, Response, json, request};
use lambda_http::http::StatusCode;
use shared::Bounded;
use shared::message::{self, Cursor, GET_MESSAGES, PageLimit};
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("get_messages", &[GET_MESSAGES], handle).await
}

request! {
    /// A page of a conversation.
    struct GetMessages from fields {
        /// One of the two users.
        sender: Username,
        /// The other. One of them is the caller.
        receiver: Username,
        /// How many messages at the most.
        limit: PageLimit = Bounded::constant::<50>(),
        /// Those just `before` an id, or just `after` one; the newest without either.
        cursor: Cursor as { before_or_after(fields) },
    }
}

async fn handle(context: &Context<'_>) -> Result<Response, ApiError> {
    let token = context.token()?;
    let GetMessages { sender, receiver, limit, cursor } = context.body()?;
    let page = message::get_messages(context.database, &token, &sender, &receiver, limit, cursor).await?;
    Ok(json(StatusCode::OK, &page))
}

fn before_or_after(fields: &mut Fields<'_>) -> Result<Cursor, AtFault> {
    let (before, after) = (fields.optional("before"), fields.optional("after"));
    match (before?, after?) {
        (None, None) => Ok(Cursor::Newest),
        (Some(id), None) => Ok(Cursor::Before(id)),
        (None, Some(id)) => Ok(Cursor::After(id)),
        (Some(_), Some(_)) => Err(fields.fault("INVALID_FIELD", "after", "can't go together with `before`")),
    }
}
