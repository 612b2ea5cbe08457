//! How fast, and how often, the password of an account may be guessed.
//!
//! Two counts bound guesses. One is for an account and an address together: its first failures cost nothing, and each
//! further one makes that address wait twice as long as the one before. The other, the ceiling, is for an account over
//! all addresses, so that many addresses don't add up; an address from which its owner signed in lately is known, and
//! isn't held up by it.
//!
//! A guess is counted before the password is looked at. This module decides, and knows nothing of where counts are
//! kept.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
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
/// Guesses at one account in one [`Window`], over all addresses that aren't known. Sixty minutes touch at most three
/// windows, and so see at most 99 guesses.
pub const GUESSES_PER_WINDOW: u64 = 33;

/// Where a guess comes from, as far as guesses are counted together: an IPv4 address, or the /64 of an IPv6 address,
/// since whoever has one address of it has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    V4(Ipv4Addr),
    /// The first address of the /64.
    V6(Ipv6Addr),
    /// All that are no address: better one count for them than none.
    Unreadable,
}

impl Address {
    /// What to count a client's address under; an IPv4 address in IPv6 (`::ffff:192.0.2.1`) is itself.
    #[must_use]
    pub fn of(client: Option<&str>) -> Self {
        let address = client.and_then(|text| text.parse::<IpAddr>().ok());
        Self(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Kind::V4(address),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Kind::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            None => Kind::Unreadable,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::V4(address) => write!(f, "{address}"),
            Kind::V6(network) => write!(f, "{network}/64"),
            Kind::Unreadable => f.write_str("unreadable"),
        }
    }
}

/// How long an address waits after this many failures in a row: not at all for the first five, then 1, 2, 4, …
/// seconds, up to 15 minutes.
#[must_use]
pub fn delay(failures: u64) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE_FAILURES + 1) else { return Duration::ZERO };
    let doublings = u32::try_from(doublings).unwrap_or(u32::MAX);
    let seconds = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(LONGEST_DELAY)
}

/// What is counted for an account and an address together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Guesses since the last sign-in; each counts as a failure until its password turns out to be right.
    pub failures: u64,
    /// Until when no further guess is taken. Where nothing delays it, when the last guess was.
    pub blocked_until: Timestamp,
    /// Until when the address is known for the account; `None` where nobody has signed in from it.
    pub known_until: Option<Timestamp>,
}

impl Pair {
    /// A pair of which nothing has been heard.
    pub const NEW: Self = Self { failures: 0, blocked_until: Timestamp(0), known_until: None };

    /// For how long no guess is taken; `None` where one is.
    ///
    /// Never longer than the delay itself: the row may be of an instance whose clock is ahead, or of a second that has
    /// begun since `now` was read.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let left = Duration::from_secs(self.blocked_until.0.saturating_sub(now.0)).min(delay(self.failures));
        (!left.is_zero()).then_some(left)
    }

    /// Whether the account's owner signed in from the address lately.
    #[must_use]
    pub fn is_known(&self, now: Timestamp) -> bool {
        self.known_until.is_some_and(|until| until > now)
    }

    /// The pair after one more guess.
    #[must_use]
    pub fn guessed(&self, now: Timestamp) -> Self {
        let forgotten = self.blocked_until.after(FORGOTTEN_AFTER) <= now;
        let failures = if forgotten { 1 } else { self.failures.saturating_add(1) };
        Self { failures, blocked_until: now.after(delay(failures)), ..*self }
    }

    /// A pair whose last guess was right.
    #[must_use]
    pub fn signed_in(now: Timestamp) -> Self {
        Self { failures: 0, blocked_until: now, known_until: Some(now.after(KNOWN_FOR)) }
    }

    /// From when on the pair says no more than [`Pair::NEW`].
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.known_until.unwrap_or(Timestamp(0)).max(self.blocked_until).after(FORGOTTEN_AFTER)
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
}

/// A guess that isn't taken: its password is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many guesses for the {limit}")]
pub struct Throttled {
    /// What there were too many for.
    pub limit: Limit,
    /// After how long the next guess may be taken.
    pub wait: Duration,
}

/// Which of the two counts has reached its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// That of an account and an address together.
    Address,
    /// That of an account over all addresses that aren't known.
    Account,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Account => "account",
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

    /// A pair after this many guesses, each made as soon as it was taken, and when that was.
    fn guess(times: u64) -> (Pair, Timestamp) {
        (0..times).fold((Pair::NEW, NOW), |(pair, _), _| {
            let now = pair.blocked_until.max(NOW);
            (pair.guessed(now), now)
        })
    }

    #[test]
    fn addresses_count_whole_in_ipv4_and_by_64_bits_in_ipv6() {
        for (text, key) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:201", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:0DB8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(Address::of(Some(text)).to_string(), key, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_shares_one_count() {
        for text in [None, Some(""), Some("192.0.2.1, 192.0.2.2"), Some("192.0.2.1:80"), Some("fe80::1%eth0")] {
            assert_eq!(Address::of(text).to_string(), "unreadable", "{text:?}");
        }
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
        let (pair, at) = guess(8);
        assert_eq!((at, pair.failures), (later(3), 8));
        assert_eq!(pair.wait(at), Some(Duration::from_secs(4)));
        assert_eq!(pair.wait(later(6)), Some(Duration::from_secs(1)));
        assert_eq!(pair.wait(later(7)), None);
    }

    #[test]
    fn a_clock_that_is_behind_waits_no_longer_than_the_delay() {
        assert_eq!(guess(5).0.wait(Timestamp(NOW.0 - 1)), None);
        assert_eq!(Pair::signed_in(NOW).wait(Timestamp(NOW.0 - 1)), None);
        let (pair, at) = guess(8);
        assert_eq!(pair.wait(Timestamp(at.0 - 60)), Some(Duration::from_secs(4)));
    }

    #[test]
    fn one_address_gets_18_guesses_in_its_first_hour() {
        assert!(guess(18).1 < later(3600));
        assert!(guess(19).1 >= later(3600));
    }

    #[test]
    fn failures_are_forgotten_after_a_day_without_one() {
        let (pair, _) = guess(20);
        let day = pair.blocked_until.after(FORGOTTEN_AFTER);
        assert_eq!(pair.guessed(Timestamp(day.0 - 1)).failures, 21);
        assert_eq!(pair.guessed(day).failures, 1);
        assert_eq!(pair.expires(), day);
    }

    #[test]
    fn a_sign_in_forgets_failures_and_knows_the_address_for_90_days() {
        let pair = Pair::signed_in(NOW);
        assert_eq!((pair.failures, pair.wait(NOW)), (0, None));
        assert!(pair.is_known(later(90 * 86_400 - 1)));
        assert!(!pair.is_known(later(90 * 86_400)));
        assert!(!guess(3).0.is_known(NOW));
        // Later failures don't make it unknown.
        assert!(pair.guessed(NOW).is_known(NOW));
        assert!(pair.expires() > later(90 * 86_400));
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
        fn any_text_is_counted_somewhere(text in ".*") {
            prop_assert!(!Address::of(Some(&text)).to_string().is_empty());
        }

        #[test]
        fn all_of_a_64_is_one_address_and_the_next_another(network: u64, one: u64, other: u64) {
            let address = |network: u64, host: u64| {
                let bits = (u128::from(network) << 64) | u128::from(host);
                Address::of(Some(&Ipv6Addr::from_bits(bits).to_string()))
            };
            // `::ffff:0:0/96` is IPv4.
            prop_assume!(network != 0 && network != u64::MAX);
            prop_assert_eq!(address(network, one), address(network, other));
            prop_assert_ne!(address(network, one), address(network + 1, one));
        }

        #[test]
        fn delays_only_grow_and_end_at_the_longest(failures in 0..200_u64) {
            prop_assert!(delay(failures) <= delay(failures + 1));
            prop_assert!(delay(failures) <= LONGEST_DELAY);
        }

        #[test]
        fn a_row_may_go_once_it_says_nothing(
            failures in 0..40_u64,
            blocked in 0..2_000_u64,
            known in proptest::option::of(0..2_000_u64),
            after in 0..200_000_u64,
        ) {
            let pair = Pair { failures, blocked_until: later(blocked), known_until: known.map(later) };
            let now = pair.expires().after(Duration::from_secs(after));
            prop_assert_eq!(pair.wait(now), Pair::NEW.wait(now));
            prop_assert_eq!(pair.is_known(now), Pair::NEW.is_known(now));
            prop_assert_eq!(pair.guessed(now).failures, Pair::NEW.guessed(now).failures);
        }

        /// Whatever windows fill when, sixty minutes touch three of them at most.
        #[test]
        fn sixty_minutes_see_at_most_100_guesses(begin in 0..4_000_000_000_u64) {
            let (first, last) = (Window::of(Timestamp(begin)), Window::of(Timestamp(begin + 3600)));
            prop_assert!((last.number() - first.number() + 1) * GUESSES_PER_WINDOW <= 100);
        }
    }
}
