//! Each operation from invocation to response, beside its references and the usual way: with the database on this
//! machine, and 1 ms away, as it is on AWS.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use local::Function;

use crate::Bench;
use crate::database::{Connection, start};
use crate::network::{DELAY, Proxy};
use crate::operations::OPERATIONS;
use crate::report::{Report, Way};

pub const NEAR: &str = "Operations";
pub const FAR: &str = "The database 1 ms away";

/// Measures all operations.
pub fn measure(bench: &Bench, report: &mut Report) {
    let Bench { database, history, runs } = bench;
    let usual = database.function("usual", 1);
    for operation in &OPERATIONS {
        let function = database.function(operation.function, 1);
        let mut ways = Vec::new();
        for (name, reference) in operation.references {
            let mut connection = database.connect();
            let run = move || connection.timed(reference(history));
            ways.push(Way::new(operation.name, name, run));
        }
        for (name, function) in [("function", &function), ("usual way", &usual)] {
            if name == "function" || operation.is_hot {
                let run = || (operation.request)(history, 0).send(function);
                ways.push(Way::new(operation.name, name, run));
            }
        }
        report.compare(NEAR, *runs, vec![ways], || ());
    }
}

/// Measures the hot paths and the usual way through a proxy.
pub fn measure_from_afar(bench: &Bench, report: &mut Report) {
    let Bench { database, history, runs } = bench;
    let do_nothing = |name, mut connection: Connection| {
        Way::new("DO 0", name, move || connection.timed(sqlx::query("DO 0")))
    };
    let delayed = Connection::open(&Proxy::start(&database.admin).url);
    let ways = vec![do_nothing("not delayed", database.connect()), do_nothing("function", delayed)];
    report.compare(FAR, *runs, vec![ways], || ());

    let theirs = Proxy::start(&database.admin);
    let usual = start("usual", 1, &theirs.url);
    for operation in OPERATIONS.iter().filter(|operation| operation.is_hot) {
        let ours = Proxy::start(&database.functions);
        let function = start(operation.function, 1, &ours.url);
        let send = |function: &Function| (operation.request)(history, 0).send(function);
        let way = |name, function| Way::new(operation.name, name, move || send(function));
        // Under load, and by turns: while the usual way waits for its replies, the function's processor goes to sleep.
        for (runs, ways) in [
            (runs / 2, vec![way("function", &function)]),
            (runs / 2, vec![way("usual way", &usual)]),
            (runs / 10, vec![way("function, by turns", &function), way("usual way, by turns", &usual)]),
        ] {
            report.compare(FAR, runs, vec![ways], || ());
        }
        for (name, proxy, function) in
            [("function: round trips", &ours, &function), ("usual way: round trips", &theirs, &usual)]
        {
            let before = proxy.requests.load(Relaxed);
            for _ in 0..100 {
                send(function);
            }
            // The usual way's pool asks once more after the response.
            thread::sleep(10 * DELAY);
            let requests = f64::from(proxy.requests.load(Relaxed) - before) / 100.0;
            report.add(FAR, operation.name, name, "", vec![requests]);
        }
    }
}
