//! API Gateway and Lambda on this machine: routes and CORS come from `template.yaml`, the functions are the real
//! binaries.
//!
//! All of it runs on one thread, named `gateway`: handing a request from thread to thread would cost more, and the
//! thread's processor time is what the gateway itself takes. The interface is for other threads: it blocks.

#![expect(clippy::missing_panics_doc, reason = "what panics here ends the program that uses it")]

mod client;
mod connect_event;
mod connections_api;
mod event;
mod function;
mod gateway;
mod http;
mod invoke_api;
mod runtime_api;
mod signature;
mod template;
mod web_socket;
mod web_socket_client;

use std::future::pending;
use std::sync::LazyLock;
use std::thread;

use tokio::runtime::{Builder, Handle};

pub use client::{Answer, Client};
pub use function::{Function, Response};
pub use gateway::{Gateway, Settings};
pub use template::Template;
pub use web_socket::WebSocketSettings;
pub use web_socket_client::WebSocket;

/// The name of the thread that serves everything.
pub const THREAD: &str = "gateway";

static RUNTIME: LazyLock<Handle> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(pending::<()>());
    thread::Builder::new().name(THREAD.into()).spawn(run).expect("a thread");
    handle
});
