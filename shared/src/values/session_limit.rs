//! How many sessions an account has, and which of them make room for another.

use std::str::FromStr;

use rand::CryptoRng;

use crate::values::{
    bounded::{Bounded, OutOfBounds},
    session::SessionId,
    time::Timestamp,
};

/// How many sessions an account has at most, 1 to 1000.
///
/// Counting them takes a call of the table. Up to a limit of 19 that is done at every sign-in, and the limit holds
/// exactly. Above, it is done at one sign-in of a tenth of the limit (one of 10 at 100), drawn at random: between two
/// counts come as many sign-ins on average, so that an account has a tenth more now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimit(pub usize);

impl FromStr for SessionLimit {
    type Err = OutOfBounds<1, 1000>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: Bounded<1, 1000> = text.parse()?;
        usize::try_from(number.get()).map(Self).map_err(|_| OutOfBounds)
    }
}

/// What decides which session makes room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAge {
    /// The session's identifier.
    pub id: SessionId,
    /// The time of the last refresh, or else of the sign-in.
    pub last_used: Timestamp,
    /// Whether the session goes on.
    pub is_live: bool,
}

impl SessionAge {
    /// The one used longest ago comes first; the identifiers only make a difference within a second.
    fn order(&self) -> (Timestamp, &str) {
        (self.last_used, self.id.as_str())
    }
}

impl SessionLimit {
    /// Whether this sign-in is one at which the account's sessions are counted.
    pub fn is_count_due(self, rng: &mut impl CryptoRng) -> bool {
        let sign_ins = u32::try_from(self.0 / 10).unwrap_or(u32::MAX).max(1);
        let mut draw = [0; 4];
        rng.fill_bytes(&mut draw);
        u32::from_le_bytes(draw).is_multiple_of(sign_ins)
    }

    /// How many rows a count looks at: enough to see the limit overstepped by all the sign-ins since the last count.
    /// More than that are brought down by several counts.
    #[must_use]
    pub fn rows_to_count(self) -> usize {
        self.0 + (self.0 / 2).max(50)
    }

    /// Those of an account's sessions that make room for the one that has just begun, and may be among them: first what
    /// has ended and only waits for the TTL, then what was used longest ago. What is newer than the one that has just
    /// begun stays, so that of two sign-ins at once one makes room for the other and not each for each.
    #[must_use]
    pub fn surplus(self, mut sessions: Vec<SessionAge>, begun: &SessionAge) -> Vec<SessionAge> {
        sessions.retain(|session| session.id != begun.id);
        let surplus = (sessions.len() + 1).saturating_sub(self.0);
        sessions.retain(|session| !session.is_live || session.order() < begun.order());
        sessions.sort_by(|one, other| one.is_live.cmp(&other.is_live).then_with(|| one.order().cmp(&other.order())));
        sessions.truncate(surplus);
        sessions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{rand_core::UnwrapErr, rngs::SysRng};

    fn age(number: u8, last_used: u64, is_live: bool) -> SessionAge {
        SessionAge { id: SessionId::from_bytes([number; 16]), last_used: Timestamp(last_used), is_live }
    }

    fn surplus(limit: usize, sessions: &[SessionAge], begun: &SessionAge) -> Vec<SessionAge> {
        let mut all = sessions.to_vec();
        all.push(begun.clone());
        let surplus = SessionLimit(limit).surplus(all, begun);
        // Whether or not it is seen.
        assert_eq!(SessionLimit(limit).surplus(sessions.to_vec(), begun), surplus);
        surplus
    }

    #[test]
    fn a_limit_is_1_to_1000() {
        assert_eq!(("1".parse(), "1000".parse()), (Ok(SessionLimit(1)), Ok(SessionLimit(1000))));
        for text in ["", "0", "1001", "-1", "x"] {
            assert_eq!(text.parse::<SessionLimit>().unwrap_err().to_string(), "must be a whole number from 1 to 1000");
        }
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let sessions = [age(1, 30, true), age(2, 10, true), age(3, 20, true)];
        let begun = age(4, 40, true);
        assert_eq!(surplus(4, &sessions, &begun), []);
        assert_eq!(surplus(3, &sessions, &begun), [age(2, 10, true)]);
        assert_eq!(surplus(2, &sessions, &begun), [age(2, 10, true), age(3, 20, true)]);
        assert_eq!(surplus(1, &sessions, &begun).len(), 3);
    }

    #[test]
    fn what_has_ended_makes_room_first() {
        let sessions = [age(1, 10, true), age(2, 90, false), age(3, 20, true)];
        assert_eq!(surplus(3, &sessions, &age(4, 40, true)), [age(2, 90, false)]);
        assert_eq!(surplus(2, &sessions, &age(4, 40, true)), [age(2, 90, false), age(1, 10, true)]);
    }

    #[test]
    fn of_two_that_begin_at_once_one_stays() {
        let (one, other) = (age(1, 40, true), age(2, 40, true));
        assert_eq!(surplus(1, std::slice::from_ref(&other), &one), []);
        assert_eq!(surplus(1, std::slice::from_ref(&one), &other), [one]);
    }

    #[test]
    fn a_small_limit_is_counted_at_every_sign_in() {
        let mut rng = UnwrapErr(SysRng);
        let mut due = |limit| (0..4000).filter(|_| SessionLimit(limit).is_count_due(&mut rng)).count();
        assert_eq!((due(1), due(19)), (4000, 4000));
        // 400 on average; a run outside has a chance below one in a million.
        assert!((300..=500).contains(&due(100)));
        assert!((1..=100).contains(&due(1000)));
    }
}
