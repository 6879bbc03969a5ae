//! A WebSocket client for tests and the benchmark.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::client::{IntoClientRequest, client};
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{HeaderName, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::{self, Error, Message};

use crate::client::connect;

/// A WebSocket connection. It answers pings and closing only while it receives. Dropped, it is gone without a word; if
/// it is kept and nothing is received, the client is one that has fallen silent.
#[derive(Debug)]
pub struct WebSocket {
    socket: tungstenite::WebSocket<TcpStream>,
    protocol: Option<String>,
}

/// What a connection has received.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// A message.
    Text(String),
    /// Nothing within the time.
    Nothing,
    /// The connection has ended, with this code if it was closed in an orderly way.
    Closed(Option<u16>),
}

impl WebSocket {
    /// A connection from one of this machine's addresses; or the status with which it was refused.
    pub fn connect(server: SocketAddr, source: IpAddr, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{server}/").into_client_request().expect("a URL");
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a header");
            request.headers_mut().append(name, HeaderValue::try_from(*value).expect("a header"));
        }
        let stream = connect(server, source).expect("a connection");
        match client(request, stream) {
            Ok((socket, answer)) => {
                let protocol = answer.headers().get(SEC_WEBSOCKET_PROTOCOL);
                let protocol = protocol.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                Ok(Self { socket, protocol })
            }
            Err(HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// The subprotocol that the server has chosen.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sends a message; fails if the connection has ended.
    pub fn send(&mut self, text: &str) -> Result<(), Error> {
        self.socket.send(Message::text(text))
    }

    /// The next message, if it comes within `time`.
    pub fn receive(&mut self, time: Duration) -> Received {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.get_ref().set_read_timeout(Some(left)).expect("a socket");
            match self.socket.read() {
                Ok(Message::Text(text)) => return Received::Text(text.as_str().into()),
                Ok(Message::Close(frame)) => return Received::Closed(frame.map(|frame| frame.code.into())),
                Ok(_) => {}
                Err(Error::Io(error))
                    if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) =>
                {
                    if Instant::now() >= end {
                        return Received::Nothing;
                    }
                }
                Err(_) => return Received::Closed(None),
            }
        }
    }
}
