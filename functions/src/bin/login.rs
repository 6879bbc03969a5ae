//! `Login`: `POST /login`

use std::process::ExitCode;

use functions::{ApiError, Context, Response, json, request};
use lambda_http::http::StatusCode;
use serde::Serialize;
use shared::Error;
use shared::password::{Hasher, Password};
use shared::session::{self, BEGIN_LOGIN, Device, FAIL_LOGIN, LOGIN};
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let hasher = Hasher::new();
    functions::run("login", &[BEGIN_LOGIN, FAIL_LOGIN, LOGIN], async |context| handle(context, &hasher).await)
        .await
}

request! {
    /// A user who wants a session.
    struct Login from fields {
        /// The name, in any letter case.
        username: Username,
        /// The password.
        password: Password,
        /// What the client calls the device that it runs on.
        device: Option<Device>,
    }
}

#[derive(Serialize)]
struct LoggedIn {
    username: String,
    token: String,
    expires_at: String,
}

async fn handle(context: &Context<'_>, hasher: &Hasher) -> Result<Response, ApiError> {
    let Login { username, password, device } = context.body()?;
    context.log_source();
    let (database, source) = (context.database, context.source());
    let hash = session::begin_login(database, &username, &source).await?;
    if hash.is_some() {
        // A name that nobody has may be a password that was typed into the wrong field.
        context.log_caller(username.as_str());
    }
    let Some(hash) = hasher.check(&password, hash) else {
        session::fail_login(database, &username, &source).await?;
        return Err(Error::InvalidCredentials.into());
    };
    let session = session::login(database, &username, &hash, &source, device.as_ref()).await?;
    let body = LoggedIn {
        username: session.username,
        token: session.token.reveal(),
        expires_at: session.expires_at,
    };
    Ok(json(StatusCode::OK, &body))
}
