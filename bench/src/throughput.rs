//! How many messages a second are stored, by functions in several environments and by as many bare CALLs.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use local::Function;
use shared::message::SEND_MESSAGE;

use crate::Bench;
use crate::database::Connection;
use crate::latency::hash;
use crate::report::Report;
use crate::requests::{Request, TEXT, random_bytes};

const GROUP: &str = "SendMessage, messages a second";
/// How many users everyone writes to, where there are many conversations.
const RECEIVERS: usize = 50;
const ROUNDS: u64 = 5;

/// Measures many conversations and one that all write to.
pub fn measure(bench: &Bench, report: &mut Report) {
    let time = Duration::from_micros(500) * u32::try_from(bench.runs).expect("a small number");
    for (what, hot) in [("many conversations", false), ("one conversation", true)] {
        for environments in [1, 2, 4, 8, 16] {
            let case = format!("{what}, {environments} at a time");
            eprintln!("{GROUP}: {case}");
            let function = bench.database.function("send_message", environments);
            let mut connections: Vec<_> = (0..environments).map(|_| bench.database.connect()).collect();
            let (mut bare, mut through) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let pairs: Vec<_> = (0..environments).map(|n| Pair::new(bench, n, round, hot)).collect();
                let bare_rate =
                    rate(time, pairs.iter().cloned().zip(&mut connections), |(pair, connection)| {
                        pair.call(connection);
                    });
                let function_rate = rate(time, pairs.into_iter(), |pair| pair.invoke(&function));
                // The first round warms up.
                if round > 0 {
                    bare.push(bare_rate);
                    through.push(function_rate);
                }
            }
            for (way, mut rates) in [("bare CALL", bare), ("function", through)] {
                rates.sort_by(f64::total_cmp);
                report.figure(GROUP, &case, way, "/s", rates[rates.len() / 2]);
            }
        }
    }
}

/// How often a second `work` is done, by one thread for each of `clients`.
fn rate<C: Send>(time: Duration, clients: impl Iterator<Item = C>, work: impl Fn(&mut C) + Sync) -> f64 {
    let started = Instant::now();
    let done: u32 = thread::scope(|scope| {
        let work = &work;
        let client = |mut client| {
            scope.spawn(move || {
                let mut done = 0;
                while started.elapsed() < time {
                    work(&mut client);
                    done += 1;
                }
                done
            })
        };
        let clients: Vec<_> = clients.map(client).collect();
        clients.into_iter().map(|client| client.join().expect("a client")).sum()
    });
    f64::from(done) / started.elapsed().as_secs_f64()
}

/// Who writes to whom.
#[derive(Clone)]
struct Pair<'a> {
    sender: &'a str,
    receivers: &'a [String],
    random: Rng,
}

impl<'a> Pair<'a> {
    fn new(bench: &'a Bench, client: usize, round: u64, hot: bool) -> Self {
        let users = &bench.history.users;
        let sender = if hot { &users[0] } else { &users[client] };
        let receivers = if hot { &users[1..2] } else { &users[users.len() - RECEIVERS..] };
        Self { sender, receivers, random: Rng::with_seed(1_000 * (round + 1) + client as u64) }
    }

    fn call(&mut self, connection: &mut Connection) {
        let receiver = self.random.choice(self.receivers).expect("receivers");
        let call = sqlx::query(SEND_MESSAGE).bind(hash(self.sender)).bind(self.sender).bind(receiver);
        connection.fetch(call.bind(TEXT.as_bytes()).bind(random_bytes().to_vec()));
    }

    fn invoke(&mut self, function: &Function) {
        let receiver = self.random.choice(self.receivers).expect("receivers");
        Request::message(self.sender, receiver).send(function);
    }
}
