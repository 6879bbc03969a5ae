//! Logout: `POST /logout`

use std::process::ExitCode;

use functions::{ApiError, Request, Response, json};
use http::StatusCode;
use shared::database::Database;
use shared::session::{self, LOGOUT, Scope};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("logout", &[LOGOUT], handle).await
}

async fn handle(request: &Request, database: &Database) -> Result<Response, ApiError> {
    let token = request.token()?;
    let (username, scope) = request.body(|fields| {
        let (username, everywhere) = (fields.required("username"), fields.optional("everywhere"));
        Some((username?, everywhere?.unwrap_or(Scope::This)))
    })?;
    let user = session::logout(database, &token, &username, scope).await?;
    Ok(json(StatusCode::OK, &user))
}
