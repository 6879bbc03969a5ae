//! Where faults strike: a server, functions and clients at work.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use sqlx::Row;

use super::checker::{Rule, Violation, check};
use super::client::{Client, Shared};
use super::history::{Exchange, History, Logs, Message};
use crate::support::inbox::truth;
use crate::support::{Database, OwnServer, Proxy, Service, wait_until};

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
    pub trace: Trace,
}

/// What a fault leaves behind.
pub enum Trace {
    /// A line in the functions' log.
    Logged(&'static str),
    /// A send is acknowledged that was stored before, but whose client never heard of it.
    Replayed,
    /// The same, and requests without an answer: the function has gone.
    Gone,
}

/// What a fault strikes.
pub struct Ground {
    pub service: Service,
    pub proxy: Proxy,
    pub server: OwnServer,
    pub clients: Shared,
}

impl Ground {
    fn new(fault: &Fault) -> Self {
        let server = OwnServer::start(DURABLE);
        let database = Database::of_plain_owner(&server.url);
        let proxy = Proxy::start(&database.functions_url);
        let url =
            if fault.proxied { proxy.url(&database.functions_url) } else { database.functions_url.clone() };
        let service = Service::on(database).through(url).environments(CLIENTS);
        let acknowledged = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
        Self { service, proxy, server, clients: Shared { acknowledged, ..Shared::default() } }
    }

    fn acknowledged(&self) -> Vec<usize> {
        self.clients.acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    /// How often the fault has left its trace.
    fn traces(&self, fault: &Fault) -> usize {
        match fault.trace {
            Trace::Logged(text) => self.service.logs().matches(text).count(),
            Trace::Replayed | Trace::Gone => self.clients.replayed.load(Ordering::SeqCst),
        }
    }
}

/// What became of the messages while a fault struck again and again.
pub struct Report {
    fault: &'static str,
    rounds: usize,
    /// Rounds in which the fault has left its trace.
    struck: usize,
    /// Sends answered 201.
    acknowledged: usize,
    /// Requests answered 503, or not at all where the function has gone.
    unavailable: usize,
    violations: Vec<Violation>,
    /// Requests that failed although no fault was there while they were under way, or without an answer although
    /// the function had not gone.
    unexcused: Vec<Exchange>,
    longest_answer: Duration,
    /// From the end of a fault until every client is served again, the longest.
    recovery: Duration,
}

/// Lets the fault strike so often, each time after `sends` acknowledged sends; more often, where it has missed each time.
pub fn endure(fault: &Fault, rounds: usize, sends: usize, seed: u64) -> Report {
    let mut random = Rng::with_seed(seed);
    let ground = Ground::new(fault);
    let friends: Vec<_> = (0..FRIENDS).map(|n| format!("friend{n}")).collect();
    let values: Vec<_> = friends.iter().map(|friend| format!("('{friend}', 'none')")).collect();
    let insert = format!("INSERT INTO users (username, password) VALUES {}", values.join(","));
    ground.service.database.execute(&insert);
    let sessions: Vec<_> = (0..CLIENTS).map(|n| ground.service.session(&format!("user{n}"))).collect();
    let users: Vec<_> = sessions.iter().map(|session| session.username.clone()).chain(friends).collect();
    let mut clients: Vec<_> = sessions
        .into_iter()
        .enumerate()
        .map(|(number, session)| Client::new(number, session, &users, random.fork(), &ground.clients))
        .collect();

    let running = AtomicBool::new(true);
    let (mut strikes, mut struck) = (Vec::new(), 0);
    thread::scope(|scope| {
        let clients: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(|| client.work(&running))).collect();
        // However this ends, the clients end too.
        let _running = StopOnDrop(&running);
        let wait_until = |what, condition: &dyn Fn() -> bool| {
            wait_until(what, || clients.iter().any(thread::ScopedJoinHandle::is_finished) || condition());
            assert!(!clients.iter().any(thread::ScopedJoinHandle::is_finished), "a client has failed");
        };
        while strikes.len() < rounds || (struck == 0 && strikes.len() < 10 * rounds) {
            let (before, traces) = (ground.acknowledged(), ground.traces(fault));
            let target = before.iter().sum::<usize>() + sends;
            wait_until("clients are at work", &|| ground.acknowledged().iter().sum::<usize>() >= target);
            thread::sleep(Duration::from_millis(random.u64(..50)));
            let start = Instant::now();
            (fault.strike)(&ground, &mut random);
            strikes.push((start, Instant::now()));
            // The second of two was sent after the fault.
            let before = ground.acknowledged();
            let each = || ground.acknowledged().iter().zip(&before).all(|(now, before)| *now > before + 1);
            wait_until("every client is served again", &each);
            struck += usize::from(ground.traces(fault) > traces);
        }
    });

    clients.iter_mut().for_each(Client::finish);
    let mut history = History::default();
    for client in &mut clients {
        history.append(std::mem::take(&mut client.history));
    }
    let logs = read_everything(&mut clients, &history);
    assert_eq!(stored(&ground.service.database), logs, "what is stored is what is told");
    for (client, user) in clients.iter_mut().zip(&users) {
        let truth = truth(&ground.service.database, user);
        for state in client.states() {
            assert_eq!(state, truth, "what {user} knows of the inbox, and what is true");
        }
    }
    Report { struck, ..Report::new(fault, &strikes, &history, &logs) }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// What the API tells of every conversation that was written or read, where there is anything.
fn read_everything(clients: &mut [Client<'_>], history: &History) -> Logs {
    let written = history.sends.iter().map(|send| &send.conversation);
    let conversations: BTreeSet<_> =
        written.chain(history.reads.iter().map(|read| &read.conversation)).collect();
    let mut logs = Logs::new();
    for conversation in conversations {
        let reader = clients.iter_mut().find_map(|client| {
            let other = client.partner_in(conversation)?.to_owned();
            Some((client, other))
        });
        let (reader, other) = reader.expect("a client is in every conversation");
        let messages = reader.everything(&other);
        if !messages.is_empty() {
            logs.insert(conversation.clone(), messages);
        }
    }
    logs
}

/// What the tables hold, seen past the API.
fn stored(database: &Database) -> Logs {
    let rows = database.rows(
        "SELECT first_user, second_user, id, sender, receiver, message,
                DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
           FROM messages JOIN conversations USING (conversation_id) ORDER BY conversation_id, id",
    );
    let mut logs = Logs::new();
    for row in rows {
        let message = Message {
            id: usize::try_from(row.get::<i64, _>(2)).unwrap(),
            sender: row.get(3),
            receiver: row.get(4),
            text: row.get(5),
            time_stamp: row.get(6),
        };
        logs.entry((row.get(0), row.get(1))).or_default().push(message);
    }
    let counters = "SELECT COUNT(*) FROM conversations c
                     WHERE last_id <> (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = c.conversation_id)";
    assert_eq!(database.number(counters), 0, "each conversation has counted its messages");
    logs
}

impl Report {
    fn new(fault: &Fault, strikes: &[(Instant, Instant)], history: &History, logs: &Logs) -> Self {
        let exchanges = || history.exchanges.iter();
        let served = |exchange: &&Exchange| matches!(exchange.status, Some(200..500));
        let failed = || exchanges().filter(|exchange| !served(exchange));
        let excused = |exchange: &&Exchange| {
            let struck = |(start, end)| exchange.invoked < end && start < exchange.ended;
            strikes.iter().copied().any(struck)
                && (exchange.status.is_some() || matches!(fault.trace, Trace::Gone))
        };
        // The clients' last answers come after the last strike.
        let recovery = |end: Instant, client| {
            let own = exchanges().filter(|exchange| exchange.client == client && exchange.invoked > end);
            own.filter(served)
                .map(|exchange| exchange.ended - end)
                .min()
                .expect("every client is served again")
        };
        let recoveries =
            strikes.iter().flat_map(|(_, end)| (0..CLIENTS).map(|client| recovery(*end, client)));
        Self {
            fault: fault.name,
            rounds: strikes.len(),
            struck: 0,
            acknowledged: history.acknowledged().count(),
            unavailable: failed().count(),
            violations: check(history, logs),
            unexcused: failed().filter(|exchange| !excused(exchange)).copied().collect(),
            longest_answer: exchanges()
                .map(|exchange| exchange.ended - exchange.invoked)
                .max()
                .unwrap_or_default(),
            recovery: recoveries.max().unwrap_or_default(),
        }
    }

    /// The first lines of a table of reports.
    pub const HEADER: &str = "\
| fault | struck | acknowledged | 503 or cut | lost | duplicated | gaps | other | longest answer | recovery |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

    /// Fails where a promise is broken, or the fault did not take place.
    pub fn assert_sound(&self) {
        let first: Vec<_> = self.violations.iter().take(5).collect();
        assert!(first.is_empty(), "{self}\n{} violations: {first:#?}", self.violations.len());
        assert!(self.unexcused.is_empty(), "{self}\nfailed without a fault: {:#?}", self.unexcused);
        assert!(self.longest_answer < Duration::from_secs(5), "{self}\nan answer came too late");
        assert!(self.struck > 0, "{self}\nthe fault did not take place");
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
            "| {} | {} of {} | {} | {} | {lost} | {duplicated} | {gaps} | {others} | {:.2} s | {:.2} s |",
            self.fault,
            self.struck,
            self.rounds,
            self.acknowledged,
            self.unavailable,
            self.longest_answer.as_secs_f64(),
            self.recovery.as_secs_f64(),
        )
    }
}
