//! The `@connections` API of API Gateway: what is sent to open WebSocket connections, and how they are closed (Amazon API
//! Gateway Developer Guide, "Use @connections commands in your backend service").

use std::net::Ipv6Addr;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use futures_util::future::join_all;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lambda_http::Error;
use lambda_http::http::{Method, Request, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use shared::connection::{self, Push};
use shared::{SettingError, setting};
use tokio::time::timeout;

use crate::Context;

/// How long telling all connections may take, besides what has to be left for the answer.
const TIME: Duration = Duration::from_millis(500);
/// The largest event that is pushed, in bytes: API Gateway bills by 32 KB, and larger ones come in several frames.
const MAX_EVENT: usize = 30_000;

/// A client of the `@connections` API.
///
/// Whatever goes wrong is logged, and changes no answer: a client that misses an event finds out by the ids.
pub struct Connections(Result<Api, SettingError>);

struct Api {
    /// Where the API is, without a slash at the end.
    url: String,
    region: String,
    credentials: Credentials,
    client: Client<HttpsConnector<HttpConnector>, String>,
}

impl Connections {
    /// The API at `CONNECTIONS_URL`, with the region and the credentials that Lambda sets.
    #[must_use]
    pub fn from_env() -> Self {
        let api = || {
            let session_token = setting("AWS_SESSION_TOKEN").ok().filter(|token| !token.is_empty());
            let (key_id, secret) = (setting("AWS_ACCESS_KEY_ID")?, setting("AWS_SECRET_ACCESS_KEY")?);
            let url = setting("CONNECTIONS_URL")?;
            Ok(Api {
                client: client(url.starts_with("https:")),
                url,
                region: setting("AWS_REGION")?,
                credentials: Credentials::new(key_id, secret, session_token, None, "environment"),
            })
        };
        Self(api())
    }

    /// Tells each connection what it is to be told. Forgets those that have gone.
    pub async fn push(&self, context: &Context<'_>, pushes: &[Push]) {
        let push = async |api: &Api| {
            let sent = pushes.iter().map(|push| api.send(Method::POST, &push.connection, event(push)));
            for (push, status) in pushes.iter().zip(join_all(sent).await) {
                if status == Some(StatusCode::GONE)
                    && let Err(error) = connection::disconnect(context.database, &push.connection).await
                {
                    tracing::warn!(%error, "a connection that has gone is not forgotten");
                }
            }
        };
        if !pushes.is_empty() {
            self.within_time(context, push).await;
        }
    }

    /// Closes connections.
    pub async fn close(&self, context: &Context<'_>, connections: &[String]) {
        let close = async |api: &Api| {
            let sent =
                connections.iter().map(|connection| api.send(Method::DELETE, connection, String::new()));
            join_all(sent).await;
        };
        if !connections.is_empty() {
            self.within_time(context, close).await;
        }
    }

    async fn within_time(&self, context: &Context<'_>, work: impl AsyncFn(&Api)) {
        match &self.0 {
            Ok(api) => {
                if timeout(TIME.min(context.time_left() / 2), work(api)).await.is_err() {
                    tracing::warn!("not all connections were told in time");
                }
            }
            Err(error) => tracing::error!(%error, "no connection can be told"),
        }
    }
}

/// On AWS the network has a way out by IPv6 only: a packet to an IPv4 address would be lost without a word.
fn client(by_ipv6: bool) -> Client<HttpsConnector<HttpConnector>, String> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    if by_ipv6 {
        // Makes the connector pass over addresses of the other kind.
        connector.set_local_address(Some(Ipv6Addr::UNSPECIFIED.into()));
    }
    let connector = HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// What is pushed: without the message's text if it would be too long.
fn event(push: &Push) -> String {
    let mut event = json!({"conversation": push.conversation});
    let text = event.to_string();
    if text.len() <= MAX_EVENT {
        return text;
    }
    if let Some(last_message) = event["conversation"]["last_message"].as_object_mut() {
        last_message.remove("message");
    }
    event.to_string()
}

impl Api {
    /// Sends a command to a connection. Returns the status of the answer, if there was one.
    async fn send(&self, method: Method, connection: &str, body: String) -> Option<StatusCode> {
        // Once more if it fails: a connection to API Gateway may have ended while the environment was frozen.
        let mut answer = self.attempt(&method, connection, &body).await;
        if answer.is_err() {
            answer = self.attempt(&method, connection, &body).await;
        }
        match answer {
            Ok(status) => {
                if !status.is_success() && status != StatusCode::GONE {
                    tracing::warn!(%method, status = status.as_u16(), "API Gateway refuses a command to a connection");
                }
                Some(status)
            }
            Err(cause) => {
                tracing::warn!(%method, cause, "API Gateway can't be reached");
                None
            }
        }
    }

    async fn attempt(&self, method: &Method, connection: &str, body: &str) -> Result<StatusCode, Error> {
        let connection = utf8_percent_encode(connection, NON_ALPHANUMERIC);
        let uri: Uri = format!("{}/@connections/{connection}", self.url).parse()?;
        let mut request = Request::builder().method(method).uri(uri).body(body.to_owned())?;
        self.sign(&mut request)?;
        let answer = self.client.request(request).await?;
        Ok(answer.status())
    }

    /// Signs a request (AWS IAM User Guide, "AWS Signature Version 4 for API requests").
    fn sign(&self, request: &mut Request<String>) -> Result<(), Error> {
        let identity = self.credentials.clone().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let uri = request.uri().to_string();
        let body = SignableBody::Bytes(request.body().as_bytes());
        let signable = SignableRequest::new(request.method().as_str(), uri, std::iter::empty(), body)?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}
