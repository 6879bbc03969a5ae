//! `Logout`: `POST /logout`

use std::process::ExitCode;

use functions::{ApiError, Connections, Context, Response, json, request};
use lambda_http::http::StatusCode;
use shared::session::{self, LOGOUT};
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let connections = Connections::from_env();
    functions::run("logout", &[LOGOUT], async |context| handle(context, &connections).await).await
}

request! {
    /// The end of one session or of all.
    struct Logout from fields {
        /// The caller.
        username: Username,
        /// Whether to end all sessions of the user, instead of this one.
        everywhere: bool = false,
    }
}

async fn handle(context: &Context<'_>, connections: &Connections) -> Result<Response, ApiError> {
    let token = context.token()?;
    let Logout { username, everywhere } = context.body()?;
    context.log_caller(username.as_str());
    let (user, closed) = session::logout(context.database, &token, &username, everywhere).await?;
    connections.close(context, &closed).await;
    Ok(json(StatusCode::OK, &user))
}
