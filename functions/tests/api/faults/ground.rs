//! Where faults strike: a server, functions and clients at work.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::checker::{Rule, Violation, check};
use super::client::Client;
use super::history::{Exchange, History, Logs};
use crate::support::{Database, OwnServer, Proxy, Service};

/// Clients that work at once, and environments of each function.
pub const CLIENTS: usize = 4;
/// Users without a session, to whom there is a first message.
const FRIENDS: usize = 30;
/// What makes a commit durable, as on Aurora.
const DURABLE: &str = "--server-id=1 --log-bin=binlog --sync-binlog=1 --innodb-flush-log-at-trx-commit=1";

/// A fault, and how to tell that it took place.
pub struct Fault {
    pub name: &'static str,
    /// Whether the functions reach the server through the proxy.
    pub proxied: bool,
    /// Makes the fault and mends it.
    pub strike: fn(&Ground, &mut Rng),
    /// What the functions log of it; nothing where they don't live to tell.
    pub leaves: &'static str,
}

/// What a fault strikes.
pub struct Ground {
    pub service: Service,
    pub proxy: Proxy,
    pub server: OwnServer,
    /// Held by each request; whoever has it alone knows that none is under way.
    pub gate: RwLock<()>,
}

impl Ground {
    fn new(fault: &Fault) -> Self {
        let server = OwnServer::start(DURABLE);
        let database = Database::of_plain_owner(&server.url);
        let proxy = Proxy::start(&database.functions_url);
        let url =
            if fault.proxied { proxy.url(&database.functions_url) } else { database.functions_url.clone() };
        let service = Service::on(database).through(url).environments(CLIENTS);
        Self { service, proxy, server, gate: RwLock::default() }
    }
}

/// What became of the messages while a fault struck again and again.
pub struct Report {
    fault: &'static str,
    rounds: usize,
    /// Sends answered 201.
    acknowledged: usize,
    /// Requests answered 503, or not at all.
    unavailable: usize,
    violations: Vec<Violation>,
    /// Requests that failed although no fault was there while they were under way.
    unrecovered: usize,
    longest_answer: Duration,
    /// From the end of a fault to the next answer 201, the longest.
    recovery: Duration,
}

/// Lets the fault strike so often, each time after `sends` acknowledged sends.
pub fn endure(fault: &Fault, rounds: usize, sends: usize, seed: u64) -> Report {
    let mut random = Rng::with_seed(seed);
    let ground = Ground::new(fault);
    let friends: Vec<_> = (0..FRIENDS).map(|n| format!("friend{n}")).collect();
    let values: Vec<_> = friends.iter().map(|friend| format!("('{friend}', 'none')")).collect();
    ground
        .service
        .database
        .execute(&format!("INSERT INTO users (username, password) VALUES {}", values.join(",")));
    let sessions: Vec<_> = (0..CLIENTS).map(|n| ground.service.session(&format!("user{n}"))).collect();
    let users: Vec<_> = sessions.iter().map(|session| session.username.clone()).chain(friends).collect();
    let acknowledged: Vec<_> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
    let mut clients: Vec<_> = sessions
        .into_iter()
        .zip(&acknowledged)
        .map(|(session, acknowledged)| {
            Client::new(session, &users, random.fork(), &ground.gate, acknowledged)
        })
        .collect();

    let running = AtomicBool::new(true);
    let mut strikes = Vec::new();
    thread::scope(|scope| {
        let clients: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(|| client.work(&running))).collect();
        // However this ends, the clients end too.
        let _running = StopOnDrop(&running);
        let at_work = || clients.iter().all(|client| !client.is_finished());
        for _ in 0..rounds {
            let counts = || acknowledged.iter().map(|count| count.load(Ordering::SeqCst));
            let target = counts().sum::<usize>() + sends;
            wait_until("clients are at work", || !at_work() || counts().sum::<usize>() >= target);
            thread::sleep(Duration::from_millis(random.u64(..50)));
            let struck = Instant::now();
            (fault.strike)(&ground, &mut random);
            strikes.push((struck, Instant::now()));
            let before: Vec<_> = counts().collect();
            let each = || counts().zip(&before).all(|(now, before)| now > *before);
            wait_until("every client is served again", || !at_work() || each());
        }
    });
    assert!(
        ground.service.logs().contains(fault.leaves),
        "{} took place: {}",
        fault.name,
        ground.service.logs()
    );

    let mut history = History::default();
    for client in &mut clients {
        history.append(std::mem::take(&mut client.history));
    }
    let logs = read_everything(&mut clients, &history);
    Report::new(fault, &strikes, &history, &logs)
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What is stored in every conversation that was written or read.
fn read_everything(clients: &mut [Client<'_>], history: &History) -> Logs {
    let written = history.sends.iter().map(|send| &send.conversation);
    let conversations: BTreeSet<_> =
        written.chain(history.reads.iter().map(|read| &read.conversation)).collect();
    let mut logs = BTreeMap::new();
    for conversation in conversations {
        let reader = clients.iter_mut().find_map(|client| {
            let other = client.partner_in(conversation)?.to_owned();
            Some((client, other))
        });
        let (reader, other) = reader.expect("a client is in every conversation");
        logs.insert(conversation.clone(), reader.everything(&other));
    }
    logs
}

impl Report {
    fn new(fault: &Fault, strikes: &[(Instant, Instant)], history: &History, logs: &Logs) -> Self {
        let exchanges = || history.exchanges.iter();
        let failed = || exchanges().filter(|exchange| !matches!(exchange.status, Some(200..500)));
        let struck = |exchange: &&Exchange| {
            strikes.iter().any(|(struck, mended)| exchange.invoked < *mended && *struck < exchange.ended)
        };
        let recovery = strikes.iter().filter_map(|(_, mended)| {
            let acknowledged = exchanges().filter(|exchange| exchange.status == Some(201));
            acknowledged
                .filter(|exchange| exchange.ended > *mended)
                .map(|exchange| exchange.ended - *mended)
                .min()
        });
        Self {
            fault: fault.name,
            rounds: strikes.len(),
            acknowledged: history.acknowledged().count(),
            unavailable: failed().count(),
            violations: check(history, logs),
            unrecovered: failed().filter(|exchange| !struck(exchange)).count(),
            longest_answer: exchanges()
                .map(|exchange| exchange.ended - exchange.invoked)
                .max()
                .unwrap_or_default(),
            recovery: recovery.max().unwrap_or_default(),
        }
    }

    /// The first lines of a table of reports.
    pub const HEADER: &str = "\
| fault | rounds | acknowledged | 503 or cut | lost | duplicated | gaps | other | longest answer | recovery |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

    /// Fails where a promise is broken.
    pub fn assert_sound(&self) {
        let first: Vec<_> = self.violations.iter().take(5).collect();
        assert!(first.is_empty(), "{self}\n{} violations: {first:#?}", self.violations.len());
        assert_eq!(self.unrecovered, 0, "{self}\nrequests failed without a fault");
        assert!(self.longest_answer < Duration::from_secs(5), "{self}\nan answer came too late");
    }
}

/// A line of the table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |rule| self.violations.iter().filter(|violation| violation.rule == rule).count();
        let (lost, duplicated, gaps) = (count(Rule::Lost), count(Rule::Duplicated), count(Rule::Gap));
        let others = self.violations.len() - lost - duplicated - gaps;
        write!(
            f,
            "| {} | {} | {} | {} | {lost} | {duplicated} | {gaps} | {others} | {:.2} s | {:.2} s |",
            self.fault,
            self.rounds,
            self.acknowledged,
            self.unavailable,
            self.longest_answer.as_secs_f64(),
            self.recovery.as_secs_f64(),
        )
    }
}
