//! A TCP proxy between a function and the database, for making faults.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They arrive.
    Forward,
    /// New connections are closed at once, and open ones are cut.
    Refuse,
    /// They wait until the mode changes.
    Stall,
    /// Each piece arrives so much later.
    Delay(Duration),
    /// What the server says is lost on the connections that exist, their end too, and from then on for good; new
    /// ones work.
    SwallowReplies,
}

struct State {
    mode: Mutex<Mode>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    swallowed: AtomicUsize,
    /// How often replies have begun to be swallowed.
    swallows: AtomicUsize,
}

/// The proxy. It lives as long as the test's process.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    /// A proxy in front of the server of `url`.
    pub fn start(url: &str) -> Self {
        let options: sqlx::mysql::MySqlConnectOptions = url.parse().unwrap();
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            mode: Mutex::new(Mode::Forward),
            changed: Condvar::new(),
            open: Mutex::default(),
            accepted: AtomicUsize::new(0),
            swallowed: AtomicUsize::new(0),
            swallows: AtomicUsize::new(0),
        });
        thread::spawn({
            let state = Arc::clone(&state);
            move || listener.incoming().for_each(|client| accept(&state, client.unwrap(), &server))
        });
        Self { address, state }
    }

    /// `url`, by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        let options: sqlx::mysql::MySqlConnectOptions = url.parse().unwrap();
        let from = format!("{}:{}", options.get_host(), options.get_port());
        url.replace(&from, &self.address.to_string())
    }

    /// Changes what happens from now on.
    pub fn set(&self, mode: Mode) {
        let mut current = self.state.mode.lock().unwrap();
        *current = mode;
        if mode == Mode::SwallowReplies {
            self.state.swallows.fetch_add(1, Ordering::SeqCst);
        }
        drop(current);
        self.state.changed.notify_all();
        if mode == Mode::Refuse {
            for stream in self.state.open.lock().unwrap().drain(..) {
                stream.shutdown(Shutdown::Both).ok();
            }
        }
    }

    /// How many connections have been made.
    pub fn connections(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// How many pieces of replies have been lost.
    pub fn swallowed(&self) -> usize {
        self.state.swallowed.load(Ordering::SeqCst)
    }
}

fn accept(state: &Arc<State>, client: TcpStream, server: &str) {
    if *state.mode.lock().unwrap() == Mode::Refuse {
        return;
    }
    state.accepted.fetch_add(1, Ordering::SeqCst);
    let Ok(server) = TcpStream::connect(server) else { return };
    let mut open = state.open.lock().unwrap();
    open.retain(|stream| stream.peer_addr().is_ok());
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        open.push(stream.try_clone().unwrap());
    }
    drop(open);
    let born = state.swallows.load(Ordering::SeqCst);
    let pipes =
        [(client.try_clone().unwrap(), server.try_clone().unwrap(), None), (server, client, Some(born))];
    for (from, to, born) in pipes {
        let state = Arc::clone(state);
        thread::spawn(move || pump(&state, from, to, born));
    }
}

/// Carries bytes; those of replies know how often replies had begun to be swallowed before.
fn pump(state: &State, mut from: TcpStream, mut to: TcpStream, born: Option<usize>) {
    let mut buffer = [0; 16 * 1024];
    let mut mute = false;
    loop {
        let length = from.read(&mut buffer).unwrap_or(0);
        let mode = state.mode.lock().unwrap();
        let delay = if let Mode::Delay(time) = *mode { time } else { Duration::MAX };
        let waits = |mode: &mut Mode| matches!(mode, Mode::Stall | Mode::Delay(_));
        let (mode, _) = state.changed.wait_timeout_while(mode, delay, waits).unwrap();
        let existed = born.is_some_and(|born| born < state.swallows.load(Ordering::SeqCst));
        mute |= existed && *mode == Mode::SwallowReplies;
        drop(mode);
        if mute {
            state.swallowed.fetch_add(1, Ordering::SeqCst);
            if length == 0 {
                return;
            }
        } else if length == 0 || to.write_all(&buffer[..length]).is_err() {
            to.shutdown(Shutdown::Both).ok();
            return;
        }
    }
}
