//! `Connect`: the route `$connect` of the WebSocket API

use std::process::ExitCode;

use functions::{ApiError, Connections, Context, Response, opened};
use shared::connection::{self, CONNECT};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let connections = Connections::from_env();
    functions::run("connect", &[CONNECT], async |context| handle(context, &connections).await).await
}

async fn handle(context: &Context<'_>, connections: &Connections) -> Result<Response, ApiError> {
    let token = context.web_socket_token()?;
    let connection = context.connection_id()?;
    let displaced = connection::connect(context.database, &token, connection).await?;
    connections.close(context, &displaced).await;
    Ok(opened())
}
