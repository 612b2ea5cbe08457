//! The limits that continuous integration holds the functions to: `limits.toml`, which a change has to change on purpose.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use shared::BoxError;

use crate::counts::Counter;
use crate::subject::Subject;

/// Sizes get a fiftieth more and are rounded up to this many KiB, so that another compiler's few bytes don't matter.
const SIZE_STEP: u64 = 64;
/// A size has to be this much below its limit, in KiB, for the limit to be lowered.
const SIZE_SLACK: u64 = 512;
/// The same for the calls of a function with several threads. What these count differs from call to call, so that their
/// limits get a hundredth and two more.
const THREADS_SLACK: u64 = 4;

/// Counts, or limits to them: for each subject, names and numbers.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, BTreeMap<String, u64>>);

/// Instructions get a fiftieth more: another compiler's, and what a date or a number takes to write.
const INSTRUCTIONS: &str = "instructions";

/// How often is counted what threads share: who of them is first differs from call to call.
const TIMES: usize = 3;

/// Counts what there are limits for.
pub(crate) fn count(
    subjects: &[Subject],
    counter: &Counter,
    sizes: &BTreeMap<String, u64>,
) -> Result<Figures, BoxError> {
    let mut figures = Figures::default();
    for subject in subjects {
        let counts = counter.count(subject)?;
        let numbers = [
            (INSTRUCTIONS, counts.instructions),
            ("system_calls", counts.system_calls),
            ("futexes", counts.futexes),
            ("allocations", counts.allocations),
            ("threads", counts.threads),
            ("files_at_start", counts.files.len() as u64),
            ("certificate_files", counts.certificate_files() as u64),
        ];
        let numbers = numbers.map(|(name, number)| (name.to_owned(), number));
        figures.0.insert(subject.name.to_owned(), numbers.into_iter().collect());
    }
    let sizes = sizes.iter().map(|(function, bytes)| (function.clone(), bytes.div_ceil(1024)));
    figures.0.insert(SIZES.to_owned(), sizes.collect());
    Ok(figures)
}

/// How the limits are written anew.
const UPDATE: &str = "cargo run --manifest-path tools/bench/Cargo.toml -- --update";

/// The table of the binaries' sizes, in KiB.
const SIZES: &str = "binary size in KiB";

/// Writes the most that was counted to the file.
pub(crate) fn update(file: &Path, mut count: impl FnMut() -> Result<Figures, BoxError>) -> Result<ExitCode, BoxError> {
    let mut most = count()?;
    for _ in 1..TIMES {
        most.merge(count()?, u64::max);
    }
    std::fs::write(file, most.to_toml())?;
    writeln!(std::io::stdout().lock(), "{} is written.", file.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Compares the least that was counted with the file: what is too much because of a change is so every time. What is
/// within the limits once needs no second look.
pub(crate) fn check(file: &Path, mut count: impl FnMut() -> Result<Figures, BoxError>) -> Result<ExitCode, BoxError> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{} can't be read: {error}", file.display()))?;
    let limits: Figures = toml::from_str(&text)?;
    let mut least = count()?;
    for _ in 1..TIMES {
        if !least.compare(&limits).failures.is_empty() {
            least.merge(count()?, u64::min);
        }
    }
    let verdict = least.compare(&limits);
    let out = &mut std::io::stdout().lock();
    for line in verdict.failures.iter().chain(&verdict.hints) {
        writeln!(out, "{line}")?;
    }
    if verdict.failures.is_empty() {
        writeln!(out, "Within the limits.")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "If it has to be so, write the limits anew: {UPDATE}")?;
    Ok(ExitCode::FAILURE)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    failures: Vec<String>,
    hints: Vec<String>,
}

impl Figures {
    /// Takes one of each two numbers.
    fn merge(&mut self, other: Self, choose: fn(u64, u64) -> u64) {
        for (subject, numbers) in other.0 {
            let mine = self.0.entry(subject).or_default();
            for (name, number) in numbers {
                mine.entry(name).and_modify(|mine| *mine = choose(*mine, number)).or_insert(number);
            }
        }
    }

    fn compare(&self, limits: &Self) -> Verdict {
        let mut verdict = Verdict::default();
        for (subject, numbers) in &self.0 {
            let is_shared = has_several_threads(numbers);
            for (name, number) in numbers {
                let slack = match name.as_str() {
                    _ if subject == SIZES => SIZE_SLACK,
                    // A thread more or less that sleeps already.
                    "system_calls" | "futexes" if is_shared => THREADS_SLACK,
                    // Twice the room that the limit was written with.
                    INSTRUCTIONS => number / 25,
                    "allocations" if is_shared => number / 50 + THREADS_SLACK,
                    _ => 0,
                };
                match limits.0.get(subject).and_then(|limits| limits.get(name)) {
                    None => verdict.failures.push(format!("no limit: {subject}, {name} is {number}")),
                    Some(limit) if number > limit => {
                        verdict.failures.push(format!("too much: {subject}, {name} is {number}, the limit {limit}"));
                    }
                    Some(limit) if number + slack < *limit => {
                        verdict.hints.push(format!("can be lowered: {subject}, {name} is {number}, the limit {limit}"));
                    }
                    Some(_) => {}
                }
            }
        }
        for (subject, numbers) in &limits.0 {
            let is_counted = |name: &&String| self.0.get(subject).is_some_and(|numbers| numbers.contains_key(*name));
            let unknown = numbers.keys().filter(|name| !is_counted(name));
            verdict.failures.extend(unknown.map(|name| format!("a limit to nothing: {subject}, {name}")));
        }
        verdict
    }

    fn to_toml(&self) -> String {
        let mut text = format!("# The most that each function may take. Written by `{UPDATE}`.\n");
        for (subject, numbers) in &self.0 {
            // Writing to a string doesn't fail.
            let _ = writeln!(text, "\n[\"{subject}\"]");
            let is_shared = has_several_threads(numbers);
            for (name, number) in numbers {
                let limit = match name.as_str() {
                    _ if subject == SIZES => (number + number / 50).next_multiple_of(SIZE_STEP),
                    INSTRUCTIONS => number + number / 50,
                    "system_calls" | "futexes" | "allocations" if is_shared => number + number / 100 + 2,
                    _ => *number,
                };
                let _ = writeln!(text, "{name} = {limit}");
            }
        }
        text
    }
}

fn has_several_threads(numbers: &BTreeMap<String, u64>) -> bool {
    numbers.get("threads") > Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(subject: &str, numbers: &[(&str, u64)]) -> Figures {
        let numbers = numbers.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        Figures([(subject.to_owned(), numbers)].into())
    }

    #[test]
    fn more_than_the_limit_fails_and_is_named() {
        let limits = figures("login", &[("futexes", 2), ("threads", 2)]);
        assert_eq!(limits.compare(&limits), Verdict::default());
        let verdict = figures("login", &[("futexes", 3), ("threads", 1)]).compare(&limits);
        assert_eq!(verdict.failures, ["too much: login, futexes is 3, the limit 2"]);
        assert_eq!(verdict.hints, ["can be lowered: login, threads is 1, the limit 2"]);
    }

    #[test]
    fn of_several_counts_the_least_is_checked_and_the_most_written() {
        let (mut least, mut most) = (figures("login", &[("futexes", 5)]), figures("login", &[("futexes", 5)]));
        least.merge(figures("login", &[("futexes", 2)]), u64::min);
        most.merge(figures("login", &[("futexes", 7)]), u64::max);
        assert_eq!((least, most), (figures("login", &[("futexes", 2)]), figures("login", &[("futexes", 7)])));
    }

    #[test]
    fn every_count_has_a_limit_and_every_limit_a_count() {
        let (one, other) = (figures("login", &[("futexes", 2)]), figures("login", &[("threads", 2)]));
        let verdict = one.compare(&other);
        assert_eq!(verdict.failures, ["no limit: login, futexes is 2", "a limit to nothing: login, threads"]);
    }

    #[test]
    fn only_the_figures_of_several_threads_get_some_room() {
        let numbers = |threads| [("allocations", 200), ("futexes", 2), ("threads", threads)];
        let read = |written: &Figures| toml::from_str::<Figures>(&written.to_toml()).unwrap();
        assert_eq!(read(&figures("login", &numbers(1))), figures("login", &numbers(1)));
        let with_room = [("allocations", 204), ("futexes", 4), ("threads", 2)];
        assert_eq!(read(&figures("login", &numbers(2))), figures("login", &with_room));
        assert_eq!(figures("login", &numbers(2)).compare(&figures("login", &with_room)), Verdict::default());
    }

    #[test]
    fn instructions_have_a_fiftieth_of_room() {
        let limits: Figures = toml::from_str(&figures("login", &[("instructions", 150_000)]).to_toml()).unwrap();
        assert_eq!(limits, figures("login", &[("instructions", 153_000)]));
        assert_eq!(figures("login", &[("instructions", 150_000)]).compare(&limits), Verdict::default());
        let verdict = figures("login", &[("instructions", 153_001)]).compare(&limits);
        assert_eq!(verdict.failures, ["too much: login, instructions is 153001, the limit 153000"]);
        assert_eq!(figures("login", &[("instructions", 140_000)]).compare(&limits).hints.len(), 1);
    }

    #[test]
    fn what_is_written_is_read_back_with_sizes_rounded_up() {
        let written = toml::from_str(&figures(SIZES, &[("rotate-keys", 5001)]).to_toml()).unwrap();
        assert_eq!(figures(SIZES, &[("rotate-keys", 5001)]).compare(&written), Verdict::default());
        assert_eq!(written, figures(SIZES, &[("rotate-keys", 5120)]));
        assert_eq!(toml::from_str::<Figures>(&figures("a, b", &[("x", 1)]).to_toml()).unwrap().0["a, b"]["x"], 1);
    }
}
