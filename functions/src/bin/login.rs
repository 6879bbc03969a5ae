//! Login: `POST /login`

use std::process::ExitCode;

use functions::{ApiError, Request, Response, json};
use http::StatusCode;
use serde::Serialize;
use shared::Error;
use shared::database::Database;
use shared::password::{Hasher, Password};
use shared::session::{self, BEGIN_LOGIN, FAIL_LOGIN, LOGIN};
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let hasher = Hasher::new();
    let handle = async |request: &Request, database: &Database| handle(request, database, &hasher).await;
    functions::run("login", &[BEGIN_LOGIN, FAIL_LOGIN, LOGIN], handle).await
}

#[derive(Serialize)]
struct LoggedIn {
    username: String,
    token: String,
    expires_at: String,
}

async fn handle(request: &Request, database: &Database, hasher: &Hasher) -> Result<Response, ApiError> {
    let (username, password): (Username, Password) = request.body(|fields| {
        let (username, password) = (fields.required("username"), fields.required("password"));
        Some((username?, password?))
    })?;
    let source = request.source();
    let hash = session::begin_login(database, &username, &source).await?;
    let Some(hash) = hasher.check(&password, hash) else {
        session::fail_login(database, &username, &source).await?;
        return Err(Error::InvalidCredentials.into());
    };
    let session = session::login(database, &username, &hash, &source).await?;
    let body = LoggedIn {
        username: session.username,
        token: session.token.reveal(),
        expires_at: session.expires_at,
    };
    Ok(json(StatusCode::OK, &body))
}
