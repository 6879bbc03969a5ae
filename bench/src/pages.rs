//! Pages of 50 messages in conversations of every size, from memory and from disk.

use std::mem;
use std::time::Duration;

use fastrand::Rng;
use shared::message::{GET_MESSAGES, PAGE_BYTES};

use crate::Bench;
use crate::database::Connection;
use crate::history::{Conversation, READER};
use crate::latency::{PAGE, hash};
use crate::report::{Report, thousands};
use crate::requests::Request;
use crate::samples::{Samples, Way, by_turns, timed};

const WARM: &str = "Pages of 50, from memory";
const COLD: &str = "Pages of 50, from disk";

/// The buffer pool for the measure from disk, in bytes: far smaller than the table.
const SMALL_POOL: u64 = 8 * 1024 * 1024;

const NEWEST: &str = "newest";
const NEAR_THE_END: &str = "near the end";

/// A page of a conversation.
struct Page<'a> {
    conversation: &'a Conversation,
    place: &'static str,
    /// Its last id.
    last: u64,
}

impl<'a> Page<'a> {
    /// The newest one of the conversation, and one in its middle.
    fn of(conversation: &'a Conversation) -> [Self; 2] {
        let size = conversation.size;
        [
            Self { conversation, place: NEWEST, last: size },
            Self { conversation, place: "middle", last: size / 2 },
        ]
    }

    /// The page that lies so many messages further back.
    fn moved(&self, back: u64) -> Self {
        let place = if self.place == NEWEST { NEAR_THE_END } else { self.place };
        Self { conversation: self.conversation, place, last: self.last - back }
    }

    /// What it is called in the report.
    fn case(&self) -> String {
        case(self.conversation.size, self.place)
    }

    fn request(&self, cursor: &str, value: u64) -> Request {
        let newest = Request::page(self.conversation);
        if self.place == NEWEST { newest } else { newest.field(cursor, value) }
    }

    /// For the function.
    fn by_id(&self) -> Request {
        self.request("before", self.last + 1)
    }

    /// For the usual way.
    fn by_offset(&self) -> Request {
        self.request("offset", self.conversation.size - self.last)
    }

    fn select(&self, connection: &mut Connection) -> Duration {
        let select = sqlx::query(PAGE).bind(self.conversation.id).bind(self.last - 49).bind(self.last);
        timed(|| connection.fetch(select))
    }

    /// How many rows the server reads for the page.
    fn rows_read(&self, connection: &mut Connection) -> f64 {
        let counters = "SHOW SESSION STATUS LIKE 'Handler_read%'";
        let looking = -connection.number(counters) + connection.number(counters);
        let before = connection.number(counters);
        let call = sqlx::query(GET_MESSAGES).bind(hash(READER));
        let call = call.bind(&self.conversation.first).bind(&self.conversation.second);
        connection.fetch(call.bind(50).bind(PAGE_BYTES).bind(self.last + 1).bind(None::<i64>));
        connection.number(counters) - before - looking
    }
}

fn case(size: u64, place: &str) -> String {
    format!("{} messages, {place}", thousands(size))
}

/// Measures pages from memory, then from disk where the server's buffer pool can be made small.
pub fn measure(bench: &Bench, report: &mut Report) {
    let pages: Vec<_> = bench.history.probes.iter().flat_map(Page::of).collect();
    from_memory(bench, report, &pages);

    let mut admin = bench.database.connect();
    let settings = [("innodb_buffer_pool_size", SMALL_POOL), ("innodb_old_blocks_time", 0)];
    let before = settings.map(|(name, _)| admin.number(&format!("SELECT @@{name}")));
    let refused = settings
        .iter()
        .any(|(name, value)| admin.try_execute(&format!("SET GLOBAL {name} = {value}")).is_err());
    if refused {
        eprintln!("{COLD}: not measured, this user can't change the server's buffer pool");
    } else {
        from_disk(bench, report, &pages);
    }
    for ((name, _), value) in settings.iter().zip(before) {
        admin.try_execute(&format!("SET GLOBAL {name} = {value}")).ok();
    }

    let large = bench.history.probes.last().expect("conversations").size;
    for (group, cache, end) in [(WARM, "from memory", NEWEST), (COLD, "from disk", NEAR_THE_END)] {
        for place in [end, "middle"] {
            let seen = |size| {
                let case = case(size, place);
                report.group(group).find(|figure| figure.case == case && figure.way == "function")
            };
            if let (Some(small), Some(large_page)) = (seen(1_000), seen(large)) {
                let ratio = large_page.value / small.value;
                let what =
                    format!("page of {} messages, {place}, {cache}: times that of 1,000", thousands(large));
                report.at_most(what, "×", ratio, 1.2);
            }
        }
    }
}

fn from_memory(bench: &Bench, report: &mut Report, pages: &[Page]) {
    let get_messages = bench.database.function("get_messages", 1);
    let usual = bench.database.usual();
    let (mut ways, mut slow_ways) = (Vec::new(), Vec::new());
    for page in pages {
        let (by_id, by_offset) = (page.by_id(), page.by_offset());
        let (get_messages, usual) = (&get_messages, &usual);
        let mut connection = bench.database.connect();
        ways.push(Way::new("bare statement", move || page.select(&mut connection)));
        ways.push(Way::new("function", move || by_id.send(get_messages)));
        slow_ways.push(Way::new("usual way", move || by_offset.send(usual)));
    }
    eprintln!("{WARM}");
    let mut samples = by_turns(&mut ways, bench.runs);
    // By themselves, lest large offsets leave the others a cold processor.
    samples.extend(by_turns(&mut slow_ways, bench.runs));
    let pages_of_ways = pages.iter().flat_map(|page| [page; 2]).chain(pages);
    for ((samples, way), page) in samples.iter().zip(ways.iter().chain(&slow_ways)).zip(pages_of_ways) {
        report.samples(WARM, &page.case(), way.name, samples);
    }

    let mut connection = bench.database.connect();
    for page in pages {
        report.figure(WARM, &page.case(), "rows read", "", page.rows_read(&mut connection));
    }
    let most = pages.iter().map(|page| report.get(WARM, &page.case(), "rows read")).fold(0.0, f64::max);
    report.at_most("rows read for a page of 50", "", most, 55.0);
}

/// With a small buffer pool, whose contents are replaced before each round; a round reads every page once, in an
/// order of its own, and somewhat further back, as by chance a page lies on one leaf of the tree or on two. Without
/// conversations that fit on a leaf. The usual way's OFFSET would take minutes here: its newest pages only.
fn from_disk(bench: &Bench, report: &mut Report, pages: &[Page]) {
    const MOST_BACK: u64 = 200;
    let pages: Vec<_> = pages.iter().filter(|page| page.last > 2 * MOST_BACK).collect();
    let get_messages = bench.database.function("get_messages", 1);
    let usual = bench.database.usual();
    let mut connection = bench.database.connect();
    let mut evictor = bench.database.connect();
    let mut random = Rng::with_seed(6);
    // By way and page.
    let mut durations = [0; 3].map(|_| vec![Vec::new(); pages.len()]);
    let mut order: Vec<_> = (0..pages.len()).collect();
    let (mut reads, mut requests) = (0.0, 0.0);
    eprintln!("{COLD}");
    for _ in 0..bench.runs / 5 {
        let back = random.u64(..MOST_BACK);
        for (way, durations) in durations.iter_mut().enumerate() {
            evict(bench, &mut evictor, &mut random);
            random.shuffle(&mut order);
            let before = evictor.number(DISK_READS);
            for &n in &order {
                let page = pages[n].moved(back);
                durations[n].push(match way {
                    0 => page.select(&mut connection),
                    1 => page.by_id().send(&get_messages),
                    _ if pages[n].place == NEWEST => pages[n].by_offset().send(&usual),
                    _ => continue,
                });
            }
            if way == 1 {
                reads += evictor.number(DISK_READS) - before;
                requests += order.iter().map(|_| 1.0).sum::<f64>();
            }
        }
    }
    for (n, page) in pages.iter().enumerate() {
        for (way, durations) in ["bare statement", "function", "usual way"].into_iter().zip(&mut durations) {
            if !durations[n].is_empty() {
                report.samples(COLD, &page.moved(0).case(), way, &Samples::new(mem::take(&mut durations[n])));
            }
        }
    }
    report.figure(COLD, "all", "disk reads for a request of the function", "", reads / requests);
}

/// How often a page of a table was not in the buffer pool.
const DISK_READS: &str = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_reads'";

/// Reads another part of the usual table, some 30 MB, so that nothing else stays in the buffer pool.
fn evict(bench: &Bench, evictor: &mut Connection, random: &mut Rng) {
    let rows = 100_000;
    let last = bench.rows.saturating_sub(rows).max(1);
    let scan = "SELECT SUM(LENGTH(message)) FROM usual_messages WHERE id BETWEEN ? AND ?";
    let from = random.u64(..last);
    evictor.fetch(sqlx::query(scan).bind(from).bind(from + rows));
}
