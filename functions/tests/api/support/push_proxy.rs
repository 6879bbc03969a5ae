//! A proxy between the functions and the management API of the WebSocket API, for making faults.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use local::Client;
use tiny_http::{Request, Response, Server};

/// What becomes of a push.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    Arrives,
    /// It is answered, and lost.
    Lost,
    Twice,
    /// It arrives so much later, and is answered before.
    Late(Duration),
    /// It is answered with this status, and lost.
    Refused(u16),
    /// It is lost, and not answered for longer than anybody waits.
    Unanswered,
}

/// The proxy. It lives as long as the test's process.
pub struct PushProxy {
    pub url: String,
    target: Arc<OnceLock<SocketAddr>>,
    pushes: Arc<AtomicUsize>,
}

impl PushProxy {
    /// A proxy that decides on each push by itself.
    pub fn start(decide: impl Fn() -> Fate + Send + 'static) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.server_addr());
        let (target, pushes) = (Arc::new(OnceLock::<SocketAddr>::new()), Arc::new(AtomicUsize::new(0)));
        thread::spawn({
            let (target, pushes) = (Arc::clone(&target), Arc::clone(&pushes));
            move || {
                for request in server.incoming_requests() {
                    let (fate, target) = (decide(), *target.get().unwrap());
                    pushes.fetch_add(1, Ordering::Relaxed);
                    thread::spawn(move || handle(request, fate, target));
                }
            }
        });
        Self { url, target, pushes }
    }

    /// Where pushes are to arrive.
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.set(target).unwrap();
    }

    /// How many pushes there were, with those that were sent again.
    pub fn pushes(&self) -> usize {
        self.pushes.load(Ordering::Relaxed)
    }
}

fn handle(mut request: Request, fate: Fate, target: SocketAddr) {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body).unwrap();
    let headers: String =
        request.headers().iter().flat_map(|header| [header.to_string(), "\r\n".into()]).collect();
    let head = format!("{} {} HTTP/1.1\r\n{headers}\r\n", request.method(), request.url());
    let forward = || {
        let mut client = Client::connect(target, Ipv4Addr::LOCALHOST.into()).unwrap();
        client.send(&[head.as_bytes(), &body].concat()).unwrap();
        client.receive(false).unwrap().status
    };
    let answer = |request: Request, status| drop(request.respond(Response::empty(status)));
    match fate {
        Fate::Arrives => answer(request, forward()),
        Fate::Lost => answer(request, 200),
        Fate::Twice => {
            forward();
            answer(request, forward());
        }
        Fate::Late(time) => {
            answer(request, 200);
            thread::sleep(time);
            forward();
        }
        Fate::Refused(status) => answer(request, status),
        Fate::Unanswered => {
            thread::sleep(Duration::from_secs(10));
            drop(request);
        }
    }
}
