//! What the tests stand on: a database of their own, the real binaries, and API Gateway's part.

use std::thread;
use std::time::{Duration, Instant};

pub mod bad_input;
mod binary;
pub mod contract;
pub mod database;
pub mod follower;
pub mod inbox;
pub mod memory;
pub mod proxy;
pub mod push_proxy;
pub mod sabotage;
pub mod server;
pub mod service;

pub use binary::binary;
pub use database::{Database, applied, migrations};
pub use follower::Follower;
pub use proxy::{Mode, Proxy};
pub use push_proxy::{Fate, PushProxy};
pub use server::OwnServer;
pub use service::{Answer, Call, Service, Session};

/// What `work` returns to so many threads that do it at once.
pub fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Waits, but not for ever.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
