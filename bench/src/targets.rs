//! What the figures have to reach.

use crate::Bench;
use crate::inbox;
use crate::inbox::{INBOX, QUESTIONS};
use crate::latency::{FAR, NEAR};
use crate::load::{GATEWAY, HTTP};
use crate::operations::{OPERATIONS, Operation};
use crate::pages::{DISK, MEMORY, case};
use crate::report::{Report, Target};
use crate::sends;
use crate::sends::{BEFORE_MEMBERSHIPS, BEFORE_PUSH, FORMS, LOGS, ONE_RECEIVER, SENDERS, TODAY};
use crate::start::{PASSWORDS, RESIDENT, SIZE, START};

/// All targets.
pub fn check(bench: &Bench, report: &Report) -> Vec<Target> {
    let get = |group, case: &str, way| report.find(group, case, way).expect("it was measured");
    let most = |group, way| {
        let figures = report.group(group).filter(|figure| figure.way == way);
        figures.map(|figure| figure.value).fold(0.0, f64::max)
    };
    let mut targets = Vec::new();
    let mut target =
        |seen, sign, limit, unit, what: &str| targets.push((what.into(), unit, seen, sign, limit));

    for Operation { name, .. } in OPERATIONS.iter().filter(|operation| operation.is_hot) {
        let limit = 1.3 * get(NEAR, name, "bare statement") + 0.2;
        let what = format!("{name}: 1.3 × bare statement + 0.2 ms");
        target(get(NEAR, name, "function"), '≤', limit, "ms", &what);
        target(get(FAR, name, "function: round trips"), '≤', 1.0, "", &format!("{name}: round trips"));
    }
    let ratio = get(FAR, "SendMessage", "usual way") / get(FAR, "SendMessage", "function");
    target(ratio, '≥', 4.0, "×", "SendMessage through 1 ms: times faster than the usual way");

    target(most(MEMORY, "rows read"), '≤', 55.0, "", "rows read for a page of 50");
    let largest = bench.history.probes.last().expect("conversations");
    for (group, cache, end) in [(MEMORY, "from memory", "newest"), (DISK, "from disk", "near the end")] {
        for place in [end, "middle"] {
            let case = |size| case(size, place);
            let seen = |size| report.find(group, &case(size), "function");
            if let (Some(small), Some(large)) = (seen(1_000), seen(largest.size)) {
                let what = format!("page of {}, {cache}: times that of 1,000", case(largest.size));
                target(large / small, '≤', 1.2, "×", &what);
            }
        }
    }

    let sizes = &bench.history.inboxes;
    if let [.., small, large] = sizes[..] {
        for (what, _) in QUESTIONS {
            let seen = |size| report.find(INBOX, &inbox::case(size, what), "function");
            if let (Some(few), Some(many)) = (seen(small), seen(large)) {
                let what = format!("{}: times that of {small}", inbox::case(large, what));
                target(many / few, '≤', 1.2, "×", &what);
            }
        }
    }

    for (form, limit) in [(BEFORE_MEMBERSHIPS, 1.25), (BEFORE_PUSH, 1.02)] {
        let ratio = get(FORMS, "SendMessage", TODAY) / get(FORMS, "SendMessage", form);
        target(ratio, '≤', limit, "×", &format!("SendMessage: times as long as {form}"));
    }
    for log in LOGS {
        let rate = |receivers| get(ONE_RECEIVER, &sends::case(log, receivers), "function");
        let what = format!("{SENDERS} senders to one receiver, {log}: rate, times that to a receiver each");
        target(rate("one receiver") / rate("a receiver each"), '≥', 0.8, "×", &what);
    }

    target(most(HTTP, GATEWAY), '≤', 0.15, "ms", "a request over HTTP: processor time of the gateway");
    let rate = |count| get(HTTP, &format!("SendMessage, {count} at a time"), "requests");
    target(rate(64) / rate(4), '≥', 1.0, "×", "SendMessage over HTTP: rate of 64 at a time, times that of 4");

    let connect = get(START, "connect to the database", "time");
    let limit = get(START, "hello_world", "first answer") + connect + 5.0;
    let what = "cold start to first answer: hello world + connect + 5 ms";
    target(most(START, "first answer"), '≤', limit, "ms", what);
    target(most(SIZE, "bundle"), '≤', 5.0, "MB", "the largest bundle");
    let what = format!("resident memory after {} requests", 5 * bench.runs);
    target(most(SIZE, RESIDENT), '≤', 12.0, "MB", &what);
    for name in ["Login", "CreateUser"] {
        let (rest, resident) = (get(PASSWORDS, name, "all but argon2"), get(PASSWORDS, name, RESIDENT));
        target(rest, '≤', 3.0, "ms", &format!("{name}: all but argon2"));
        let what = format!("{name}: resident memory after {}", 2 * bench.runs / 5);
        target(resident, '≤', 32.0, "MB", &what);
    }
    targets
}
