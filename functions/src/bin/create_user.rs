//! `CreateUser`: `POST /users`

use std::process::ExitCode;

use functions::{ApiError, AtFault, Context, Fields, Response, json, request};
use lambda_http::http::StatusCode;
use shared::password::{Hasher, Password};
use shared::user::{self, Username};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let hasher = Hasher::new();
    functions::run("create_user", &[user::CREATE_USER], async |context| handle(context, &hasher).await).await
}

request! {
    /// A new user.
    struct CreateUser from fields {
        /// The name, which nobody else may have.
        username: Username,
        /// The password, which must not be easy to guess.
        password: Password as { strong_password(fields, &username) },
    }
}

async fn handle(context: &Context<'_>, hasher: &Hasher) -> Result<Response, ApiError> {
    let CreateUser { username, password } = context.body()?;
    let user = user::create_user(context.database, &username, &hasher.hash(&password)).await?;
    Ok(json(StatusCode::CREATED, &user))
}

fn strong_password(
    fields: &mut Fields<'_>,
    username: &Result<Username, AtFault>,
) -> Result<Password, AtFault> {
    let password: Password = fields.required("password")?;
    match username.as_ref().map(|username| password.check_strength(username)) {
        Ok(Err(weakness)) => Err(fields.fault("WEAK_PASSWORD", "password", weakness.0)),
        _ => Ok(password),
    }
}
