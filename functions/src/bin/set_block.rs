//! `SetBlock`: `POST /blocks`

use std::process::ExitCode;

use functions::{ApiError, AtFault, Context, Fields, Response, json, request};
use lambda_http::http::StatusCode;
use shared::conversation::{self, SET_BLOCK};
use shared::user::Username;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("set_block", &[SET_BLOCK], handle).await
}

request! {
    /// Whether somebody is blocked.
    struct SetBlock from fields {
        /// The caller.
        username: Username,
        /// Whom it concerns.
        peer: Username as { somebody_else(fields, &username) },
        /// Whether messages between the two are refused from now on.
        blocked: bool,
    }
}

async fn handle(context: &Context<'_>) -> Result<Response, ApiError> {
    let token = context.token()?;
    let SetBlock { username, peer, blocked } = context.body()?;
    context.log_caller(username.as_str());
    let block = conversation::set_block(context.database, &token, &username, &peer, blocked).await?;
    Ok(json(StatusCode::OK, &block))
}

fn somebody_else(fields: &mut Fields<'_>, username: &Result<Username, AtFault>) -> Result<Username, AtFault> {
    let peer: Username = fields.required("peer")?;
    match username {
        Ok(username) if username.is(&peer) => {
            Err(fields.fault("INVALID_FIELD", "peer", "must be somebody else"))
        }
        _ => Ok(peer),
    }
}
