//! The plot of docs/performance.md: bars of cold starts and warm calls, drawn by hand.

use std::fmt::Write;

use crate::results::{Measured, Results};
use crate::table::milli;

const WIDTH: usize = 760;
const LABELS: usize = 240;
const BARS: f64 = 400.0;
const ROW: usize = 22;
const HEAD: usize = 40;

/// Draws the results. What would dwarf the rest is left out: of cold starts those that write to the store, of warm calls
/// all that call it.
pub(crate) fn svg(results: &Results) -> String {
    let counted = |subject: &&Measured| subject.counts.is_some() && !subject.name.contains("silent");
    let subjects = || results.subjects.iter().filter(counted);
    let cold: Vec<_> = subjects().filter(|subject| !subject.name.contains("right password")).collect();
    let warm: Vec<_> =
        subjects().filter(|subject| !subject.name.contains("login") && subject.name != "sessions").collect();
    let height = |rows: &[&Measured]| HEAD + rows.len() * ROW + 20;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n",
        height = height(&cold) + height(&warm)
    );
    bars(
        &mut text,
        0,
        "Cold start: from the start of the process to its first answer, ms (median)",
        &cold,
        |subject| milli(subject.cold(50)),
    );
    bars(&mut text, height(&cold), "Warm call: from the event to the answer, µs (median)", &warm, |subject| {
        milli(subject.warm(50)) * 1e3
    });
    text.push_str("</svg>\n");
    text
}

fn bars(text: &mut String, top: usize, title: &str, subjects: &[&Measured], value: impl Fn(&Measured) -> f64) {
    let most = subjects.iter().map(|subject| value(subject)).fold(f64::MIN_POSITIVE, f64::max);
    // Writing to a string doesn't fail.
    let _ = writeln!(text, "<text x=\"12\" y=\"{}\" font-size=\"14\" font-weight=\"bold\">{title}</text>", top + 24);
    for (row, subject) in subjects.iter().enumerate() {
        let (value, y) = (value(subject), top + HEAD + row * ROW);
        let width = value / most * BARS;
        let colour =
            if subject.name.contains("floor") || subject.name.contains("alone") { "#9aa5b1" } else { "#b7410e" };
        let decimals = if value < 10.0 { 2 } else { 0 };
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABELS}\" y=\"{}\" width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{value:.decimals$}</text>",
            LABELS - 8,
            y + 12,
            subject.name,
            y + 1,
            width + 246.0,
            y + 12
        );
    }
}
