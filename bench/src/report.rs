//! What was seen: as tables on standard output, as JSON, and next to the targets.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::samples::{Samples, Way, by_turns};

/// Everything that was seen.
#[derive(Serialize)]
pub struct Report {
    /// The machine, the server and the history.
    pub setting: Vec<(&'static str, String)>,
    figures: Vec<Figure>,
    targets: Vec<Target>,
}

/// One figure: what `way` took in one case of a group.
#[derive(Serialize)]
pub struct Figure {
    /// The group of figures that are shown together.
    pub group: &'static str,
    /// What was done.
    pub case: String,
    /// How.
    pub way: &'static str,
    unit: &'static str,
    /// The median where there are several runs.
    pub value: f64,
    p99: Option<f64>,
    runs: usize,
}

/// What a figure must not exceed, or with `at_least` reach.
#[derive(Serialize)]
struct Target {
    what: String,
    seen: f64,
    limit: f64,
    unit: &'static str,
    at_least: bool,
    met: bool,
}

impl Report {
    /// A report without figures.
    pub fn new(setting: Vec<(&'static str, String)>) -> Self {
        Self { setting, figures: Vec::new(), targets: Vec::new() }
    }

    /// Measures the ways of one case by turns.
    pub fn compare(&mut self, group: &'static str, case: &str, runs: usize, ways: &mut [Way]) {
        eprintln!("{group}: {case}");
        for (samples, way) in by_turns(ways, runs).iter().zip(ways) {
            self.samples(group, case, way.name, samples);
        }
    }

    /// Adds durations.
    pub fn samples(&mut self, group: &'static str, case: &str, way: &'static str, samples: &Samples) {
        self.figures.push(Figure {
            group,
            case: case.into(),
            way,
            unit: "ms",
            value: samples.median().as_secs_f64() * 1e3,
            p99: Some(samples.p99().as_secs_f64() * 1e3),
            runs: samples.count(),
        });
    }

    /// Adds a figure that is no duration.
    pub fn figure(
        &mut self,
        group: &'static str,
        case: &str,
        way: &'static str,
        unit: &'static str,
        value: f64,
    ) {
        self.figures.push(Figure { group, case: case.into(), way, unit, value, p99: None, runs: 1 });
    }

    /// The figures of a group, in the order of their measuring.
    pub fn group(&self, group: &str) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(move |figure| figure.group == group)
    }

    /// A figure.
    pub fn get(&self, group: &str, case: &str, way: &str) -> f64 {
        let found = self.group(group).find(|figure| figure.case == case && figure.way == way);
        found.unwrap_or_else(|| panic!("no figure {group}, {case}, {way}")).value
    }

    /// Adds a target that `seen` must not exceed.
    pub fn at_most(&mut self, what: impl Into<String>, unit: &'static str, seen: f64, limit: f64) {
        let met = seen <= limit;
        self.targets.push(Target { what: what.into(), seen, limit, unit, at_least: false, met });
    }

    /// Adds a target that `seen` must reach.
    pub fn at_least(&mut self, what: impl Into<String>, unit: &'static str, seen: f64, limit: f64) {
        let met = seen >= limit;
        self.targets.push(Target { what: what.into(), seen, limit, unit, at_least: true, met });
    }

    /// Prints all figures and targets as Markdown.
    pub fn print(&self) {
        for (name, value) in &self.setting {
            println!("- {name}: {value}");
        }
        let mut groups: Vec<_> = self.figures.iter().map(|figure| figure.group).collect();
        groups.dedup();
        for group in groups {
            self.print_group(group);
        }
        println!("\n### Targets\n\n| target | seen | limit | |\n|---|--:|--:|---|");
        for Target { what, seen, limit, unit, at_least, met } in &self.targets {
            let sign = if *at_least { '≥' } else { '≤' };
            let verdict = if *met { "met" } else { "**MISSED**" };
            let [seen, limit] = [seen, limit].map(|value| format!("{} {unit}", digits(*value)));
            println!("| {what} | {} | {sign} {} | {verdict} |", seen.trim_end(), limit.trim_end());
        }
        let missed = self.targets.iter().filter(|target| !target.met).count();
        match missed {
            0 => println!("\nAll {} targets are met.", self.targets.len()),
            _ => println!("\n**{missed} of {} targets are MISSED.**", self.targets.len()),
        }
    }

    /// One row for each case, one column for each way: the median, and the p99 in parentheses; behind it, how many
    /// times the first way's it is.
    fn print_group(&self, group: &str) {
        let (mut cases, mut ways) = (Vec::new(), Vec::new());
        for figure in self.group(group) {
            if !cases.contains(&figure.case.as_str()) {
                cases.push(&figure.case);
            }
            if !ways.contains(&(figure.way, figure.unit)) {
                ways.push((figure.way, figure.unit));
            }
        }
        println!("\n### {group}\n");
        let head = |(way, unit): &(&str, &str)| format!("{way}, {unit}").trim_end_matches(", ").to_owned();
        let heads: Vec<_> = ways.iter().map(head).collect();
        println!("| | {} |\n|---|{}", heads.join(" | "), "--:|".repeat(heads.len()));
        for case in cases {
            let find = |way| self.group(group).find(|figure| figure.case == case && figure.way == way);
            let reference = find(ways[0].0);
            let cell = |&(way, unit): &(&'static str, &'static str)| {
                let Some(figure) = find(way) else { return String::new() };
                let p99 = figure.p99.map(|p99| format!(" ({})", digits(p99))).unwrap_or_default();
                let ratio = match reference {
                    Some(reference) if reference.way != way && reference.unit == unit => {
                        format!(" · {:.2}×", figure.value / reference.value)
                    }
                    _ => String::new(),
                };
                digits(figure.value) + &p99 + &ratio
            };
            println!("| {case} | {} |", ways.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
    }

    /// Writes everything to `path` as JSON.
    pub fn write(&self, path: &Path) {
        let json = serde_json::to_string_pretty(self).expect("figures are plain structs");
        fs::write(path, json + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// A figure with three or four digits.
pub fn digits(value: f64) -> String {
    match value {
        1000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.1}"),
        10.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A whole number with commas.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group)).collect();
    groups.into_iter().map(|group| group.expect("digits")).collect::<Vec<_>>().join(",")
}
