//! Login: `POST /login`

use std::process::ExitCode;

use functions::{ApiError, Request, Response, json};
use http::StatusCode;
use serde::Serialize;
use shared::database::Database;
use shared::session::{self, BEGIN_LOGIN, LOGIN};
use shared::user::{Password, Username};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("login", &[BEGIN_LOGIN, LOGIN], handle).await
}

#[derive(Serialize)]
struct LoggedIn {
    username: String,
    token: String,
    expires_at: String,
}

async fn handle(request: &Request, database: &Database) -> Result<Response, ApiError> {
    let (username, password): (Username, Password) = request.body(|fields| {
        let (username, password) = (fields.required("username"), fields.required("password"));
        Some((username?, password?))
    })?;
    let source = request.source();
    let hash = session::begin_login(database, &username, &source).await?;
    if !password.matches(hash.as_ref()) {
        return Err(ApiError::InvalidCredentials);
    }
    let session = session::login(database, &username, &source).await?;
    let body = LoggedIn {
        username: session.username,
        token: session.token.reveal(),
        expires_at: session.expires_at,
    };
    Ok(json(StatusCode::OK, &body))
}
