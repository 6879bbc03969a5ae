//! `CreateUser`: `POST /users`

use std::process::ExitCode;

use functions::{ApiError, Context, Response, json, request};
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
        password: Password as { fields.new_password("password", &username) },
    }
}

async fn handle(context: &Context<'_>, hasher: &Hasher) -> Result<Response, ApiError> {
    let CreateUser { username, password } = context.body()?;
    let user = user::create_user(context.database, &username, &hasher.hash(&password)).await?;
    Ok(json(StatusCode::CREATED, &user))
}
