//! The figures as pictures: bars with their values above them, one panel beside the other.

use std::fs;
use std::path::Path;

use crate::latency::{FAR, NEAR};
use crate::load::{HTTP, THROUGHPUT};
use crate::pages::{DISK, MEMORY};
use crate::report::{Report, digits, distinct};
use crate::start::START;

/// The picture, a title, and figures: of a group, of the cases whose names have this part, of these ways.
type Panel = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const BOTH: &[&str] = &["bare CALL", "function"];
const ALL: &[&str] = &["bare statement", "function", "usual way"];
const PANELS: [Panel; 10] = [
    ("operations", "The database on this machine: ms", NEAR, "", ALL),
    ("operations", "1 ms away: ms", FAR, "", &["function", "usual way"]),
    ("pages", "Newest 50 of so many messages: ms", MEMORY, " messages, newest", ALL),
    ("pages", "In the middle: ms", MEMORY, " messages, middle", ALL),
    ("pages", "In the middle, from disk: ms", DISK, " messages, middle", &["bare statement", "function"]),
    ("throughput", "Messages a second, many conversations", THROUGHPUT, "many conversations, ", BOTH),
    ("throughput", "Messages a second, one conversation", THROUGHPUT, "one conversation, ", BOTH),
    ("http", "SendMessage over HTTP: requests a second", HTTP, "SendMessage, ", &["requests"]),
    ("http", "GetMessages over HTTP: requests a second", HTTP, "GetMessages, 50, ", &["requests"]),
    ("cold_start", "From the start of the process: ms", START, "", &["first poll", "first answer"]),
];

/// Draws all pictures into `directory`.
pub fn draw(report: &Report, directory: &Path) {
    for picture in distinct(PANELS.iter().map(|panel| panel.0)) {
        let panels = PANELS.iter().filter(|panel| panel.0 == picture);
        let panels: Vec<_> =
            panels.enumerate().map(|(n, panel)| draw_panel(report, panel, 500 * n)).collect();
        let svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='420' fill='#24292f' font-size='12' \
             font-family='Helvetica, Arial, sans-serif'><rect width='100%' height='100%' fill='#fff'/>{}</svg>\n",
            500 * panels.len(),
            panels.concat()
        );
        fs::write(directory.join(picture).with_extension("svg"), svg)
            .expect("the directory can be written to");
    }
}

/// Heights are logarithmic if some bars could not be seen otherwise.
fn draw_panel(report: &Report, &(_, title, group, part, ways): &Panel, left: usize) -> String {
    let figures = || report.group(group).filter(|one| one.case.contains(part) && ways.contains(&one.way));
    let lowest = figures().map(|one| one.value).fold(f64::MAX, f64::min);
    let highest = figures().map(|one| one.value).fold(0.0, f64::max);
    let is_linear = highest < 100.0 * lowest;
    let log = |value: f64| (2.0 * value / lowest).ln();
    let share = |value| if is_linear { value / highest } else { log(value) / log(highest) };
    let color = |way| match way {
        "usual way" => "#e07b39",
        "function" | "requests" | "first answer" => "#1f6fd0",
        _ => "#9aa5b1",
    };
    let note = if is_linear { "" } else { ", logarithmic" };
    let mut svg = vec![format!(
        "<g transform='translate({left} 0)'><text x='20' y='28' font-size='17'>{title}{note}</text>"
    )];
    for (n, way) in ways.iter().enumerate() {
        let (x, color) = (20 + 120 * n, color(way));
        svg.push(format!("<rect x='{x}' y='42' width='12' height='12' fill='{color}'/>"));
        svg.push(format!("<text x='{}' y='53'>{way}</text>", x + 18));
    }
    let cases = distinct(figures().map(|one| &one.case));
    let slot = 470 / cases.len().max(1);
    let bar = slot * 9 / 10 / ways.len();
    // Upright, if the bars are too narrow for their values.
    let turn = if bar < 36 { "rotate(-90) translate(0 4)'" } else { "' text-anchor='middle'" };
    for (case, left) in cases.into_iter().zip((20..).step_by(slot)) {
        for (way, x) in ways.iter().zip((left..).step_by(bar)) {
            let Some(value) = report.find(group, case, way) else { continue };
            let (height, color) = (250.0 * share(value), color(way));
            let (y, width, center, value) = (370.0 - height, bar - 1, x + bar / 2, digits(value));
            svg.push(format!(
                "<rect x='{x}' y='{y:.1}' width='{width}' height='{height:.1}' fill='{color}'/>"
            ));
            svg.push(format!("<text transform='translate({center} {:.1}) {turn}>{value}</text>", y - 5.0));
        }
        let (x, label) = (left + bar * ways.len() / 2, case.replace(part, ""));
        svg.push(format!("<text x='{x}' y='392' font-size='11' text-anchor='middle'>{label}</text>"));
    }
    svg.push("</g>".into());
    svg.concat()
}
