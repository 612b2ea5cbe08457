//! What a run has found, and the ratios in it.

use serde::Serialize;

use crate::counts::Counts;
use crate::measure::{Round, Timed};
use crate::serving::Served;

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) subjects: Vec<Measured>,
    /// What one bare hash of cost 12 takes of a core, in each round, in nanoseconds.
    pub(crate) bare_hash: Vec<u64>,
    /// Empty where the peers weren't asked for.
    pub(crate) served: Vec<Served>,
}

/// A subject, measured.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) peer_of: Option<&'static str>,
    /// Bytes; `None` for a program that isn't ours.
    pub(crate) size: Option<u64>,
    pub(crate) timed: Timed,
    pub(crate) counts: Option<Counts>,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    Cold,
    Warm,
    Cpu,
}

impl Results {
    /// The subject of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Measured> {
        self.subjects.iter().find(|subject| subject.name == name)
    }

    /// How many times as much `name` takes as `base`.
    pub(crate) fn ratio(&self, quantity: Quantity, name: &str, base: &str) -> Option<f64> {
        let (above, below) = (self.find(name)?, self.find(base)?);
        ratio(&above.by_round(quantity), &below.by_round(quantity))
    }

    /// The same for the most memory that each has held.
    #[expect(clippy::cast_precision_loss, reason = "KiB of a process have far fewer than 53 bits")]
    pub(crate) fn memory_ratio(&self, name: &str, base: &str) -> Option<f64> {
        Some(self.find(name)?.timed.peak_memory as f64 / self.find(base)?.timed.peak_memory as f64)
    }

    /// How many times as much of a core a call takes as one bare hash.
    pub(crate) fn ratio_to_hash(&self, name: &str) -> Option<f64> {
        ratio(&self.find(name)?.by_round(Quantity::Cpu), &self.bare_hash)
    }
}

impl Measured {
    fn by_round(&self, quantity: Quantity) -> Vec<u64> {
        let of = |round: &Round| match quantity {
            Quantity::Cold => percentile(&round.cold, 50),
            Quantity::Warm => percentile(&round.warm, 50),
            Quantity::Cpu => round.cpu,
        };
        self.timed.rounds.iter().map(of).collect()
    }

    /// Over all rounds: half of the cold starts, or this many of a hundred, took at most so long.
    pub(crate) fn cold(&self, percent: usize) -> u64 {
        percentile(&self.timed.rounds.iter().flat_map(|round| round.cold.iter().copied()).collect::<Vec<_>>(), percent)
    }

    /// The same for warm calls.
    pub(crate) fn warm(&self, percent: usize) -> u64 {
        percentile(&self.timed.rounds.iter().flat_map(|round| round.warm.iter().copied()).collect::<Vec<_>>(), percent)
    }

    /// The middle round's CPU time of a call.
    pub(crate) fn cpu(&self) -> u64 {
        percentile(&self.by_round(Quantity::Cpu), 50)
    }
}

/// The middle of the rounds' ratios.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run have far fewer than 53 bits")]
fn ratio(above: &[u64], below: &[u64]) -> Option<f64> {
    let mut ratios: Vec<_> = above.iter().zip(below).map(|(above, below)| *above as f64 / *below as f64).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().filter(|ratio| ratio.is_finite())
}

/// The value that `percent` of a hundred don't exceed; 0 of none.
pub(crate) fn percentile(values: &[u64], percent: usize) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get(last * percent / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_middle_one_of_the_rounds() {
        // In the second round the machine was slow, for both.
        assert_eq!(ratio(&[20, 200, 22], &[10, 100, 10]), Some(2.0));
        assert_eq!(ratio(&[], &[]), None);
        assert_eq!(ratio(&[1], &[0]), None);
    }

    #[test]
    fn percentiles() {
        let values: Vec<_> = (1..=101).rev().collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99), percentile(&[], 50)), (51, 100, 0));
    }
}
