//! `SendMessage`, `GetMessages` and `GetUsers` as they are usually written: a pool, one statement for each step, an
//! `AUTO_INCREMENT` key with a secondary index on the pair of users, pages by OFFSET.
//!
//! Kinder than many: a request takes one connection for all its statements (and so pays the pool's ping once, and once more after the response),
//! the pair is stored in one order, so that one index finds both directions, and there is no ORM.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::token::Token;
use sqlx::mysql::MySqlRow;
use sqlx::{Connection, MySqlConnection, MySqlPool, Row};

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

async fn answer(event: &ApiGatewayV2httpRequest, pool: &MySqlPool) -> Result<(i64, Value), Error> {
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
) -> Result<(i64, Value), Error> {
    if !caller.eq_ignore_ascii_case(&fields.sender) {
        return Err("forbidden".into());
    }
    let select = "SELECT username FROM users WHERE username = ?";
    let receiver: String =
        sqlx::query_scalar(select).bind(&fields.receiver).fetch_one(&mut *connection).await?;
    let key = event.headers.get("idempotency-key").ok_or("no key")?.to_str()?;
    let key = u128::from_str_radix(key, 16)?.to_be_bytes();

    let mut transaction = connection.begin().await?;
    let insert = "INSERT INTO usual_messages
                    (first_user, second_user, sender, receiver, message, time_stamp, idempotency_key)
                  VALUES (LEAST(?, ?), GREATEST(?, ?), ?, ?, ?, UTC_TIMESTAMP(6), ?)";
    let inserted = sqlx::query(insert)
        .bind(caller)
        .bind(&receiver)
        .bind(caller)
        .bind(&receiver)
        .bind(caller)
        .bind(&receiver)
        .bind(&fields.message)
        .bind(&key[..])
        .execute(&mut *transaction)
        .await?;
    let id = i64::try_from(inserted.last_insert_id())?;
    let select = "SELECT DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ') FROM usual_messages WHERE id = ?";
    let time: String = sqlx::query_scalar(select).bind(id).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    let message = json!({
        "id": id, "sender": caller, "receiver": receiver, "message": fields.message, "time_stamp": time,
    });
    Ok((201, message))
}

async fn get_messages(
    connection: &mut MySqlConnection,
    caller: &str,
    fields: Fields,
) -> Result<(i64, Value), Error> {
    let mut pair = [fields.sender.to_lowercase(), fields.receiver.to_lowercase()];
    if !pair.contains(&caller.to_lowercase()) {
        return Err("forbidden".into());
    }
    pair.sort();
    let select = "SELECT id, sender, receiver, message, DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
                    FROM usual_messages WHERE first_user = ? AND second_user = ?
                   ORDER BY id DESC LIMIT 50 OFFSET ?";
    let query = sqlx::query(select).bind(&pair[0]).bind(&pair[1]).bind(fields.offset);
    let message = |row: &MySqlRow| {
        Ok(json!({
            "id": row.try_get::<i64, _>(0)?,
            "sender": row.try_get::<&str, _>(1)?,
            "receiver": row.try_get::<&str, _>(2)?,
            "message": row.try_get::<&str, _>(3)?,
            "time_stamp": row.try_get::<&str, _>(4)?,
        }))
    };
    let messages: Result<Vec<_>, sqlx::Error> =
        query.fetch_all(connection).await?.iter().map(message).collect();
    Ok((200, json!({"messages": messages?})))
}

async fn get_users(connection: &mut MySqlConnection) -> Result<(i64, Value), Error> {
    let select = "SELECT username, COALESCE(logged_in > UTC_TIMESTAMP(6), FALSE) FROM users
                   ORDER BY username LIMIT 101 OFFSET 0";
    let user = |row: &MySqlRow| {
        Ok(json!({"username": row.try_get::<&str, _>(0)?, "logged_in": row.try_get::<bool, _>(1)?}))
    };
    let users: Result<Vec<_>, sqlx::Error> =
        sqlx::query(select).fetch_all(connection).await?.iter().map(user).collect();
    Ok((200, json!({"users": users?})))
}
