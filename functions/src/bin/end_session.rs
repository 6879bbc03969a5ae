//! `EndSession`: `POST /sessions/end`

use std::process::ExitCode;

use functions::{ApiError, Connections, Context, Response, json, request};
use lambda_http::http::StatusCode;
use shared::session::{self, END_SESSION, SessionId};
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let connections = Connections::from_env();
    functions::run("end_session", &[END_SESSION], async |context| handle(context, &connections).await).await
}

request! {
    /// The end of a session, this one or another.
    struct EndSession from fields {
        /// The caller.
        username: Username,
        /// Which one.
        id: SessionId,
    }
}

async fn handle(context: &Context<'_>, connections: &Connections) -> Result<Response, ApiError> {
    let token = context.token()?;
    let EndSession { username, id } = context.body()?;
    context.log_caller(username.as_str());
    let (user, closed) = session::end_session(context.database, &token, &username, &id).await?;
    connections.close(context, &closed).await;
    Ok(json(StatusCode::OK, &user))
}
