//! From an event to an answer: what the operations in `bin/` share.

mod api_gateway;
mod connections;
mod context;
pub mod custom_resource;
mod error;
mod fields;
mod file;
mod function;
mod http;
mod log;
mod request;
mod web_socket;

pub use connections::Connections;
pub use context::Context;
pub use error::ApiError;
pub use fields::{AtFault, Fault, Field, Fields, Value};
pub use file::File;
pub use http::{Response, json, run, run_without_database};
pub use request::FromFields;
pub use web_socket::opened;
