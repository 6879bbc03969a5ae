//! Promises 1 to 3 and 6 while things break: clients write and read, a fault strikes, and a checker looks for
//! anything that was lost, stored twice, reordered, altered or not told in time.
//!
//! Each fault strikes a few times in `make test`, and many times in `make test-faults`, which prints a table.
//! `ROUNDS`, `SENDS` (acknowledged in each round) and `SEED` repeat a run.

use std::env;
use std::panic::catch_unwind;
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use fastrand::Rng;

use crate::support::server::send_signal;
use crate::support::{Database, Mode, wait_until};
use ground::{Fault, Ground, Report, Trace, endure};

mod checker;
mod client;
mod ground;
mod history;

const SERVER_KILLED: Fault = Fault {
    name: "server killed with -9",
    proxied: false,
    strike: |ground, random| ground.server.restart("KILL", milliseconds(random, 0, 300)),
    trace: Trace::Logged("connection:"),
};

const SERVER_RESTARTED: Fault = Fault {
    name: "server restarted",
    proxied: false,
    strike: |ground, random| ground.server.restart("TERM", milliseconds(random, 0, 300)),
    trace: Trace::Logged("connection:"),
};

const SERVER_FROZEN: Fault = Fault {
    name: "server frozen, longer than any deadline",
    proxied: false,
    strike: |ground, random| {
        ground.server.signal("STOP");
        sleep(milliseconds(random, 4_500, 6_000));
        ground.server.signal("CONT");
    },
    trace: Trace::Logged("no reply within"),
};

const SERVER_SLOW: Fault = Fault {
    name: "server slow, by 1 to 2.5 s each way",
    proxied: true,
    strike: |ground, random| {
        ground.proxy.set(Mode::Delay(milliseconds(random, 1_000, 2_500)));
        sleep(milliseconds(random, 2_500, 6_000));
        ground.proxy.set(Mode::Forward);
    },
    trace: Trace::Logged("the database is asked again"),
};

const SERVER_FULL: Fault = Fault {
    name: "too many connections",
    proxied: false,
    strike: |ground, random| {
        let database = &ground.service.database;
        let (mut admin, guest) = (database.connect(), database.url_of("owner", "owner"));
        admin.rows("SET @before = @@GLOBAL.max_connections, GLOBAL max_connections = 10").unwrap();
        let mut guests = Vec::new();
        let end = Instant::now() + milliseconds(random, 200, 1_000);
        while Instant::now() < end {
            guests.extend(std::iter::from_fn(|| Database::connect_through(&guest)));
            admin.kill(database.name(), "KILL", true);
        }
        drop(guests);
        admin.rows("SET GLOBAL max_connections = @before").unwrap();
    },
    trace: Trace::Logged("MySQL error 1040"),
};

/// What a connection to a writer that has become a reader in a failover meets.
const READ_ONLY: Fault = Fault {
    name: "read_only, as in a failover",
    proxied: true,
    strike: |ground, random| {
        let connections = ground.proxy.connections();
        ground.service.database.execute("SET GLOBAL read_only = 1");
        sleep(milliseconds(random, 200, 1_500));
        let is_dropped = || ground.proxy.connections() > connections;
        wait_until("a connection to what is a reader now is dropped", is_dropped);
        ground.service.database.execute("SET GLOBAL read_only = 0");
    },
    trace: Trace::Logged("MySQL error 1290"),
};

const CONNECTIONS_CUT: Fault = Fault {
    name: "connections cut in the middle of statements",
    proxied: true,
    strike: |ground, random| {
        ground.proxy.set(Mode::Refuse);
        sleep(milliseconds(random, 0, 500));
        ground.proxy.set(Mode::Forward);
    },
    trace: Trace::Logged("connection:"),
};

const REPLIES_LOST: Fault = Fault {
    name: "stored, but the reply lost",
    proxied: true,
    strike: |ground, random| {
        lose_the_reply_to_a_commit(ground);
        sleep(milliseconds(random, 0, 500));
        ground.proxy.set(Mode::Forward);
    },
    trace: Trace::Replayed,
};

const STATEMENTS_KILLED: Fault = Fault {
    name: "statements killed (KILL QUERY)",
    proxied: false,
    strike: |ground, random| kill(ground, random, "KILL QUERY"),
    trace: Trace::Logged("MySQL error 1317"),
};

const CONNECTIONS_KILLED: Fault = Fault {
    name: "connections killed (KILL)",
    proxied: false,
    strike: |ground, random| kill(ground, random, "KILL"),
    trace: Trace::Logged("the database is asked again"),
};

const DEADLOCKS: Fault = Fault {
    name: "deadlocks provoked",
    proxied: false,
    strike: |ground, random| {
        let mut rival = ground.service.database.connect();
        rival.rows("CREATE TABLE IF NOT EXISTS ballast (n INT)").unwrap();
        let end = Instant::now() + milliseconds(random, 200, 800);
        while Instant::now() < end {
            // The rival has written more, so the server chooses the function's transaction as the victim.
            let ballast = format!("INSERT INTO ballast VALUES {}(1)", "(1), ".repeat(200));
            let busiest = "SELECT conversation_id, last_id INTO @busiest, @last
                             FROM conversations ORDER BY last_id DESC LIMIT 1";
            let its_end =
                "SELECT id FROM messages WHERE conversation_id = @busiest AND id >= @last FOR UPDATE";
            let its_row = "UPDATE conversations SET last_id = last_id WHERE conversation_id = @busiest";
            for sql in [busiest, "BEGIN", ballast.as_str(), its_end, its_row, "ROLLBACK"] {
                // The rival may be a victim too.
                rival.rows(sql).ok();
            }
        }
    },
    trace: Trace::Logged("MySQL error 1213"),
};

const CONVERSATIONS_LOCKED: Fault = Fault {
    name: "conversations locked by another session",
    proxied: false,
    strike: |ground, random| {
        let lock = ground.service.database.lock("SELECT last_id FROM conversations FOR UPDATE");
        sleep(milliseconds(random, 1_200, 5_000));
        drop(lock);
    },
    trace: Trace::Logged("MySQL error 1205"),
};

const FUNCTION_KILLED: Fault = Fault {
    name: "function killed after the commit",
    proxied: true,
    strike: |ground, _| {
        lose_the_reply_to_a_commit(ground);
        for name in ["send_message", "get_messages"] {
            ground.service.function(name).kill();
        }
        ground.proxy.set(Mode::Forward);
    },
    trace: Trace::Gone,
};

const FUNCTION_FROZEN: Fault = Fault {
    name: "function frozen while the server hangs up",
    proxied: false,
    strike: |ground, random| {
        let functions = ["send_message", "get_messages"].map(|name| ground.service.function(name));
        let signal =
            |signal| functions.iter().flat_map(|f| f.processes()).for_each(|id| send_signal(signal, id));
        // Lambda freezes an environment between two requests.
        let _none_under_way = ground.clients.gate.write().unwrap();
        signal("STOP");
        ground.service.database.kill("KILL", true);
        sleep(milliseconds(random, 0, 500));
        signal("CONT");
    },
    trace: Trace::Logged("the database is asked again"),
};

fn lose_the_reply_to_a_commit(ground: &Ground) {
    ground.proxy.set(Mode::SwallowReplies);
    let stored = || ground.service.database.number("SELECT COUNT(*) FROM messages");
    let before = stored();
    wait_until("a message is stored", || stored() > before);
}

/// Kills what is at work, many times: some statements have ended by then.
fn kill(ground: &Ground, random: &mut Rng, kill: &str) {
    let database = &ground.service.database;
    let mut admin = database.connect();
    let (start, time) = (Instant::now(), milliseconds(random, 200, 800));
    let mut kills = 0;
    while start.elapsed() < time || (kills < 20 && start.elapsed() < Duration::from_secs(20)) {
        kills += admin.kill(database.name(), kill, false);
    }
}

fn milliseconds(random: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.u64(from..to))
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}: no number")))
}

fn endure_as_set(fault: &Fault, rounds: u64, sends: u64) -> Report {
    let seed = setting("SEED").unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().as_secs());
    println!("SEED={seed}: {}", fault.name);
    let number = |name, default| usize::try_from(setting(name).unwrap_or(default)).unwrap();
    endure(fault, number("ROUNDS", rounds), number("SENDS", sends), seed)
}

#[test]
#[ignore = "takes half an hour: make test-faults"]
fn every_fault_many_times() {
    let endure_many = |fault: &&Fault| {
        // One that fails does not keep the others from being tried.
        let report = catch_unwind(|| endure_as_set(fault, 40, 300)).ok();
        if let Some(report) = &report {
            println!("{}\n{report}", Report::HEADER);
        }
        report
    };
    let reports: Vec<_> = FAULTS.iter().map(endure_many).collect();
    println!("\n{}", Report::HEADER);
    for report in reports.iter().flatten() {
        println!("{report}");
    }
    for report in reports {
        report.expect("no fault stops the clients; see above").assert_sound();
    }
}

/// The list of all faults, and a test of each by its sentence.
macro_rules! faults {
    ($($sentence:ident: $fault:ident,)*) => {
        const FAULTS: &[&Fault] = &[$(&$fault),*];

        $(#[test]
        fn $sentence() {
            endure_as_set(&$fault, 2, 50).assert_sound();
        })*
    };
}

faults! {
    a_server_killed_in_the_middle_loses_nothing: SERVER_KILLED,
    a_server_restarted_loses_nothing: SERVER_RESTARTED,
    a_server_frozen_loses_nothing: SERVER_FROZEN,
    a_slow_server_loses_nothing: SERVER_SLOW,
    a_full_server_loses_nothing: SERVER_FULL,
    a_writer_that_has_become_a_reader_loses_nothing: READ_ONLY,
    cut_connections_lose_nothing: CONNECTIONS_CUT,
    lost_replies_lose_nothing: REPLIES_LOST,
    killed_statements_lose_nothing: STATEMENTS_KILLED,
    killed_connections_lose_nothing: CONNECTIONS_KILLED,
    deadlocks_lose_nothing: DEADLOCKS,
    locked_conversations_lose_nothing: CONVERSATIONS_LOCKED,
    a_function_killed_after_the_commit_loses_nothing: FUNCTION_KILLED,
    a_function_frozen_while_the_server_hangs_up_loses_nothing: FUNCTION_FROZEN,
}
