//! `ChangePassword`: `POST /password`

use std::process::ExitCode;

use functions::{ApiError, Connections, Context, Response, json, request};
use lambda_http::http::StatusCode;
use serde_json::json;
use shared::password::{Hasher, Password};
use shared::session::{self, BEGIN_REAUTHENTICATION, FAIL_LOGIN};
use shared::user::{self, CHANGE_PASSWORD, Username};

const STATEMENTS: &[&str] = &[BEGIN_REAUTHENTICATION, FAIL_LOGIN, CHANGE_PASSWORD];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (hasher, connections) = (Hasher::new(), Connections::from_env());
    let handle = async |context: &Context<'_>| handle(context, &hasher, &connections).await;
    functions::run("change_password", STATEMENTS, handle).await
}

request! {
    /// A new password in place of the current one.
    struct ChangePassword from fields {
        /// The caller.
        username: Username,
        /// The current password.
        password: Password,
        /// The new one, which must not be easy to guess.
        new_password: Password as { fields.new_password("new_password", &username) },
    }
}

async fn handle(
    context: &Context<'_>,
    hasher: &Hasher,
    connections: &Connections,
) -> Result<Response, ApiError> {
    let token = context.token()?;
    let ChangePassword { username, password, new_password } = context.body()?;
    context.log_caller(username.as_str());
    let (database, source) = (context.database, context.source());
    let hash = session::reauthenticate(database, hasher, &token, &username, &password, &source).await?;
    let new_hash = hasher.hash(&new_password);
    let (username, closed) = user::change_password(database, &token, &hash, &new_hash, &source).await?;
    connections.close(context, &closed).await;
    Ok(json(StatusCode::OK, &json!({"username": username})))
}
