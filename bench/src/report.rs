//! What was seen: as tables on standard output, as JSON, and next to the targets.

use std::time::Instant;
use std::{env, fs, thread};

use fastrand::Rng;
use serde::Serialize;
use sqlx::Row;

use crate::database::Database;

type Name = &'static str;

/// A way that has taken this long in all, in ms, gets no further runs.
const PATIENCE: f64 = 20_000.0;

/// Everything that was seen.
#[derive(Serialize)]
pub struct Report {
    setting: Vec<(Name, String)>,
    figures: Vec<Figure>,
    pub targets: Vec<Target>,
}

/// What was seen of a way in one case of a group; the figures of a group are shown together.
#[derive(Serialize)]
pub struct Figure {
    pub group: Name,
    pub case: String,
    pub way: Name,
    unit: Name,
    /// The median of the runs.
    pub value: f64,
    p99: Option<f64>,
    runs: usize,
}

/// What, its unit, what was seen, and the limit, which it must not exceed (`≤`) or must reach (`≥`).
pub type Target = (String, Name, f64, char, f64);

/// A way of doing something, and how long its runs have taken.
pub struct Way<'a> {
    case: String,
    name: Name,
    run: Box<dyn FnMut() -> f64 + 'a>,
    seen: Vec<f64>,
}

impl<'a> Way<'a> {
    /// `run` returns how long it took, in ms, without its preparation.
    pub fn new(case: &str, name: Name, run: impl FnMut() -> f64 + 'a) -> Self {
        Self { case: case.into(), name, run: Box::new(run), seen: Vec::new() }
    }
}

/// How long `work` takes, in ms, without dropping its result.
pub fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let started = Instant::now();
    let _result = work();
    started.elapsed().as_secs_f64() * 1e3
}

/// A number of runs or requests.
pub fn float(count: usize) -> f64 {
    u32::try_from(count).expect("a small number").into()
}

impl Report {
    /// A report that says what the figures are seen on: the machine, the server and the history.
    pub fn new(database: &Database) -> Self {
        let line = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            value.trim_start_matches([' ', '\t', ':']).to_owned()
        };
        let cores = thread::available_parallelism().map_or(0, usize::from);
        let row = database.connect().fetch(sqlx::query(include_str!("setting.sql"))).remove(0);
        let setting = vec![
            ("date", row.get(0)),
            ("processor", format!("{cores} × {}", line("/proc/cpuinfo", "model name"))),
            ("memory", line("/proc/meminfo", "MemTotal")),
            ("system", format!("Linux {}, {}", line("/proc/sys/kernel/osrelease", ""), env::consts::ARCH)),
            ("server", row.get(1)),
            ("its settings", row.get(2)),
            ("history", row.get(3)),
        ];
        Self { setting, figures: Vec::new(), targets: Vec::new() }
    }

    /// Adds the figures of several ways, after a tenth of the runs to warm up. The ways of a set take turns, in an
    /// order that changes: what disturbs the machine disturbs all alike, and none finds its way prepared by its own last
    /// run. The sets take turns, too, each after a preparation.
    pub fn compare(&mut self, group: Name, runs: usize, mut sets: Vec<Vec<Way>>, mut prepare: impl FnMut()) {
        eprintln!("{group}: {}", sets[0][0].case);
        let mut random = Rng::with_seed(7);
        for (runs, patience) in [(runs.div_ceil(10), PATIENCE / 10.0), (runs, PATIENCE)] {
            sets.iter_mut().flatten().for_each(|way| way.seen.clear());
            for _ in 0..runs {
                for ways in &mut sets {
                    prepare();
                    let mut order: Vec<_> = ways.iter_mut().collect();
                    random.shuffle(&mut order);
                    for way in order.into_iter().filter(|way| way.seen.iter().sum::<f64>() < patience) {
                        way.seen.push((way.run)());
                    }
                }
            }
        }
        for Way { case, name, seen, .. } in sets.into_iter().flatten() {
            self.add(group, &case, name, "ms", seen);
        }
    }

    /// Adds what was seen in several runs, or in one. A p99 takes 20 of them.
    pub fn add(&mut self, group: Name, case: &str, way: Name, unit: Name, mut seen: Vec<f64>) {
        seen.sort_by(f64::total_cmp);
        let runs = seen.len();
        let p99 = (runs >= 20).then(|| seen[runs * 99 / 100]);
        self.figures.push(Figure { group, case: case.into(), way, unit, value: seen[runs / 2], p99, runs });
    }

    /// The figures of a group, in the order of their measuring.
    pub fn group(&self, group: &str) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(move |figure| figure.group == group)
    }

    /// A figure, if it was measured.
    pub fn find(&self, group: &str, case: &str, way: &str) -> Option<f64> {
        self.group(group).find(|figure| figure.case == case && figure.way == way).map(|figure| figure.value)
    }

    /// Prints everything as Markdown.
    pub fn print(&self) {
        for (name, value) in &self.setting {
            println!("- {name}: {value}");
        }
        println!("\n| target | seen | limit | |\n|---|--:|--:|---|");
        for (what, unit, seen, sign, limit) in &self.targets {
            let is_met = if *sign == '≤' { seen <= limit } else { seen >= limit };
            let [seen, limit] = [seen, limit].map(|value| format!("{} {unit}", digits(*value)));
            let verdict = if is_met { "met" } else { "**MISSED**" };
            println!("| {what} | {} | {sign} {} | {verdict} |", seen.trim_end(), limit.trim_end());
        }
        for group in distinct(self.figures.iter().map(|figure| figure.group)) {
            self.print_group(group);
        }
    }

    /// One row for each case, one column for each way: the median, and the p99 in parentheses; behind it, how many
    /// times the first way's it is.
    fn print_group(&self, group: &str) {
        let ways = distinct(self.group(group).map(|figure| (figure.way, figure.unit)));
        let heads = ways.iter().map(|(way, unit)| format!("{way}, {unit}").trim_end_matches(", ").to_owned());
        println!("\n### {group}\n\n| | {} |", heads.collect::<Vec<_>>().join(" | "));
        println!("|---|{}", "--:|".repeat(ways.len()));
        for case in distinct(self.group(group).map(|figure| &figure.case)) {
            let find = |way: &(&str, &str)| {
                let mut of_case = self.group(group).filter(|figure| figure.case == *case);
                of_case.find(|figure| (figure.way, figure.unit) == *way)
            };
            let cell = |way: &(&str, &str)| {
                let Some(figure) = find(way) else { return String::new() };
                let p99 = figure.p99.map(|p99| format!(" ({})", digits(p99))).unwrap_or_default();
                let reference = find(&ways[0]).filter(|first| first.way != way.0 && first.unit == way.1);
                let ratio = reference.map(|first| format!(" · {:.2}×", figure.value / first.value));
                digits(figure.value) + &p99 + &ratio.unwrap_or_default()
            };
            println!("| {case} | {} |", ways.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
    }
}

/// Without repetitions, in order.
pub fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut seen, item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
        seen
    })
}

/// A figure with three or four digits.
pub fn digits(value: f64) -> String {
    let decimals = [1000.0, 100.0, 10.0].iter().filter(|limit| value < **limit).count();
    format!("{value:.decimals$}")
}
