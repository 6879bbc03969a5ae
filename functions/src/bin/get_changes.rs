//! `GetChanges`: `GET /changes`

use std::process::ExitCode;

use functions::{ApiError, Context, Response, json, request};
use lambda_http::http::StatusCode;
use shared::Bounded;
use shared::conversation::{self, GET_CHANGES, PageLimit, Position};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("get_changes", &[GET_CHANGES], handle).await
}

request! {
    /// What has changed in the caller's inbox.
    struct GetChanges from fields {
        /// The position up to which the caller knows everything.
        after: Position = Bounded::constant::<0>(),
        /// How many conversations at the most.
        limit: PageLimit = Bounded::constant::<50>(),
    }
}

async fn handle(context: &Context<'_>) -> Result<Response, ApiError> {
    let token = context.token()?;
    let GetChanges { after, limit } = context.parameters()?;
    let changes = conversation::get_changes(context.database, &token, after, limit).await?;
    Ok(json(StatusCode::OK, &changes))
}
