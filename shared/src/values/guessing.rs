//! How fast, and how often, passwords may be guessed.
//!
//! Three counts bound guesses. One is for an account and an address together: its first failures cost nothing, and each
//! further one makes that address wait twice as long as the one before. The second, the ceiling, is for an account over
//! all addresses, so that many addresses don't add up. The third, the budget, is for an address over all accounts, so
//! that many accounts don't add up either. An address from which an account's owner signed in lately is known for that
//! account, and neither ceiling nor budget keeps the owner out there.
//!
//! A guess is counted for the account before the password is looked at; the budget counts failures. This module decides,
//! and knows nothing of where counts are kept.
//!
//! # What a name that exists may show
//! Nobody learns from an answer whether a name exists. An address can be known only for a name that does, so nothing
//! that a known address is spared may show in an answer to anything but the right password: its failures count at the
//! ceiling as all others do; where it alone is heard, a wrong password gets the answer that everybody gets; and what is
//! guessed then is counted apart, so that no later answer depends on it. What does show there is time: a known address
//! waits for a verification where others are refused at once. That tells nothing to others than those who share an
//! address with somebody who signs in from it.

mod address;
mod budget;

use std::{fmt, time::Duration};

pub use self::{
    address::Address,
    budget::{FailuresPerAddress, Network},
};
use crate::values::time::Timestamp;

/// Failures from one address that cost no time.
pub const FREE_FAILURES: u64 = 5;
/// The longest that an address has to wait.
pub const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// Failures from an address count until it has not guessed for so long.
pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);
/// An address is known for so long after a sign-in from it.
pub const KNOWN_FOR: Duration = Duration::from_hours(90 * 24);
/// The length of a [`Window`].
pub const WINDOW: Duration = Duration::from_mins(30);
/// Guesses at one account in one [`Window`], over all addresses. Sixty minutes touch at most three windows, and so see
/// at most 99 guesses, but for those from known addresses.
pub const GUESSES_PER_WINDOW: u64 = 33;

/// How long an address waits after this many failures in a row: not at all for the first five, then 1, 2, 4, …
/// seconds, up to 15 minutes.
#[must_use]
pub fn delay(failures: u64) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE_FAILURES + 1) else { return Duration::ZERO };
    let doublings = u32::try_from(doublings).unwrap_or(u32::MAX);
    let seconds = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(LONGEST_DELAY)
}

/// Guesses that are counted together, and the delay that they have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Guesses since the last sign-in; each counts as a failure until its password turns out to be right.
    pub failures: u64,
    /// The time until which no further guess is taken; without a delay, the time of the last guess.
    pub blocked_until: Timestamp,
}

impl Tally {
    /// No guess.
    pub const NEW: Self = Self { failures: 0, blocked_until: Timestamp(0) };

    /// For how long no guess is taken; `None` where one is.
    ///
    /// Never longer than the delay itself: the row may be of an instance whose clock is ahead, or of a second that has
    /// begun since `now` was read.
    #[must_use]
    pub fn wait(self, now: Timestamp) -> Option<Duration> {
        let left = Duration::from_secs(self.blocked_until.0.saturating_sub(now.0)).min(delay(self.failures));
        (!left.is_zero()).then_some(left)
    }

    /// The tally after one more guess.
    #[must_use]
    pub fn guessed(self, now: Timestamp) -> Self {
        let forgotten = self.blocked_until.after(FORGOTTEN_AFTER) <= now;
        let failures = if forgotten { 1 } else { self.failures.saturating_add(1) };
        Self { failures, blocked_until: now.after(delay(failures)) }
    }
}

/// The counts for an account and an address together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The guesses of which an answer may tell.
    pub tally: Tally,
    /// The guesses that were heard from a known address alone, while a limit kept all others out.
    pub past_limits: Tally,
    /// The time until which the address is known for the account; `None` where nobody has signed in from it.
    pub known_until: Option<Timestamp>,
}

impl Pair {
    /// A pair without a guess or a sign-in.
    pub const NEW: Self = Self { tally: Tally::NEW, past_limits: Tally::NEW, known_until: None };

    /// Whether the account's owner signed in from the address lately.
    #[must_use]
    pub fn is_known(&self, now: Timestamp) -> bool {
        self.known_until.is_some_and(|until| until > now)
    }

    /// The pair after one more guess, if the guess is taken. `closed` is the limit of the account or of the address that
    /// has been reached: beyond it only a known address is heard.
    ///
    /// # Errors
    /// [`Throttled`] by the limit that holds up longer, of those that don't tell a known address from others.
    pub fn guess(&self, closed: Option<Throttled>, now: Timestamp) -> Result<Self, Throttled> {
        let delay = self.tally.wait(now).map(|wait| Throttled { limit: Limit::Address, wait });
        match (delay, closed) {
            (None, None) => Ok(Self { tally: self.tally.guessed(now), ..*self }),
            (None, Some(_)) if self.is_known(now) && self.past_limits.wait(now).is_none() => {
                Ok(Self { past_limits: self.past_limits.guessed(now), ..*self })
            }
            (Some(delay), Some(closed)) if delay.wait > closed.wait => Err(delay),
            (_, Some(throttled)) | (Some(throttled), None) => Err(throttled),
        }
    }

    /// A pair whose last guess was right.
    #[must_use]
    pub fn signed_in(now: Timestamp) -> Self {
        let tally = Tally { failures: 0, blocked_until: now };
        Self { tally, past_limits: Tally::NEW, known_until: Some(now.after(KNOWN_FOR)) }
    }

    /// The time from which the pair is as good as [`Pair::NEW`], so that its row may go.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        let blocked_until = self.tally.blocked_until.max(self.past_limits.blocked_until);
        self.known_until.unwrap_or(Timestamp(0)).max(blocked_until).after(FORGOTTEN_AFTER)
    }
}

/// The half-hour that a guess at an account counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(u64);

impl Window {
    /// The window that this point lies in.
    #[must_use]
    pub fn of(now: Timestamp) -> Self {
        Self(now.0 / WINDOW.as_secs())
    }

    /// The window's number, counted from 1970.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// When the next window begins.
    #[must_use]
    pub fn ends(self) -> Timestamp {
        Timestamp(self.0.saturating_add(1).saturating_mul(WINDOW.as_secs()))
    }

    /// How long the window still lasts.
    #[must_use]
    pub fn left(self, now: Timestamp) -> Duration {
        Duration::from_secs(self.ends().0.saturating_sub(now.0))
    }

    /// The refusal until the window ends.
    #[must_use]
    pub fn refusal(self, limit: Limit, now: Timestamp) -> Throttled {
        Throttled { limit, wait: self.left(now) }
    }
}

/// A guess that isn't taken. Its password is not looked at, or was, and wasn't right: the answer is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many guesses for the {limit}")]
pub struct Throttled {
    /// The limit that was reached.
    pub limit: Limit,
    /// After how long the next guess may be taken.
    pub wait: Duration,
}

/// The count that has reached its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The count of an account and an address together.
    Address,
    /// The count of an account over all addresses.
    Account,
    /// The budget of an address over all accounts.
    Client,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::Client => "client",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn later(seconds: u64) -> Timestamp {
        Timestamp(NOW.0 + seconds)
    }

    /// A tally after this many guesses, each made as soon as it was taken, and when that was.
    fn guess(times: u64) -> (Tally, Timestamp) {
        (0..times).fold((Tally::NEW, NOW), |(tally, _), _| {
            let now = tally.blocked_until.max(NOW);
            (tally.guessed(now), now)
        })
    }

    /// A pair with this tally, of an address that is known for another hour or never was.
    fn pair(tally: Tally, is_known: bool) -> Pair {
        Pair { tally, known_until: is_known.then(|| later(3600)), ..Pair::NEW }
    }

    #[test]
    fn five_failures_are_free_and_then_the_delay_doubles() {
        let seconds: Vec<u64> = (0..=18).map(|failures| delay(failures).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(delay(u64::MAX), LONGEST_DELAY);
    }

    #[test]
    fn an_address_waits_as_long_as_the_law_says() {
        assert_eq!(guess(5).0.wait(NOW), None);
        let (tally, at) = guess(8);
        assert_eq!((at, tally.failures), (later(3), 8));
        assert_eq!(tally.wait(at), Some(Duration::from_secs(4)));
        assert_eq!(tally.wait(later(6)), Some(Duration::from_secs(1)));
        assert_eq!(tally.wait(later(7)), None);
    }

    #[test]
    fn a_clock_that_is_behind_waits_no_longer_than_the_delay() {
        assert_eq!(guess(5).0.wait(Timestamp(NOW.0 - 1)), None);
        assert_eq!(Pair::signed_in(NOW).tally.wait(Timestamp(NOW.0 - 1)), None);
        let (tally, at) = guess(8);
        assert_eq!(tally.wait(Timestamp(at.0 - 60)), Some(Duration::from_secs(4)));
    }

    #[test]
    fn one_address_gets_18_guesses_in_its_first_hour() {
        assert!(guess(18).1 < later(3600));
        assert!(guess(19).1 >= later(3600));
    }

    #[test]
    fn failures_are_forgotten_after_a_day_without_one() {
        let (tally, _) = guess(20);
        let day = tally.blocked_until.after(FORGOTTEN_AFTER);
        assert_eq!(tally.guessed(Timestamp(day.0 - 1)).failures, 21);
        assert_eq!(tally.guessed(day).failures, 1);
        assert_eq!(pair(tally, false).expires(), day);
    }

    #[test]
    fn a_sign_in_forgets_failures_and_knows_the_address_for_90_days() {
        let pair = Pair::signed_in(NOW);
        assert_eq!((pair.tally.failures, pair.past_limits, pair.tally.wait(NOW)), (0, Tally::NEW, None));
        assert!(pair.is_known(later(90 * 86_400 - 1)));
        assert!(!pair.is_known(later(90 * 86_400)));
        assert!(!Pair::NEW.is_known(NOW));
        // Later failures don't make it unknown.
        assert!(pair.guess(None, NOW).unwrap().is_known(NOW));
        assert!(pair.expires() > later(90 * 86_400));
    }

    #[test]
    fn beyond_a_limit_a_known_address_alone_is_heard() {
        let closed = Throttled { limit: Limit::Account, wait: Duration::from_mins(10) };
        assert_eq!(pair(Tally::NEW, false).guess(Some(closed), NOW), Err(closed));
        let mut known = pair(Tally::NEW, true);
        for failures in 1..=6 {
            known = known.guess(Some(closed), NOW).unwrap();
            assert_eq!((known.past_limits.failures, known.tally), (failures, Tally::NEW));
        }
        // It waits then, and whoever asks isn't told for how long.
        assert_eq!(known.guess(Some(closed), NOW), Err(closed));
        assert_eq!(known.guess(Some(closed), later(1)).unwrap().past_limits.failures, 7);
    }

    #[test]
    fn of_two_limits_the_longer_one_answers() {
        let (tally, at) = guess(8);
        for is_known in [false, true] {
            for (seconds, longer) in [(3, Limit::Address), (4, Limit::Client), (5, Limit::Client)] {
                let closed = Throttled { limit: Limit::Client, wait: Duration::from_secs(seconds) };
                let refused = pair(tally, is_known).guess(Some(closed), at).unwrap_err();
                assert_eq!((refused.limit, refused.wait.as_secs()), (longer, seconds.max(4)));
            }
        }
    }

    #[test]
    fn a_window_ends_where_the_next_begins() {
        let window = Window::of(NOW);
        assert_eq!(window.left(NOW), WINDOW);
        assert_eq!(Window::of(later(1799)), window);
        assert_eq!(window.left(later(1799)), Duration::from_secs(1));
        assert_eq!(Window::of(window.ends()).number(), window.number() + 1);
    }

    proptest! {
        #[test]
        fn delays_only_grow_and_end_at_the_longest(failures in 0..200_u64) {
            prop_assert!(delay(failures) <= delay(failures + 1));
            prop_assert!(delay(failures) <= LONGEST_DELAY);
        }

        #[test]
        fn a_row_may_go_once_it_says_nothing(
            failures in 0..40_u64,
            blocked in [0..2_000_u64, 0..2_000_u64],
            known in proptest::option::of(0..2_000_u64),
            after in 0..200_000_u64,
        ) {
            let [tally, past_limits] = blocked.map(|blocked| Tally { failures, blocked_until: later(blocked) });
            let pair = Pair { tally, past_limits, known_until: known.map(later) };
            let now = pair.expires().after(Duration::from_secs(after));
            prop_assert_eq!(pair.is_known(now), Pair::NEW.is_known(now));
            for (tally, new) in [(pair.tally, Pair::NEW.tally), (pair.past_limits, Pair::NEW.past_limits)] {
                prop_assert_eq!(tally.wait(now), new.wait(now));
                prop_assert_eq!(tally.guessed(now).failures, new.guessed(now).failures);
            }
        }

        /// Only a name that exists has a known address: what a wrong password is answered, and all that later answers
        /// depend on, is the same without one.
        #[test]
        fn a_wrong_password_never_tells_a_known_address(
            failures in [0..40_u64, 0..40_u64],
            blocked in [0..2_000_u64, 0..2_000_u64],
            closed in proptest::option::of(1..1_800_u64),
            at in 0..2_000_u64,
        ) {
            let tally = Tally { failures: failures[0], blocked_until: later(blocked[0]) };
            let past_limits = Tally { failures: failures[1], blocked_until: later(blocked[1]) };
            let known = Pair { past_limits, ..pair(tally, true) };
            let closed = closed.map(|wait| Throttled { limit: Limit::Account, wait: Duration::from_secs(wait) });
            let now = later(at);
            let (of_known, of_others) = (known.guess(closed, now), pair(tally, false).guess(closed, now));
            // A guess that was taken beyond a limit is answered with that limit where it is wrong.
            prop_assert_eq!(of_known.err().or(closed.filter(|_| of_known.is_ok())), of_others.err());
            prop_assert_eq!(of_known.unwrap_or(known).tally, of_others.unwrap_or(pair(tally, false)).tally);
        }

        /// Whatever windows fill when, sixty minutes touch three of them at most.
        #[test]
        fn sixty_minutes_see_at_most_100_guesses(begin in 0..4_000_000_000_u64) {
            let (first, last) = (Window::of(Timestamp(begin)), Window::of(Timestamp(begin + 3600)));
            prop_assert!((last.number() - first.number() + 1) * GUESSES_PER_WINDOW <= 100);
        }
    }
}
