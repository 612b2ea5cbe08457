//! Points in time, as tokens and table rows write them, and spans of time, as settings do.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Whole seconds since 1970-01-01T00:00:00Z (`NumericDate` of RFC 7519 section 2, without fractions).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This point, later by `duration` (its whole seconds).
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// The time from this point to a later one; nothing, where that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(later.0.saturating_sub(self.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock before 1970 counts as 1970, at which no token is valid yet.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

/// A setting in whole seconds, from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds<const MIN: u64, const MAX: u64>(Duration);

/// The text is not a number of seconds within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSeconds<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> fmt::Display for InvalidSeconds<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be a whole number of seconds from {MIN} to {MAX}")
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Seconds<MIN, MAX> {
    type Err = InvalidSeconds<MIN, MAX>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse().ok().filter(|seconds| (MIN..=MAX).contains(seconds)).ok_or(InvalidSeconds)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl<const MIN: u64, const MAX: u64> From<Seconds<MIN, MAX>> for Duration {
    fn from(seconds: Seconds<MIN, MAX>) -> Self {
        seconds.0
    }
}

/// Where the time comes from.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Read(fn() -> Timestamp),
    Set(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that asks `read` each time; the edge passes the system's.
    #[must_use]
    pub fn new(read: fn() -> Timestamp) -> Self {
        Self(Source::Read(read))
    }

    /// A clock that stands still until it is moved, for tests; all of its clones move with it.
    #[must_use]
    pub fn stopped(now: Timestamp) -> Self {
        Self(Source::Set(Arc::new(AtomicU64::new(now.0))))
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Read(read) => read(),
            Source::Set(seconds) => Timestamp(seconds.load(Ordering::SeqCst)),
        }
    }

    /// Moves a stopped clock on; one that runs goes on by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Set(seconds) = &self.0 {
            seconds.fetch_add(by.as_secs(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_with_its_clones() {
        let clock = Clock::stopped(Timestamp(10));
        let other = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!((clock.now(), other.now()), (Timestamp(15), Timestamp(15)));
    }

    #[test]
    fn a_setting_in_seconds_has_bounds_and_names_them() {
        type Grace = Seconds<1, 300>;
        for (text, seconds) in [("1", 1), ("300", 300)] {
            assert_eq!(text.parse::<Grace>().map(Duration::from), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "0", "301", "-1", "1.5", "x", "99999999999999999999"] {
            let message = text.parse::<Grace>().unwrap_err().to_string();
            assert_eq!(message, "must be a whole number of seconds from 1 to 300");
        }
    }
}
