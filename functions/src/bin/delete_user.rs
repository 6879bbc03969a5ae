//! `DeleteUser`: `POST /users/delete`

use std::process::ExitCode;

use functions::{ApiError, Connections, Context, Response, json, request};
use lambda_http::http::StatusCode;
use serde_json::json;
use shared::password::{Hasher, Password};
use shared::session::{self, BEGIN_REAUTHENTICATION, FAIL_LOGIN};
use shared::user::{self, DELETE_USER, Username};

const STATEMENTS: &[&str] = &[BEGIN_REAUTHENTICATION, FAIL_LOGIN, DELETE_USER];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (hasher, connections) = (Hasher::new(), Connections::from_env());
    let handle = async |context: &Context<'_>| handle(context, &hasher, &connections).await;
    functions::run("delete_user", STATEMENTS, handle).await
}

request! {
    /// The end of a user.
    struct DeleteUser from fields {
        /// The caller.
        username: Username,
        /// The current password.
        password: Password,
    }
}

async fn handle(
    context: &Context<'_>,
    hasher: &Hasher,
    connections: &Connections,
) -> Result<Response, ApiError> {
    let token = context.token()?;
    let DeleteUser { username, password } = context.body()?;
    context.log_caller(username.as_str());
    let (database, source) = (context.database, context.source());
    let hash = session::reauthenticate(database, hasher, &token, &username, &password, &source).await?;
    let (username, closed) = user::delete_user(database, &token, &hash).await?;
    connections.close(context, &closed).await;
    Ok(json(StatusCode::OK, &json!({"username": username})))
}
