//! The rows that count guesses for an account and an address together; [`crate::guessing`] says what the counts mean.

use aws_sdk_dynamodb::{operation::update_item::builders::UpdateItemFluentBuilder, types::ReturnValue};
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow,
    guesses::{Guess, key},
    requests::{self, Write},
    rows::{self, Item, as_number, as_text, number, text, timestamp, values},
    unavailable,
};
use crate::values::{
    guessing::{FORGOTTEN_AFTER, FREE_FAILURES, Pair, Tally},
    time::Timestamp,
};

/// The row of an account and an address together. Its `pk` is `ATTEMPT#` and a digest of `pair`, the username in lower
/// case and the address, its `sk` is `ATTEMPT`.
#[derive(Serialize, Deserialize)]
struct PairRow {
    /// N: guesses since the last sign-in.
    #[serde(deserialize_with = "as_number::count")]
    failures: u64,
    /// N: seconds since 1970.
    #[serde(deserialize_with = "as_number::time")]
    blocked_until: Timestamp,
    /// N: guesses that were heard from a known address alone, which `failures` leaves out; absent where there are none.
    #[serde(default, deserialize_with = "as_number::count")]
    past_limits: u64,
    /// N: seconds since 1970: `blocked_until` for those.
    #[serde(default, deserialize_with = "as_number::time")]
    past_limits_until: Timestamp,
    /// N: seconds since 1970; absent where nobody has signed in from the address.
    #[serde(default, deserialize_with = "as_number::optional_time", skip_serializing_if = "Option::is_none")]
    known_until: Option<Timestamp>,
    /// S: differs after every write: what a later one compares.
    #[serde(deserialize_with = "as_text::string")]
    last_guess: String,
    /// N: seconds since 1970: when the row says nothing any more.
    #[serde(deserialize_with = "as_number::time")]
    expires_at: Timestamp,
}

impl PairRow {
    fn new(pair: &Pair, last_guess: String) -> Self {
        let Pair { tally, past_limits, known_until } = *pair;
        Self {
            failures: tally.failures,
            blocked_until: tally.blocked_until,
            past_limits: past_limits.failures,
            past_limits_until: past_limits.blocked_until,
            known_until,
            last_guess,
            expires_at: pair.expires(),
        }
    }

    fn pair(&self) -> Pair {
        Pair {
            tally: Tally { failures: self.failures, blocked_until: self.blocked_until },
            past_limits: Tally { failures: self.past_limits, blocked_until: self.past_limits_until },
            known_until: self.known_until,
        }
    }
}

/// A pair as its row was seen, without the guess that is being counted.
pub(super) struct SeenPair {
    pub(super) pair: Pair,
    /// Whether the row holds that guess all the same.
    pub(super) holds_guess: bool,
    /// What the row has for `last_guess`; `None`: there is no row.
    last_guess: Option<String>,
}

impl SeenPair {
    /// The pair of a row that was seen when the guess had been counted in it or not.
    fn of(row: Option<Item>, guess: &Guess, was_counted: bool) -> Result<Self, UnreadableRow> {
        let Some(row) = row else { return Ok(Self { pair: Pair::NEW, holds_guess: false, last_guess: None }) };
        let row = rows::read(row, PairRow::deserialize)?;
        // The write had happened, its answer was lost, and the SDK has repeated it.
        let holds_guess = was_counted || row.last_guess == guess.id;
        let mut pair = row.pair();
        if holds_guess {
            pair.tally.failures = pair.tally.failures.saturating_sub(1);
        }
        Ok(Self { pair, holds_guess, last_guess: Some(row.last_guess) })
    }
}

/// What became of a write to a pair's row.
pub(super) enum PairWrite {
    Done,
    /// The row isn't as it was expected to be, but so.
    Other(SeenPair),
}

impl Store {
    /// Counts a guess from an address that is known for its account and that no delay is near, before anything is known
    /// of either: the usual sign-in waits for nothing else. Of any other pair this only reads the row.
    ///
    /// What it does is what [`Pair::guess`] would, where no limit has been reached.
    pub(super) async fn count_where_known(&self, guess: &Guess) -> Result<SeenPair, StoreError> {
        let forgotten = Timestamp(guess.made.0.saturating_sub(FORGOTTEN_AFTER.as_secs()));
        let update = self
            .update_count(pair_key(guess))
            .update_expression("SET failures = failures + :one, blocked_until = :now, last_guess = :guess")
            .condition_expression(
                "known_until > :now AND last_guess <> :guess AND \
                 (failures = :none OR (failures < :free AND blocked_until > :forgotten))",
            )
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":free", number(FREE_FAILURES))
            .expression_attribute_values(":now", timestamp(guess.made))
            .expression_attribute_values(":forgotten", timestamp(forgotten))
            .expression_attribute_values(":guess", text(&guess.id))
            .return_values(ReturnValue::AllOld);
        match requests::update_or_find(update).await? {
            Write::Done(before) => {
                let before = SeenPair::of(before.attributes, guess, false)?;
                Ok(SeenPair { holds_guess: true, last_guess: Some(guess.id.clone()), ..before })
            }
            Write::Refused(row) => Ok(SeenPair::of(row, guess, false)?),
        }
    }

    /// Writes the guess's pair, whose row has to be as it was seen.
    pub(super) async fn write_pair(
        &self,
        guess: &Guess,
        seen: &SeenPair,
        pair: &Pair,
    ) -> Result<PairWrite, StoreError> {
        // Another than before, so that whoever has read the row and not yet written it reads it anew.
        let id = if seen.holds_guess { format!("{}.again", guess.id) } else { guess.id.clone() };
        let row = PairRow::new(pair, id);
        let update = self.set_pair(guess, &row)?;
        let update = match &seen.last_guess {
            None => update.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => {
                update.condition_expression("last_guess = :seen").expression_attribute_values(":seen", text(seen))
            }
        };
        let Write::Refused(other) = requests::update_or_find(update).await? else { return Ok(PairWrite::Done) };
        let other = SeenPair::of(other, guess, seen.holds_guess)?;
        // As in `SeenPair::of`.
        let is_ours = other.last_guess.as_deref() == Some(&*row.last_guess);
        Ok(if is_ours { PairWrite::Done } else { PairWrite::Other(other) })
    }

    /// Makes the guess's pair what it was before, unless another guess came between: that has counted on from this one.
    pub(super) async fn take_back(&self, guess: &Guess, before: &SeenPair) -> Result<(), StoreError> {
        let written = SeenPair { pair: before.pair, holds_guess: true, last_guess: Some(guess.id.clone()) };
        self.write_pair(guess, &written, &before.pair).await.map(drop)
    }

    /// Writes the pair of a guess that was right, whatever its row was.
    pub(super) async fn know_pair(&self, guess: &Guess, pair: &Pair) -> Result<(), StoreError> {
        // Another than before, as for every write.
        let row = PairRow::new(pair, format!("{}.right", guess.id));
        self.set_pair(guess, &row)?.send().await.map_err(unavailable)?;
        Ok(())
    }

    /// Puts these values into the row of the guess's pair.
    fn set_pair(&self, guess: &Guess, row: &PairRow) -> Result<UpdateItemFluentBuilder, StoreError> {
        let values = values(row)?;
        let mut names: Vec<&str> = values.keys().map(|name| name.trim_start_matches(':')).collect();
        names.sort_unstable();
        let sets: Vec<String> = names.iter().map(|name| format!("{name} = :{name}")).collect();
        Ok(self
            .update_count(pair_key(guess))
            .update_expression(format!("SET {}", sets.join(", ")))
            .set_expression_attribute_values(Some(values)))
    }
}

/// The key of the row of the guess's account and address together.
fn pair_key(guess: &Guess) -> Item {
    key("pair", &guess.username, guess.address)
}
