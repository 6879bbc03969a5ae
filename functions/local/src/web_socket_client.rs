//! A WebSocket client for tests and the benchmark.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::client::{IntoClientRequest, client};
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Error, Message};

use crate::client::{Answer, connect};

/// A WebSocket connection. It answers pings, and the server's closing, only while it receives. Dropped, it is gone
/// without a close frame; one that is kept and does not receive is a client that has fallen silent.
pub struct WebSocket {
    socket: tungstenite::WebSocket<TcpStream>,
    protocol: Option<String>,
    /// The code that it has been closed with.
    code: Option<u16>,
}

impl WebSocket {
    /// A connection from one of this machine's addresses, with headers beside those that it needs. `target` is what is
    /// asked for, as in `/?a=1`.
    ///
    /// Fails with the answer of a server that does not open it. Panics if there is no answer.
    pub fn connect(
        server: SocketAddr,
        source: IpAddr,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Answer> {
        let stream = connect(server, source).expect("a server that listens");
        let mut request = format!("ws://{server}{target}").into_client_request().expect("a target");
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a header's name");
            request.headers_mut().append(name, HeaderValue::try_from(*value).expect("a header's value"));
        }
        match client(request, stream) {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                Ok(Self { socket, protocol, code: None })
            }
            Err(HandshakeError::Failure(Error::Http(response))) => Err(answer(*response)),
            Err(error) => panic!("{error}"),
        }
    }

    /// The subprotocol that the server has chosen.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sends a message in one frame. That the connection has ended shows when one receives.
    pub fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).ok();
    }

    /// Sends a message in several frames.
    pub fn send_frames(&mut self, parts: &[&str]) {
        for (number, part) in parts.iter().enumerate() {
            let kind = OpCode::Data(if number == 0 { Data::Text } else { Data::Continue });
            let frame = Frame::message(part.as_bytes().to_vec(), kind, number + 1 == parts.len());
            self.socket.send(Message::Frame(frame)).ok();
        }
    }

    /// Begins to close the connection; [`WebSocket::closed`] waits for its end.
    pub fn close(&mut self) {
        let frame = tungstenite::protocol::CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.socket.close(Some(frame)).ok();
    }

    /// Sends a ping, and tells whether it is answered within a time. Messages that come before the answer are lost.
    pub fn ping(&mut self, patience: Duration) -> bool {
        let payload = fastrand::u64(..).to_be_bytes().to_vec();
        self.socket.send(Message::Ping(payload.clone().into())).ok();
        let deadline = Instant::now() + patience;
        while let Some(message) = self.next(deadline) {
            if matches!(message, Message::Pong(answer) if *answer == payload) {
                return true;
            }
        }
        false
    }

    /// The next message, if it comes within a time and before the end of the connection.
    pub fn receive(&mut self, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            if let Message::Text(text) = self.next(deadline)? {
                return Some(text.as_str().into());
            }
        }
    }

    /// Whether the connection had not ended yet by what has been received.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.code.is_none()
    }

    /// Waits until the connection ends, and returns the code that the server has closed it with, or 1006 if it has
    /// ended otherwise (RFC 6455, section 7.1.5); none if it is still open after a time. Messages that come before are
    /// lost.
    pub fn closed(&mut self, patience: Duration) -> Option<u16> {
        let deadline = Instant::now() + patience;
        while self.next(deadline).is_some() {}
        self.code
    }

    /// The next message or control frame.
    fn next(&mut self, deadline: Instant) -> Option<Message> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.get_ref().set_read_timeout(Some(left)).expect("a time above zero");
        match self.socket.read() {
            Ok(Message::Close(frame)) => {
                self.code = Some(frame.map_or(1005, |frame| frame.code.into()));
                // Answers, and waits until the server ends the connection.
                self.next(deadline)
            }
            Ok(message) => Some(message),
            Err(Error::Io(error)) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                None
            }
            Err(_) => {
                self.code.get_or_insert(CloseCode::Abnormal.into());
                None
            }
        }
    }
}

fn answer(response: Response<Option<Vec<u8>>>) -> Answer {
    let (parts, body) = response.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: HashMap<_, _> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Answer { status: parts.status.as_u16(), headers, body: body.unwrap_or_default() }
}
