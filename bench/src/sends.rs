//! What a send costs by itself: beside earlier forms of its procedure, and many senders to one receiver beside as many
//! to a receiver each. All in databases that have users and no history.

use url::Url;

use crate::Bench;
use crate::database::{Database, ServerWithBinaryLog, server};
use crate::load::{ROUNDS, load};
use crate::operations::{Request, pair, send};
use crate::report::{Report, Way, float};

pub const FORMS: &str = "SendMessage by the form of its procedure";
pub const ONE_RECEIVER: &str = "16 senders, messages a second";

pub const BEFORE_MEMBERSHIPS: &str = "before memberships";
pub const BEFORE_PUSH: &str = "before push";
pub const TODAY: &str = "today";
pub const LOGS: [&str; 2] = ["binary log off", "binary log on"];

pub const SENDERS: usize = 16;

/// How many bytes the redo log has had, under MariaDB's name or MySQL's.
const REDO_LOG: &str = "SHOW GLOBAL STATUS
                         WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_redo_log_current_lsn')";

/// Measures the function with earlier forms of its procedure and with today's.
pub fn measure_forms(bench: &Bench, report: &mut Report) {
    let forms = [
        (BEFORE_MEMBERSHIPS, "chat_bench_1", Some(include_str!("earlier/before_memberships.sql"))),
        (BEFORE_PUSH, "chat_bench_2", Some(include_str!("earlier/before_push.sql"))),
        (TODAY, "chat_bench_3", None),
    ];
    let databases = forms.map(|(_, name, form)| {
        let database = with_users(&server(), name);
        if let Some(form) = form {
            let mut connection = database.connect();
            for sql in ["DROP PROCEDURE send_message", form] {
                connection.execute(sql).expect("the procedure");
            }
        }
        database
    });
    let functions = databases.each_ref().map(|database| database.function("send_message", 1));
    let ways = forms.iter().zip(&functions).map(|((form, ..), function)| {
        Way::new("SendMessage", form, || Request::to_send(&pair(0)).send(function))
    });
    report.compare(FORMS, bench.runs, vec![ways.collect()], || ());

    // What the storage has to take, which Aurora bills.
    let mut connection = databases[0].connect();
    let mut written = || connection.number(REDO_LOG);
    for ((form, ..), function) in forms.iter().zip(&functions) {
        let before = written();
        for _ in 0..bench.runs {
            Request::to_send(&pair(0)).send(function);
        }
        let bytes = (written() - before) / float(bench.runs);
        report.add(FORMS, "SendMessage", form, "bytes of redo log", vec![bytes]);
    }
}

/// Measures what memberships of one user cost who write them at once, also on a server that has each commit twice on disk.
pub fn measure_one_receiver(bench: &Bench, report: &mut Report) {
    let with_log = ServerWithBinaryLog::start();
    for (log, server) in LOGS.into_iter().zip([server(), with_log.url.clone()]) {
        let database = with_users(&server, "chat_bench_1");
        let function = database.function("send_message", SENDERS);
        let mut connections: Vec<_> = (0..SENDERS).map(|_| database.connect()).collect();
        let mut seen: [[Vec<f64>; 2]; 2] = Default::default();
        for _ in 0..=ROUNDS {
            for (is_one, seen) in [false, true].into_iter().zip(&mut seen) {
                let users = |number| {
                    let (sender, receiver) = pair(number % SENDERS);
                    (sender, if is_one { pair(SENDERS).0 } else { receiver })
                };
                let connections = connections.iter_mut();
                let calls = connections.map(|connection| move |number| connection.timed(send(users(number))));
                seen[0].push(load(bench, calls).0);
                let request = |number| Request::to_send(&users(number)).send(&function);
                seen[1].push(load(bench, (0..SENDERS).map(|_| request)).0);
            }
        }
        for (receivers, seen) in ["a receiver each", "one receiver"].into_iter().zip(seen) {
            let case = case(log, receivers);
            for (way, mut seen) in ["bare CALL", "function"].into_iter().zip(seen) {
                report.add(ONE_RECEIVER, &case, way, "/s", seen.split_off(1));
            }
        }
    }
}

/// What is measured with a binary log or without, to so many receivers.
pub fn case(log: &str, receivers: &str) -> String {
    format!("{log}, {receivers}")
}

fn with_users(server: &Url, name: &'static str) -> Database {
    let database = Database::fresh(server, name);
    let mut connection = database.connect();
    for sql in include_str!("users.sql").split(";\n") {
        connection.execute(sql).expect("users");
    }
    database
}
