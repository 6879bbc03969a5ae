//! CreateUser: `POST /users`

use std::process::ExitCode;

use functions::{ApiError, Request, Response, json};
use http::StatusCode;
use shared::database::Database;
use shared::password::{Hasher, Password};
use shared::user::{self, Username};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let hasher = Hasher::new();
    let handle = async |request: &Request, database: &Database| handle(request, database, &hasher).await;
    functions::run("create_user", &[user::CREATE_USER], handle).await
}

async fn handle(request: &Request, database: &Database, hasher: &Hasher) -> Result<Response, ApiError> {
    let (username, password) = request.body(|fields| {
        let (username, password) = (fields.required("username"), fields.required("password"));
        let (username, password): (Username, Password) = (username?, password?);
        match password.check_strength(&username) {
            Ok(()) => Some((username, password)),
            Err(weakness) => fields.fault("WEAK_PASSWORD", "password", weakness.0),
        }
    })?;
    let user = user::create_user(database, &username, &hasher.hash(&password)).await?;
    Ok(json(StatusCode::CREATED, &user))
}
