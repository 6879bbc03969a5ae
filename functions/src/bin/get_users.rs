//! `GetUsers`: `GET /users`

use std::process::ExitCode;

use functions::{ApiError, Context, Response, json, request};
use lambda_http::http::StatusCode;
use shared::Bounded;
use shared::user::{self, GET_USERS, PageLimit, Username};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("get_users", &[GET_USERS], handle).await
}

request! {
    /// A page of the list of all users.
    struct GetUsers from fields {
        /// How many users at the most.
        limit: PageLimit = Bounded::constant::<100>(),
        /// The name after which the page begins, whether or not it is a user's.
        after: Option<Username>,
    }
}

async fn handle(context: &Context<'_>) -> Result<Response, ApiError> {
    let token = context.token()?;
    let GetUsers { limit, after } = context.parameters()?;
    let page = user::get_users(context.database, &token, limit, after.as_ref()).await?;
    Ok(json(StatusCode::OK, &page))
}
