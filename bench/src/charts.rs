//! The figures as pictures.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::{Report, digits};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;
type Picture = fn(&Report, &Area) -> Drawn;
/// A name, a color and points.
type Line<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xeb);
const BARE: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const FUNCTION: RGBColor = RGBColor(0x1f, 0x6f, 0xd0);
const PALE: RGBColor = RGBColor(0x8c, 0xbe, 0xf2);
const USUAL: RGBColor = RGBColor(0xe0, 0x7b, 0x39);
const PALE_USUAL: RGBColor = RGBColor(0xf2, 0xb8, 0x8c);
const FONT: &str = "Helvetica, Arial, sans-serif";

/// The operations that read or write chat data.
const OPERATIONS: [&str; 3] = ["SendMessage", "GetMessages, 50", "GetUsers, 100"];

/// Draws all pictures into `directory`.
pub fn draw(report: &Report, directory: &Path) {
    let pictures: [(_, Picture); 4] = [
        ("operations.svg", operations),
        ("pages.svg", pages),
        ("throughput.svg", throughput),
        ("cold_start.svg", cold_start),
    ];
    for (name, picture) in pictures {
        let path = directory.join(name);
        let area = SVGBackend::new(&path, (960, 420)).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| picture(report, &area));
        let drawn = drawn.and_then(|()| Ok(area.present()?));
        drawn.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn operations(report: &Report, area: &Area) -> Drawn {
    let (near, far) = area.split_horizontally(540);
    let groups = |group, ways: &[(&str, RGBColor)]| {
        let bars = |case| ways.iter().map(|&(way, color)| (report.get(group, case, way), color)).collect();
        OPERATIONS.map(|case| (case.to_owned(), bars(case))).to_vec()
    };
    let ways = [("bare statement", BARE), ("function", FUNCTION), ("usual way", USUAL)];
    bars(&near, "The database on the same machine: ms", &groups("Operations", &ways), None)?;
    bars(&far, "1 ms away: ms", &groups("The database 1 ms away", &ways[1..]), None)?;
    legend(area, &ways)
}

fn pages(report: &Report, area: &Area) -> Drawn {
    let line = |group: &str, place: &str, way: &str| {
        let figures = report.group(group).filter(|figure| figure.way == way);
        let point = |(size, at): (&str, &str)| (at == place).then(|| size.replace(',', "").parse().ok())?;
        figures
            .filter_map(|figure| Some((point(figure.case.split_once(" messages, ")?)?, figure.value)))
            .collect::<Vec<(f64, f64)>>()
    };
    let (memory, disk) = ("Pages of 50, from memory", "Pages of 50, from disk");
    let lines = [
        ("bare SELECT", BARE, line(memory, "middle", "bare statement")),
        ("function, newest", FUNCTION, line(memory, "newest", "function")),
        ("function, middle", PALE, line(memory, "middle", "function")),
        ("function, middle, from disk", INK, line(disk, "middle", "function")),
        ("usual, newest", PALE_USUAL, line(memory, "newest", "usual way")),
        ("usual, middle", USUAL, line(memory, "middle", "usual way")),
    ];
    let lines: Vec<_> = lines.into_iter().filter(|(_, _, points)| !points.is_empty()).collect();
    title(area, "A page of 50 messages: ms, by the size of the conversation")?;
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_top(64)
        .margin_right(40)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(
            (80.0..1.3 * highest(&lines, |point| point.0)).log_scale(),
            (0.05..1.5 * highest(&lines, |point| point.1)).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(BARE)
        .label_style((FONT, 13).into_font().color(&INK))
        .x_label_formatter(&|size| format!("{size:.0}"))
        .y_label_formatter(&ToString::to_string)
        .draw()?;
    for (_, color, points) in &lines {
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(4))?;
    }
    legend(area, &lines.iter().map(|(name, color, _)| (*name, *color)).collect::<Vec<_>>())
}

fn throughput(report: &Report, area: &Area) -> Drawn {
    let group = "SendMessage, messages a second";
    let (many, one) = area.split_horizontally(480);
    let ways = [("bare CALL", BARE), ("function", FUNCTION)];
    for (panel, what) in [(many, "many conversations"), (one, "one conversation")] {
        let bars_of = |n| {
            let case = format!("{what}, {n} at a time");
            ways.iter().map(|(way, color)| (report.get(group, &case, way), *color)).collect()
        };
        let groups: Vec<_> = [1, 2, 4, 8, 16].map(|n| (n.to_string(), bars_of(n))).into();
        bars(&panel, &format!("Messages a second, {what}, by environments"), &groups, None)?;
    }
    legend(area, &ways)
}

fn cold_start(report: &Report, area: &Area) -> Drawn {
    let group = "Cold start";
    let ways = [("first poll", PALE), ("first answer", FUNCTION)];
    let mut groups = Vec::new();
    for figure in report.group(group).filter(|figure| figure.way == "first answer") {
        let bars = ways.iter().map(|(way, color)| (report.get(group, &figure.case, way), *color)).collect();
        groups.push((figure.case.clone(), bars));
    }
    let connect = report.get(group, "connect to the database", "time");
    let limit = report.get(group, "hello_world", "first answer") + connect + 5.0;
    bars(area, "From the start of the process: ms", &groups, Some(("hello world + connect + 5 ms", limit)))?;
    legend(area, &ways)
}

/// Groups of bars, each with its value above it, and a line that they should stay below.
fn bars(
    area: &Area,
    name: &str,
    groups: &[(String, Vec<(f64, RGBColor)>)],
    limit: Option<(&str, f64)>,
) -> Drawn {
    title(area, name)?;
    let values = groups.iter().flat_map(|(_, bars)| bars.iter().map(|bar| bar.0));
    let highest = values.chain(limit.map(|limit| limit.1)).fold(0.0, f64::max);
    let count = f64::from(u32::try_from(groups.len())?);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_top(64)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..count, 0.0..1.12 * highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(BARE)
        .y_labels(6)
        .label_style((FONT, 13).into_font().color(&INK))
        .y_label_formatter(&|value| format!("{}", (value * 1e3).round() / 1e3))
        .draw()?;
    let mut left = 0.0;
    for (name, bars) in groups {
        let width = 0.8 / f64::from(u32::try_from(bars.len())?);
        let mut at = left + 0.1;
        for (value, color) in bars {
            chart.draw_series([Rectangle::new([(at, 0.0), (at + 0.94 * width, *value)], color.filled())])?;
            let (x, y) = chart.backend_coord(&(at + 0.47 * width, *value));
            write(area, &digits(*value), (x, y - 4), 12, HPos::Center)?;
            at += width;
        }
        let (x, y) = chart.backend_coord(&(left + 0.5, 0.0));
        write(area, name, (x, y + 22), 14, HPos::Center)?;
        left += 1.0;
    }
    if let Some((name, limit)) = limit {
        chart.draw_series(DashedLineSeries::new(
            [(0.0, limit), (count, limit)],
            6,
            4,
            USUAL.stroke_width(2),
        ))?;
        let (x, y) = chart.backend_coord(&(count, limit));
        write(area, name, (x, y - 6), 13, HPos::Right)?;
    }
    Ok(())
}

fn title(area: &Area, text: &str) -> Drawn {
    let (left, top) = area.get_base_pixel();
    write(area, text, (left + 20, top + 28), 17, HPos::Left)
}

/// What the colors mean, in a line below the titles.
fn legend(area: &Area, entries: &[(&str, RGBColor)]) -> Drawn {
    let mut x = 20;
    for (name, color) in entries {
        area.draw(&Rectangle::new([(x, 40), (x + 12, 52)], color.filled()))?;
        write(area, name, (x + 18, 51), 13, HPos::Left)?;
        x += 40 + 7 * i32::try_from(name.len())?;
    }
    Ok(())
}

/// Writes `text` with its foot at a place of the whole picture.
fn write(area: &Area, text: &str, place: (i32, i32), size: u32, anchor: HPos) -> Drawn {
    let (left, top) = area.get_base_pixel();
    let style = (FONT, size).into_font().color(&INK).pos(Pos::new(anchor, VPos::Bottom));
    Ok(area.draw_text(text, &style, (place.0 - left, place.1 - top))?)
}

fn highest(lines: &[Line], of: impl Fn(&(f64, f64)) -> f64) -> f64 {
    lines.iter().flat_map(|(_, _, points)| points).map(of).fold(0.0, f64::max)
}
