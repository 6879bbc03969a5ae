//! API Gateway: a WebSocket API. The function behind `$connect` decides who may connect, and functions push through the
//! [`connections_api`]. What clients send leads to no function and gets no answer.
//!
//! The Amazon API Gateway Developer Guide says that a status of 2xx opens a connection, that the function chooses the
//! subprotocol, and what the limits are. Users of API Gateway have reported the rest: the function's status as the
//! answer if it refuses, 502 if it fails, and the close codes. Two answers are assumptions: a refusal has no body, and
//! a request that does not ask for a WebSocket is a 403.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::SEC_WEBSOCKET_PROTOCOL;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{self, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::connect_event::{Identity, connect_event};
use crate::connections_api;
use crate::event::{self, new_id};
use crate::gateway::Api;
use crate::http::{self, Answer, empty, message};

/// The largest frame of a client, in bytes.
const MAX_FRAME: usize = 32 * 1024;
/// The largest message of a client or a function, in bytes.
pub(crate) const MAX_MESSAGE: usize = 128 * 1024;
/// How many messages wait for a client, beside those in the buffers of the network: more than functions send at one
/// moment.
const QUEUE: usize = 128;
/// How long a client may take to end a connection that has been closed.
const CLOSING: Duration = Duration::from_secs(1);

/// How a WebSocket API is served.
pub struct WebSocketSettings {
    /// Where.
    pub listener: TcpListener,
    /// After how much time without a message in either direction a connection is closed.
    pub idle: Duration,
    /// After how much time a connection is closed in any case.
    pub age: Duration,
}

impl WebSocketSettings {
    /// With API Gateway's times.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, idle: Duration::from_mins(10), age: Duration::from_hours(2) }
    }
}

pub(crate) struct WebSocketApi {
    api: Arc<Api>,
    /// The logical id of the function behind `$connect`.
    connect: Option<String>,
    /// Of those who may push.
    pub(crate) credentials: Credentials,
    idle: Duration,
    age: Duration,
    connections: Mutex<HashMap<String, Connection>>,
}

/// An open connection. Dropped, it is closed as soon as the messages that wait have been sent.
struct Connection {
    outbox: mpsc::Sender<Message>,
    exchange: AbortHandle,
    identity: Identity,
    connected: SystemTime,
    last_active: SystemTime,
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl WebSocketApi {
    pub(crate) fn new(
        api: Arc<Api>,
        connect: Option<String>,
        credentials: Credentials,
        idle: Duration,
        age: Duration,
    ) -> Self {
        Self { api, connect, credentials, idle, age, connections: Mutex::default() }
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<String, Connection>> {
        self.connections.lock().expect("no panic")
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        self.connections().clear();
    }

    /// Sends a message to a client, if it is connected. A client that does not read is disconnected.
    pub(crate) fn push(&self, id: &str, text: &[u8]) -> Option<()> {
        let mut connections = self.connections();
        let connection = connections.get(id)?;
        let text = String::from_utf8_lossy(text).into_owned();
        if connection.outbox.try_send(Message::text(text)).is_err() {
            connection.exchange.abort();
            connections.remove(id);
            return None;
        }
        Some(())
    }

    /// Closes a connection, if it is there.
    pub(crate) fn disconnect(&self, id: &str) -> Option<()> {
        self.connections().remove(id).map(drop)
    }

    /// What there is to know of a connection.
    pub(crate) fn status(&self, id: &str) -> Option<Value> {
        let connections = self.connections();
        let Connection { identity, connected, last_active, .. } = connections.get(id)?;
        let time =
            |time: &SystemTime| OffsetDateTime::from(*time).format(&Rfc3339).expect("a year of four digits");
        Some(json!({"connectedAt": time(connected), "identity": identity, "lastActiveAt": time(last_active)}))
    }

    pub(crate) async fn serve(self: Arc<Self>, client: SocketAddr, mut request: Request<Incoming>) -> Answer {
        let switching = create_response_with_body(&request, Full::default);
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        if let Some(id) = connections_api::connection_id(&parts) {
            return connections_api::answer(&self, &parts, body, &id).await;
        }
        let function = self.connect.as_ref().and_then(|id| self.api.function(id));
        let (Ok(mut switching), "/", Some(function)) = (switching, parts.uri.path(), function) else {
            return message(StatusCode::FORBIDDEN);
        };
        let id = new_id();
        let identity = Identity::new(&parts, client.ip());
        let outcome = function.respond(connect_event(&parts, &id, &identity), self.api.timeout).await;
        let Some(answer) = outcome.ok().and_then(|response| event::answer(response.body)) else {
            let body = json!({"message": "Internal server error", "connectionId": id, "requestId": new_id()});
            return http::json(StatusCode::BAD_GATEWAY, body.to_string());
        };
        if !answer.status().is_success() {
            return empty(answer.status());
        }
        if let Some(protocol) = answer.headers().get(SEC_WEBSOCKET_PROTOCOL) {
            switching.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        tokio::spawn(self.open(upgrade, id, identity));
        switching
    }

    /// Begins a connection once the client has been told of it. No sooner: a function that pushes before it has answered
    /// hears that the connection is gone.
    async fn open(self: Arc<Self>, upgrade: OnUpgrade, id: String, identity: Identity) {
        // Else the client has gone already.
        let Ok(upgraded) = upgrade.await else { return };
        let config =
            WebSocketConfig::default().max_frame_size(Some(MAX_FRAME)).max_message_size(Some(MAX_MESSAGE));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (outbox, pushes) = mpsc::channel(QUEUE);
        let exchange = tokio::spawn(Arc::clone(&self).exchange(id.clone(), socket, pushes));
        let now = SystemTime::now();
        let connection = Connection {
            outbox,
            exchange: exchange.abort_handle(),
            identity,
            connected: now,
            last_active: now,
        };
        self.connections().insert(id, connection);
    }

    /// Exchanges messages with a client until one of the two sides closes.
    async fn exchange(self: Arc<Self>, id: String, mut socket: Socket, mut pushes: mpsc::Receiver<Message>) {
        let code = tokio::select! {
            code = self.relay(&id, &mut socket, &mut pushes) => code,
            () = sleep(self.age) => Some(CloseCode::Away),
        };
        // From now on it is gone for those who push.
        self.connections().remove(&id);
        if let Some(code) = code {
            timeout(CLOSING, close(&mut socket, code)).await.ok();
        }
    }

    /// Passes messages on until the connection is to end; returns the code to close it with, or none if the client has
    /// closed it or has gone.
    async fn relay(
        &self,
        id: &str,
        socket: &mut Socket,
        pushes: &mut mpsc::Receiver<Message>,
    ) -> Option<CloseCode> {
        loop {
            let step = async {
                tokio::select! {
                    push = pushes.recv() => match push {
                        Some(message) => socket.send(message).await.map_err(|_| None),
                        None => Err(Some(CloseCode::Normal)),
                    },
                    message = socket.next() => match message {
                        Some(Ok(_)) => Ok(()),
                        Some(Err(Error::Capacity(_))) => Err(Some(CloseCode::Size)),
                        Some(Err(Error::Protocol(_))) => Err(Some(CloseCode::Protocol)),
                        Some(Err(Error::Utf8(_))) => Err(Some(CloseCode::Invalid)),
                        Some(Err(_)) | None => Err(None),
                    },
                }
            };
            match timeout(self.idle, step).await {
                Ok(Ok(())) => {}
                Ok(Err(code)) => return code,
                Err(_) => return Some(CloseCode::Away),
            }
            if let Some(connection) = self.connections().get_mut(id) {
                connection.last_active = SystemTime::now();
            }
        }
    }
}

/// Closes a connection as RFC 6455 has it in section 7.1.1: what the client still sends is read to its end, so that it
/// does not see the connection break before it sees the code.
async fn close(socket: &mut Socket, code: CloseCode) -> io::Result<u64> {
    let frame = CloseFrame { code, reason: "".into() };
    socket.send(Message::Close(Some(frame))).await.ok();
    let stream = socket.get_mut();
    stream.shutdown().await?;
    io::copy(stream, &mut io::sink()).await
}
