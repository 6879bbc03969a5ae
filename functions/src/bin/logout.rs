//! Logout: `POST /logout`

use functions::{ApiError, Error, Request, Response, json};
use http::StatusCode;
use shared::database::Database;
use shared::session::{self, LOGOUT, Scope};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
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
