//! GetUsers: `GET /users`

use std::process::ExitCode;

use functions::{ApiError, Request, Response, json};
use http::StatusCode;
use shared::Bounded;
use shared::database::Database;
use shared::user::{self, GET_USERS, Username};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("get_users", &[GET_USERS], handle).await
}

async fn handle(request: &Request, database: &Database) -> Result<Response, ApiError> {
    let token = request.token()?;
    let (limit, after): (_, Option<Username>) = request.parameters(|parameters| {
        let (limit, after) = (parameters.optional("limit"), parameters.optional("after"));
        Some((limit?, after?))
    })?;
    let limit = limit.unwrap_or(Bounded::constant::<100>());
    let page = user::get_users(database, &token, limit, after.as_ref()).await?;
    Ok(json(StatusCode::OK, &page))
}
