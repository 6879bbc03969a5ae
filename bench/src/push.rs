//! Push: how long a message takes from the sender's request to the receiver's frame, through the local API Gateway.

use std::net::Ipv4Addr;
use std::time::Duration;

use local::{Client, Gateway, WebSocket};

use crate::Bench;
use crate::history::token;
use crate::load::start_gateway;
use crate::operations::{Request, pair};
use crate::report::{Report, Way, timed};

pub const PUSH: &str = "A message over HTTP";
pub const CASE: &str = "SendMessage";
pub const ALONE: &str = "until its answer, nobody connected";
pub const ANSWER: &str = "until its answer, the receiver connected";
pub const FRAME: &str = "until the receiver's frame";

/// Measures sends to a user who has a connection beside sends to one who has none.
pub fn measure(bench: &Bench, report: &mut Report) {
    let gateway = &start_gateway(bench, "send_message", 1);
    let way = |number, name| {
        let users = pair(number);
        let localhost = Ipv4Addr::LOCALHOST.into();
        let mut client = Client::connect(gateway.address(), localhost).expect("a connection");
        let mut socket = (name != ALONE).then(|| connect(gateway, &users.1));
        Way::new(CASE, name, move || {
            let request = Request::to_send(&users).http();
            let took = timed(|| {
                client.send(request.as_bytes()).expect("a connection");
                if name == FRAME {
                    frame(socket.as_mut());
                } else {
                    answer(&mut client);
                }
            });
            // What was not waited for.
            if name == FRAME {
                answer(&mut client);
            } else {
                frame(socket.as_mut());
            }
            took
        })
    };
    report.compare(PUSH, bench.runs, vec![vec![way(1, ALONE), way(2, ANSWER), way(3, FRAME)]], || ());
}

/// A connection of a user.
fn connect(gateway: &Gateway, user: &str) -> WebSocket {
    let offer = format!("chat.v1, {}", token(user));
    let (server, source) = (gateway.web_socket_address(), Ipv4Addr::LOCALHOST.into());
    let socket = WebSocket::connect(server, source, "/", &[("Sec-WebSocket-Protocol", &offer)]);
    socket.unwrap_or_else(|answer| panic!("{answer:?}"))
}

/// Waits for an event, if there is a connection to receive it.
fn frame(socket: Option<&mut WebSocket>) {
    let event = socket.map(|socket| socket.receive(Duration::from_secs(10)));
    assert!(event.is_none_or(|event| event.is_some()), "an event");
}

fn answer(client: &mut Client) {
    assert_eq!(client.receive(false).expect("an answer").status, 201);
}
