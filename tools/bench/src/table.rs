//! Tables for people, in Markdown.

use std::fmt::Write;

use crate::results::{Measured, Quantity, Results};
use crate::stage::ALONE;

/// The ratios, then the absolute figures.
pub(crate) fn table(results: &Results) -> String {
    let mut text = String::from("\n");
    ratios(&mut text, results);
    peers(&mut text, results);
    times(&mut text, results);
    counts(&mut text, results);
    text
}

fn ratios(text: &mut String, results: &Results) {
    let rows = results.subjects.iter().filter_map(|subject| {
        if subject.name == ALONE || subject.peer_of.is_some() {
            return None;
        }
        let ratio = |quantity| {
            results.ratio(quantity, subject.name, ALONE).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
        };
        Some([subject.name.to_owned(), ratio(Quantity::Cold), ratio(Quantity::Warm), ratio(Quantity::Cpu)])
    });
    write(text, ["times lambda_runtime alone", "cold start", "warm call", "CPU per call"], rows);
}

fn peers(text: &mut String, results: &Results) {
    let rows: Vec<_> = results
        .subjects
        .iter()
        .filter_map(|subject| {
            let ours = subject.peer_of?;
            let say = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.1}"));
            let ratio = |quantity| say(results.ratio(quantity, subject.name, ours));
            let memory = say(results.memory_ratio(subject.name, ours));
            let name = subject.name.to_owned();
            Some([name, ratio(Quantity::Cold), ratio(Quantity::Warm), ratio(Quantity::Cpu), memory, ours.to_owned()])
        })
        .collect();
    if !rows.is_empty() {
        write(text, ["times ours", "cold start", "warm call", "CPU per call", "memory", "ours"], rows.into_iter());
    }
}

fn times(text: &mut String, results: &Results) {
    let rows = results.subjects.iter().map(|subject| {
        let cold = |percent| format!("{:.2} ms", milli(subject.cold(percent)));
        let warm = |percent| micro(subject.warm(percent));
        [subject.name.to_owned(), cold(50), cold(99), warm(50), warm(99), micro(subject.cpu())]
    });
    write(text, ["absolute", "cold start", "p99", "warm call", "p99", "CPU per call"], rows);
}

fn counts(text: &mut String, results: &Results) {
    let rows = results.subjects.iter().map(|subject| {
        let count = |of: &dyn Fn(&crate::counts::Counts) -> String| subject.counts.as_ref().map_or("-".to_owned(), of);
        [
            subject.name.to_owned(),
            memory(subject),
            size(subject),
            count(&|counts| counts.threads.to_string()),
            count(&|counts| thousands(counts.instructions)),
            count(&|counts| counts.system_calls.to_string()),
            count(&|counts| counts.futexes.to_string()),
            count(&|counts| counts.allocations.to_string()),
            count(&|counts| counts.files.len().to_string()),
            count(&|counts| counts.certificate_files().to_string()),
        ]
    });
    let heads = [
        "counted",
        "peak memory",
        "binary",
        "threads",
        "instructions per call",
        "system calls",
        "futexes",
        "allocations",
        "files at start",
        "certificates",
    ];
    write(text, heads, rows);
}

#[expect(clippy::cast_precision_loss, reason = "it's rounded for people")]
fn memory(subject: &Measured) -> String {
    format!("{:.1} MiB", subject.timed.peak_memory as f64 / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "it's rounded for people")]
fn size(subject: &Measured) -> String {
    subject.size.map_or("-".to_owned(), |size| format!("{:.2} MiB", size as f64 / f64::from(1 << 20)))
}

/// A large number, in thousands.
#[expect(clippy::cast_precision_loss, reason = "it's rounded for people")]
fn thousands(number: u64) -> String {
    format!("{:.1}k", number as f64 / 1e3)
}

/// Nanoseconds in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "it's rounded for people")]
pub(crate) fn milli(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Nanoseconds in microseconds, or in milliseconds where they are many.
pub(crate) fn micro(nanoseconds: u64) -> String {
    if nanoseconds < 10_000_000 {
        format!("{:.1} µs", milli(nanoseconds) * 1e3)
    } else {
        format!("{:.1} ms", milli(nanoseconds))
    }
}

/// A table with its columns lined up: the first to the left, the others to the right.
pub(crate) fn write<const N: usize>(text: &mut String, heads: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<_> = [heads.map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    for (index, row) in rows.iter().enumerate() {
        line(text, row, &widths);
        if index == 0 {
            line(text, &std::array::from_fn::<_, N, _>(|column| rule(column, widths[column])), &widths);
        }
    }
    text.push('\n');
}

fn rule(column: usize, width: usize) -> String {
    if column == 0 { "-".repeat(width) } else { "-".repeat(width.saturating_sub(1)) + ":" }
}

fn line(text: &mut String, cells: &[String], widths: &[usize]) {
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        // Writing to a string doesn't fail.
        let _ = if column == 0 { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
    }
    text.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_lined_up() {
        let mut text = String::new();
        write(&mut text, ["what", "µs"], [["login".to_owned(), "7".to_owned()]].into_iter());
        assert_eq!(text, "| what  | µs |\n| ----- | -: |\n| login |  7 |\n\n");
    }
}
