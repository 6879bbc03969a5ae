//! What the servers here have in common.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::RUNTIME;

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Serves until the result is told to abort; connections that are open then are served to their end.
pub(crate) fn serve<F>(
    listener: std::net::TcpListener,
    answer: impl Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + 'static,
) -> io::Result<AbortHandle>
where
    F: Future<Output = Answer> + Send + 'static,
{
    listener.set_nonblocking(true)?;
    let _runtime = RUNTIME.enter();
    let listener = TcpListener::from_std(listener)?;
    let accept = async move {
        loop {
            // It fails if there are too many open files, or if the client has gone already.
            let Ok((stream, client)) = listener.accept().await else { continue };
            // With Nagle's algorithm, an invocation took 44 ms.
            stream.set_nodelay(true).ok();
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(client, request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    };
    Ok(RUNTIME.spawn(accept).abort_handle())
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    answer.body(Full::new(body.into())).expect("a valid header")
}

/// An answer of API Gateway's own, which says no more than the status.
pub(crate) fn message(status: StatusCode) -> Answer {
    let text = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    json(status, format!(r#"{{"message":"{text}"}}"#))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}

/// The whole body, if it has no more than `limit` bytes. It is received to its end in any case: a client that is
/// still sending would not read the answer.
pub(crate) async fn body(mut incoming: Incoming, limit: usize) -> Result<Vec<u8>, TooLarge> {
    let mut body = Vec::new();
    let mut length = 0;
    // A client that goes away in the middle hears no answer anyway.
    while let Some(Ok(frame)) = incoming.frame().await {
        let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        length += data.len();
        if length <= limit {
            body.extend_from_slice(data);
        }
    }
    if length <= limit { Ok(body) } else { Err(TooLarge) }
}

/// The body has more bytes than allowed.
pub(crate) struct TooLarge;
