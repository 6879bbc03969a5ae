//! GetMessages: `POST /messages/query`

use std::process::ExitCode;

use functions::{ApiError, Request, Response, json};
use http::StatusCode;
use shared::Bounded;
use shared::database::Database;
use shared::message::{self, Cursor, GET_MESSAGES};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("get_messages", &[GET_MESSAGES], handle).await
}

async fn handle(request: &Request, database: &Database) -> Result<Response, ApiError> {
    let token = request.token()?;
    let (sender, receiver, limit, cursor) = request.body(|fields| {
        let (sender, receiver) = (fields.required("sender"), fields.required("receiver"));
        let (limit, before, after) =
            (fields.optional("limit"), fields.optional("before"), fields.optional("after"));
        let cursor = match (before?, after?) {
            (None, None) => Cursor::Newest,
            (Some(id), None) => Cursor::Before(id),
            (None, Some(id)) => Cursor::After(id),
            (Some(_), Some(_)) => {
                return fields.fault("INVALID_FIELD", "after", "can't go together with `before`");
            }
        };
        Some((sender?, receiver?, limit?, cursor))
    })?;
    let limit = limit.unwrap_or(Bounded::constant::<50>());
    let page = message::get_messages(database, &token, &sender, &receiver, limit, cursor).await?;
    Ok(json(StatusCode::OK, &page))
}
