//! What the tests stand on: a database of their own, the real binaries, and API Gateway's part.

use std::thread;

pub mod bad_input;
mod binary;
pub mod database;
pub mod proxy;
pub mod server;
pub mod service;

pub use binary::binary;
pub use database::Database;
pub use proxy::{Mode, Proxy};
pub use server::OwnServer;
pub use service::{Answer, Service, Session};

/// What `work` returns to so many threads that do it at once.
pub fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
