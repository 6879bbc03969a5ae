//! `SendMessage`, `GetMessages` and `GetUsers` as they are usually written: a pool, one statement for each step, an
//! `AUTO_INCREMENT` key with a secondary index on the pair of users, pages by OFFSET.
//!
//! Kinder than many: a request takes one connection for all its statements, and so pays the pool's ping once, and once
//! more after the response; the pair is stored in one order, so that one index finds both directions.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::token::Token;
use sqlx::{Connection, FromRow, MySqlConnection, MySqlPool};

/// Status and body.
type Answer = Result<(i64, Value), Error>;

/// The fields of the bodies.
#[derive(Deserialize)]
struct Fields {
    sender: String,
    receiver: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    offset: i64,
}

#[derive(FromRow, Serialize)]
struct Stored {
    id: i64,
    sender: String,
    receiver: String,
    message: String,
    time_stamp: String,
}

#[derive(FromRow, Serialize)]
struct User {
    username: String,
    logged_in: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let pool = MySqlPool::connect(&std::env::var("DATABASE_URL")?).await?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        let (status, body) = answer(&event.payload, &pool).await?;
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = status;
        response.body = Some(Body::Text(body.to_string()));
        Ok::<_, Error>(response)
    }))
    .await
}

async fn answer(event: &ApiGatewayV2httpRequest, pool: &MySqlPool) -> Answer {
    let mut connection = pool.acquire().await?;
    let caller = caller(event, &mut connection).await?;
    let fields = || serde_json::from_str::<Fields>(event.body.as_deref().unwrap_or_default());
    match event.raw_path.as_deref().unwrap_or_default() {
        "/messages" => send_message(event, &mut connection, &caller, fields()?).await,
        "/messages/query" => get_messages(&mut connection, &caller, fields()?).await,
        _ => get_users(&mut connection).await,
    }
}

/// The user whose session the token opens.
async fn caller(event: &ApiGatewayV2httpRequest, connection: &mut MySqlConnection) -> Result<String, Error> {
    let header = event.headers.get("authorization").ok_or("no token")?.to_str()?;
    let token: Token = header.trim_start_matches("Bearer ").parse()?;
    let select = "SELECT username FROM sessions WHERE token = ? AND expires > UTC_TIMESTAMP(6)";
    Ok(sqlx::query_scalar(select).bind(token.hash()).fetch_one(connection).await?)
}

async fn send_message(
    event: &ApiGatewayV2httpRequest,
    connection: &mut MySqlConnection,
    caller: &str,
    fields: Fields,
) -> Answer {
    if !caller.eq_ignore_ascii_case(&fields.sender) {
        return Err("forbidden".into());
    }
    let select = "SELECT username FROM users WHERE username = ?";
    let receiver: String =
        sqlx::query_scalar(select).bind(&fields.receiver).fetch_one(&mut *connection).await?;
    let key = event.headers.get("idempotency-key").ok_or("no key")?.to_str()?;
    let key = u128::from_str_radix(key, 16)?.to_be_bytes();
    let (first, second) = (caller.min(&receiver), caller.max(&receiver));

    let mut transaction = connection.begin().await?;
    let insert = "INSERT INTO usual_messages
                    (first_user, second_user, sender, receiver, message, time_stamp, idempotency_key)
                  VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(6), ?)";
    let insert = sqlx::query(insert).bind(first).bind(second).bind(caller).bind(&receiver);
    let inserted = insert.bind(&fields.message).bind(&key[..]).execute(&mut *transaction).await?;
    let id = i64::try_from(inserted.last_insert_id())?;
    let select = "SELECT DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ') FROM usual_messages WHERE id = ?";
    let time_stamp = sqlx::query_scalar(select).bind(id).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok((201, json!(Stored { id, sender: caller.into(), receiver, message: fields.message, time_stamp })))
}

async fn get_messages(connection: &mut MySqlConnection, caller: &str, fields: Fields) -> Answer {
    let mut pair = [&fields.sender, &fields.receiver];
    pair.sort();
    if !pair.iter().any(|name| name.eq_ignore_ascii_case(caller)) {
        return Err("forbidden".into());
    }
    let select = "SELECT id, sender, receiver, message,
                         DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ') AS time_stamp
                    FROM usual_messages WHERE first_user = ? AND second_user = ?
                   ORDER BY id DESC LIMIT 50 OFFSET ?";
    let query = sqlx::query_as::<_, Stored>(select).bind(pair[0]).bind(pair[1]).bind(fields.offset);
    Ok((200, json!({"messages": query.fetch_all(connection).await?})))
}

async fn get_users(connection: &mut MySqlConnection) -> Answer {
    let select = "SELECT username, COALESCE(logged_in > UTC_TIMESTAMP(6), FALSE) AS logged_in FROM users
                   ORDER BY username LIMIT 101 OFFSET 0";
    Ok((200, json!({"users": sqlx::query_as::<_, User>(select).fetch_all(connection).await?})))
}
