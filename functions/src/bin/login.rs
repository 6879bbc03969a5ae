//! Login: `POST /login`

use std::process::ExitCode;

use functions::{ApiError, Context, Response, json, request};
use lambda_http::http::StatusCode;
use serde::Serialize;
use shared::session::{self, BEGIN_LOGIN, LOGIN};
use shared::user::{Password, Username};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("login", &[BEGIN_LOGIN, LOGIN], handle).await
}

request! {
    /// A user who wants a session.
    struct Login from fields {
        /// The name, in any case.
        username: Username,
        /// The password.
        password: Password,
    }
}

#[derive(Serialize)]
struct LoggedIn {
    username: String,
    token: String,
    expires_at: String,
}

async fn handle(context: &Context<'_>) -> Result<Response, ApiError> {
    let Login { username, password } = context.body()?;
    let source = context.source();
    let hash = session::begin_login(context.database, &username, &source).await?;
    if !password.matches(hash.as_ref()) {
        return Err(ApiError::InvalidCredentials);
    }
    let session = session::login(context.database, &username, &source).await?;
    let body = LoggedIn {
        username: session.username,
        token: session.token.reveal(),
        expires_at: session.expires_at,
    };
    Ok(json(StatusCode::OK, &body))
}
