//! What the tests stand on: a database of their own, the real binaries, and API Gateway's part.

pub mod bad_input;
pub mod database;
pub mod lambda;
pub mod proxy;
pub mod service;

pub use database::{Database, OwnServer};
pub use proxy::{Mode, Proxy};
pub use service::{Answer, Service, Session};
