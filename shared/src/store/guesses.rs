//! The rows that count password guesses; [`crate::guessing`] says what the counts mean.
//!
//! The keys are digests, because people type passwords into the wrong field: the table and its backups shall not list
//! them. What is counted is read beside the account ([`Store::look_up`]) and written by `UpdateItem`, so that who counts
//! may not list, put or delete.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow,
    pairs::{PairWrite, SeenPair},
    requests,
    rows::{self, Item, as_number, as_set, number, text, values},
    unavailable,
};
use crate::values::{
    guessing::{Address, FailuresPerAddress, GUESSES_PER_WINDOW, Limit, Network, Pair, Throttled, Window},
    time::Timestamp,
    username::Username,
};

/// The sort key of these rows.
const ATTEMPT: &str = "ATTEMPT";
/// How often a guess is decided anew because another one of the same pair came between. Each of those brings the pair
/// nearer to its first delay, so more rounds would find it blocked anyway.
const ROUNDS: usize = 8;
/// The longest that counting one guess takes, all calls together.
pub const COUNTING_TIMEOUT: Duration = Duration::from_secs(5);

/// The counts that a guess has to pass, as they were read.
pub struct GuessCounts {
    guess: Guess,
    /// The pair, which holds the guess already where its address is known and near no delay.
    pair: SeenPair,
    /// The guesses at the account in this window.
    guesses: u64,
    /// The failures from the address in this window, with those from the networks that it is in.
    failures: Vec<(Network, u64)>,
}

impl GuessCounts {
    /// The counts for a guess, from its pair and the row of the account's window.
    pub(super) fn new(
        guess: Guess,
        pair: SeenPair,
        ceiling: Option<Item>,
        failures: Vec<(Network, u64)>,
    ) -> Result<Self, UnreadableRow> {
        let ceiling = ceiling.map(|row| rows::read(row, CeilingRow::deserialize)).transpose()?;
        let guesses = ceiling.map_or(0, |row| row.guesses.len() as u64);
        Ok(Self { guess, pair, guesses, failures })
    }

    /// The limit that keeps all but known addresses out, where one has been reached.
    fn closed(&self, per_address: FailuresPerAddress) -> Option<Throttled> {
        let is_spent = self.failures.iter().any(|(network, failures)| *failures >= network.budget(per_address));
        let is_full = self.guesses >= GUESSES_PER_WINDOW;
        let limit = is_spent.then_some(Limit::Client).or(is_full.then_some(Limit::Account));
        limit.map(|limit| self.guess.window().refusal(limit, self.guess.made))
    }
}

/// A guess that was counted, and may be made.
#[derive(Debug)]
pub struct Guess {
    pub(super) username: Username,
    pub(super) address: Address,
    pub(super) id: String,
    pub(super) made: Timestamp,
    /// Whether the account's window holds the guess already: that of a known address joins it once it was wrong.
    is_at_ceiling: bool,
    /// The limit that keeps all but known addresses out. What it says is what whoever guesses wrong is told.
    closed: Option<Throttled>,
}

impl Guess {
    /// A guess that isn't counted yet.
    pub(super) fn new(username: Username, address: Address, id: String, made: Timestamp) -> Self {
        Self { username, address, id, made, is_at_ceiling: false, closed: None }
    }

    pub(super) fn window(&self) -> Window {
        Window::of(self.made)
    }
}

/// The row of an account and a half-hour in which somebody has guessed, be it from a known address and wrong. Its `pk` is
/// `ATTEMPT#` and a digest of `ceiling`, the username in lower case and the half-hour's number, its `sk` is `ATTEMPT`.
#[derive(Serialize, Deserialize)]
struct CeilingRow {
    /// SS: an identifier for each guess; absent where there is none.
    #[serde(default, serialize_with = "serde_dynamo::string_set::serialize", deserialize_with = "as_set::strings")]
    guesses: Vec<String>,
    /// N: seconds since 1970: the end of the half-hour.
    #[serde(deserialize_with = "as_number::time")]
    expires_at: Timestamp,
}

impl CeilingRow {
    /// The row with this one guess.
    fn of(guess: &Guess) -> Self {
        Self { guesses: vec![guess.id.clone()], expires_at: guess.window().ends() }
    }
}

impl Store {
    /// Counts a guess at an account's password, before the password is looked at; whether there is such an account
    /// makes no difference. A guess that isn't taken isn't counted.
    ///
    /// An answer that was lost, so that the SDK repeats a call, makes a guess count once more at the most.
    ///
    /// # Errors
    /// [`StoreError`] where it can't be counted; then it must not be made.
    pub async fn count_guess(
        &self,
        counts: GuessCounts,
        per_address: FailuresPerAddress,
    ) -> Result<Result<Guess, Throttled>, StoreError> {
        let closed = counts.closed(per_address);
        let guess = Guess { closed, ..counts.guess };
        if closed.is_none() && counts.pair.holds_guess {
            return Ok(Ok(guess));
        }
        tokio::time::timeout(COUNTING_TIMEOUT, Box::pin(self.count(guess, counts.pair))).await.map_err(unavailable)?
    }

    async fn count(&self, mut guess: Guess, mut seen: SeenPair) -> Result<Result<Guess, Throttled>, StoreError> {
        let now = guess.made;
        for _ in 0..ROUNDS {
            let (pair, refusal) = match seen.pair.guess(guess.closed, now) {
                Ok(guessed) => (guessed, None),
                // It was counted before the limit was known, and is taken back.
                Err(throttled) if seen.holds_guess => (seen.pair, Some(throttled)),
                Err(throttled) => return self.refuse(guess, throttled).await,
            };
            let joins = refusal.is_none() && !guess.is_at_ceiling && !seen.pair.is_known(now);
            let ceiling = async { if joins { self.count_at_ceiling(&guess).await } else { Ok(true) } };
            let (fits, written) = tokio::join!(ceiling, self.write_pair(&guess, &seen, &pair));
            let (fits, written) = (fits?, written?);
            if !fits {
                if let PairWrite::Done = written {
                    self.take_back(&guess, &seen).await?;
                }
                return Ok(Err(guess.window().refusal(Limit::Account, now)));
            }
            guess.is_at_ceiling |= joins;
            match written {
                PairWrite::Done => return Ok(refusal.map_or(Ok(guess), Err)),
                PairWrite::Other(other) => seen = other,
            }
        }
        let throttled = guess.closed.unwrap_or(Throttled { limit: Limit::Address, wait: Duration::from_secs(1) });
        self.refuse(guess, throttled).await
    }

    /// Notes that a guess was right: it is no failure, those before it are forgotten, and its address is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a row can't be written. Then the guess stays counted.
    pub async fn guess_was_right(&self, guess: &Guess, now: Timestamp) -> Result<(), StoreError> {
        let pair = Pair::signed_in(now);
        let (known, given_back) = tokio::join!(self.know_pair(guess, &pair), self.give_back(guess));
        known.and(given_back)
    }

    /// Counts a guess that was wrong as a failure of its address, and of its account where it isn't counted there yet.
    /// Gives the network whose budget it was the last one of.
    ///
    /// A guess of a known address that was heard beyond a limit, or finds the account's window full, is refused by that
    /// limit, as it would have been before it was made from any other address, and is no failure.
    ///
    /// # Errors
    /// [`StoreError`] where it can't be counted.
    pub async fn guess_was_wrong(
        &self,
        guess: &Guess,
        per_address: FailuresPerAddress,
    ) -> Result<Result<Option<Network>, Throttled>, StoreError> {
        if let Some(throttled) = guess.closed {
            return Ok(Err(throttled));
        }
        if !guess.is_at_ceiling && !self.count_at_ceiling(guess).await? {
            return Ok(Err(guess.window().refusal(Limit::Account, guess.made)));
        }
        self.count_failure(guess.address, guess.window(), per_address).await.map(Ok)
    }

    /// Counts the guess in its account's window. `false`: the window is full.
    ///
    /// The guess joins a set, so that it counts once however often the call is made.
    async fn count_at_ceiling(&self, guess: &Guess) -> Result<bool, StoreError> {
        let update = self
            .update_count(ceiling_key(&guess.username, guess.window()))
            .update_expression("ADD guesses :guesses SET expires_at = :expires_at")
            .condition_expression("attribute_not_exists(guesses) OR size(guesses) < :limit OR contains(guesses, :id)")
            .set_expression_attribute_values(Some(values(&CeilingRow::of(guess))?))
            .expression_attribute_values(":id", text(&guess.id))
            .expression_attribute_values(":limit", number(GUESSES_PER_WINDOW));
        requests::update(update).await
    }

    /// Takes the guess out of its account's window again.
    async fn give_back(&self, guess: &Guess) -> Result<(), StoreError> {
        if !guess.is_at_ceiling {
            return Ok(());
        }
        self.update_count(ceiling_key(&guess.username, guess.window()))
            .update_expression("DELETE guesses :guesses SET expires_at = :expires_at")
            .set_expression_attribute_values(Some(values(&CeilingRow::of(guess))?))
            .send()
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn refuse(&self, guess: Guess, throttled: Throttled) -> Result<Result<Guess, Throttled>, StoreError> {
        self.give_back(&guess).await?;
        Ok(Err(throttled))
    }
}

/// The key of the row of an account and a half-hour.
pub(super) fn ceiling_key(username: &Username, window: Window) -> Item {
    key("ceiling", username, window.number())
}

/// The key of the row of an account and what makes it of this kind. No part can hold the line break between them.
pub(super) fn key(kind: &str, username: &Username, part: impl std::fmt::Display) -> Item {
    digest_key(&format!("{kind}\n{}\n{part}", username.folded()))
}

/// The key of the row that counts what is named so.
pub(super) fn digest_key(named: &str) -> Item {
    let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, named.as_bytes()));
    rows::key(&format!("ATTEMPT#{digest}"), ATTEMPT)
}
