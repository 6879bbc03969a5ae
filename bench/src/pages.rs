//! Pages of 50 messages in conversations of every size, from memory and from disk.

use std::cell::Cell;

use crate::Bench;
use crate::database::Connection;
use crate::history::Conversation;
use crate::operations::{Request, call_page, page};
use crate::report::{Report, Way};

pub const MEMORY: &str = "Pages of 50, from memory";
pub const DISK: &str = "Pages of 50, from disk";

/// A whole number with commas.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// What a page is called in the report.
pub fn case(size: u64, place: &str) -> String {
    format!("{} messages, {place}", thousands(size))
}

/// The pages at the end and in the middle of every conversation, each with its name and its last id.
fn pages<'a>(bench: &'a Bench, end: &'static str) -> impl Iterator<Item = (String, &'a Conversation, u64)> {
    bench.history.probes.iter().flat_map(move |conversation| {
        let places = [(end, conversation.size), ("middle", conversation.size / 2)];
        places.map(|(place, last)| (case(conversation.size, place), conversation, last))
    })
}

/// A page for the function.
fn by_id(conversation: &Conversation, last: u64) -> Request {
    let is_newest = last == conversation.size;
    Request::page(&conversation.peer, (!is_newest).then_some(("before", last + 1)))
}

/// A page for the usual way.
fn by_offset(conversation: &Conversation, last: u64) -> Request {
    Request::page(&conversation.peer, Some(("offset", conversation.size - last)))
}

/// Measures pages from memory, then from disk if the server's buffer pool can be made small.
pub fn measure(bench: &Bench, report: &mut Report) {
    from_memory(bench, report);

    // 8 MiB, far less than the table.
    let small = [("innodb_buffer_pool_size", 8_388_608.0), ("innodb_old_blocks_time", 0.0)];
    let mut admin = bench.database.connect();
    let before = small.map(|(name, _)| (name, admin.number(&format!("SELECT @@{name}"))));
    let mut set = |(name, value)| admin.execute(&format!("SET GLOBAL {name} = {value}")).is_ok();
    if small.into_iter().all(&mut set) {
        from_disk(bench, report);
    } else {
        eprintln!("{DISK}: not measured, this user can't change the server's buffer pool");
    }
    for setting in before {
        set(setting);
    }
}

fn from_memory(bench: &Bench, report: &mut Report) {
    let function = &bench.database.function("get_messages", 1);
    let usual = &bench.database.function("usual", 1);
    let (mut ways, mut slow_ways) = (Vec::new(), Vec::new());
    for (case, conversation, last) in pages(bench, "newest") {
        let (by_id, by_offset) = (by_id(conversation, last), by_offset(conversation, last));
        let mut connection = bench.database.connect();
        let select = move || connection.timed(page(conversation.id, last));
        ways.push(Way::new(&case, "bare statement", select));
        ways.push(Way::new(&case, "function", move || by_id.send(function)));
        slow_ways.push(Way::new(&case, "usual way", move || by_offset.send(usual)));
    }
    report.compare(MEMORY, bench.runs, vec![ways], || ());
    // By themselves, lest large offsets leave the others a cold processor.
    report.compare(MEMORY, bench.runs, vec![slow_ways], || ());

    let mut connection = bench.database.connect();
    let read = |connection: &mut Connection| connection.number("SHOW SESSION STATUS LIKE 'Handler_read%'");
    let looking = -read(&mut connection) + read(&mut connection);
    for (case, conversation, last) in pages(bench, "newest") {
        let before = read(&mut connection);
        connection.fetch(call_page(&conversation.peer, Some(last + 1)));
        let rows = read(&mut connection) - before - looking;
        report.add(MEMORY, &case, "rows read", "", vec![rows]);
    }
}

/// With a small buffer pool, whose contents are replaced before each way reads its pages, somewhat further back, as by
/// chance a page lies on one leaf of the tree or on two. Without conversations that fit on a leaf. The usual way's
/// OFFSET would take minutes here: its newest pages only.
fn from_disk(bench: &Bench, report: &mut Report) {
    const MOST_BACK: u64 = 200;
    /// How many rows of the usual table fill the buffer pool: some 30 MB.
    const EVICTED: u64 = 100_000;

    let (function, usual) =
        (&bench.database.function("get_messages", 1), &bench.database.function("usual", 1));
    let (reads, requests) = (&Cell::new(0.0), &Cell::new(0.0));
    let mut ways = [const { Vec::new() }; 3];
    for (case, conversation, last) in pages(bench, "near the end") {
        if last <= 2 * MOST_BACK {
            continue;
        }
        let back = move || last - fastrand::u64(..MOST_BACK);
        let (mut connection, mut other) = (bench.database.connect(), bench.database.connect());
        let select = move || connection.timed(page(conversation.id, back()));
        let invoke = move || {
            let mut read = || other.number("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_reads'");
            let before = read();
            let took = by_id(conversation, back()).send(function);
            reads.set(reads.get() + read() - before);
            requests.set(requests.get() + 1.0);
            took
        };
        ways[0].push(Way::new(&case, "bare statement", select));
        ways[1].push(Way::new(&case, "function", invoke));
        if last == conversation.size {
            let run = move || by_offset(conversation, back()).send(usual);
            ways[2].push(Way::new(&case, "usual way", run));
        }
    }
    let mut connection = bench.database.connect();
    report.compare(DISK, bench.runs / 5, ways.into(), || {
        let from = fastrand::u64(..bench.history.rows.saturating_sub(EVICTED).max(1));
        let scan = "SELECT SUM(LENGTH(message)) FROM usual_messages WHERE id BETWEEN ? AND ?";
        connection.fetch(sqlx::query(scan).bind(from).bind(from + EVICTED));
    });
    let reads = reads.get() / requests.get();
    report.add(DISK, "all", "disk reads for a request of the function", "", vec![reads]);
}
