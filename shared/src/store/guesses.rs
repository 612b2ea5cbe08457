//! The rows that count password guesses; [`crate::guessing`] says what the counts mean.
//!
//! The keys are digests, because people type passwords into the wrong field: the table and its backups shall not list
//! them. What is counted is read beside the account ([`Store::look_up`]) and written by `UpdateItem`, so that who counts
//! may not list, put or delete.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow, requests,
    rows::{self, Item, as_number, as_set, as_text, number, text, values},
    unavailable,
};
use crate::values::{
    guessing::{Address, FailuresPerAddress, GUESSES_PER_WINDOW, Limit, Network, Pair, Tally, Throttled, Window},
    session::random_identifier,
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
    username: Username,
    address: Address,
    now: Timestamp,
    pair: Option<PairRow>,
    /// The guesses at the account in this window.
    guesses: u64,
    /// The failures from the address in this window, with those from the networks that it is in.
    failures: Vec<(Network, u64)>,
}

impl GuessCounts {
    /// The counts for a guess at an account from an address, from the rows of both and of the account.
    pub(super) fn new(
        (username, address, now): (Username, Address, Timestamp),
        (pair, ceiling): (Option<Item>, Option<Item>),
        failures: Vec<(Network, u64)>,
    ) -> Result<Self, UnreadableRow> {
        let pair = pair.map(|row| rows::read(row, PairRow::deserialize)).transpose()?;
        let ceiling = ceiling.map(|row| rows::read(row, CeilingRow::deserialize)).transpose()?;
        let guesses = ceiling.map_or(0, |row| row.guesses.len() as u64);
        Ok(Self { username, address, now, pair, guesses, failures })
    }

    /// The limit that keeps all but known addresses out, where one has been reached.
    fn closed(&self, per_address: FailuresPerAddress) -> Option<Throttled> {
        let is_spent = self.failures.iter().any(|(network, failures)| *failures >= network.budget(per_address));
        let is_full = self.guesses >= GUESSES_PER_WINDOW;
        let limit = is_spent.then_some(Limit::Client).or(is_full.then_some(Limit::Account));
        limit.map(|limit| Window::of(self.now).refusal(limit, self.now))
    }
}

/// A guess that was counted, and may be made.
#[derive(Debug)]
pub struct Guess {
    username: Username,
    address: Address,
    id: String,
    made: Timestamp,
    /// Whether the account's window holds the guess already: that of a known address joins it once it was wrong.
    is_at_ceiling: bool,
    /// The limit that keeps all but known addresses out. What it says is what whoever guesses wrong is told.
    closed: Option<Throttled>,
}

impl Guess {
    fn window(&self) -> Window {
        Window::of(self.made)
    }
}

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

/// What became of a write to a pair's row.
enum PairWrite {
    Done,
    /// The row isn't as it was expected to be, but so; `None`: there is none.
    Other(Option<PairRow>),
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
        rng: &mut impl CryptoRng,
    ) -> Result<Result<Guess, Throttled>, StoreError> {
        let closed = counts.closed(per_address);
        let GuessCounts { username, address, now: made, pair, .. } = counts;
        let guess = Guess { username, address, id: random_identifier(rng), made, is_at_ceiling: false, closed };
        tokio::time::timeout(COUNTING_TIMEOUT, self.count(guess, pair)).await.map_err(unavailable)?
    }

    async fn count(&self, mut guess: Guess, mut seen: Option<PairRow>) -> Result<Result<Guess, Throttled>, StoreError> {
        let now = guess.made;
        for _ in 0..ROUNDS {
            let pair = seen.as_ref().map_or(Pair::NEW, PairRow::pair);
            let guessed = match pair.guess(guess.closed, now) {
                Ok(guessed) => guessed,
                Err(throttled) => return self.refuse(guess, throttled).await,
            };
            // Before the pair, so that an address has a row only where its guess was taken.
            if !guess.is_at_ceiling && !pair.is_known(now) {
                if !self.count_at_ceiling(&guess).await? {
                    return Ok(Err(guess.window().refusal(Limit::Account, now)));
                }
                guess.is_at_ceiling = true;
            }
            match self.count_at_pair(&guess, seen.as_ref(), &guessed).await? {
                PairWrite::Done => return Ok(Ok(guess)),
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
        // Another than before, so that whoever has read the row and not yet written it reads it anew.
        let row = PairRow::new(&pair, format!("{}.right", guess.id));
        let known = self.set_pair(guess, &row)?.send();
        let (known, given_back) = tokio::join!(known, self.give_back(guess));
        known.map_err(unavailable)?;
        given_back
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

    /// Counts the guess at its pair, whose row has to be as it was seen.
    async fn count_at_pair(&self, guess: &Guess, seen: Option<&PairRow>, pair: &Pair) -> Result<PairWrite, StoreError> {
        let row = PairRow::new(pair, guess.id.clone());
        let update = self.set_pair(guess, &row)?;
        let update = match seen {
            None => update.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => update
                .condition_expression("last_guess = :seen")
                .expression_attribute_values(":seen", text(&seen.last_guess)),
        };
        let requests::Write::Refused(seen) = requests::update_or_find(update).await? else {
            return Ok(PairWrite::Done);
        };
        let seen = seen.map(|seen| rows::read(seen, PairRow::deserialize)).transpose()?;
        // The write had happened, its answer was lost, and the SDK has repeated it.
        let is_ours = seen.as_ref().is_some_and(|seen| seen.last_guess == row.last_guess);
        Ok(if is_ours { PairWrite::Done } else { PairWrite::Other(seen) })
    }

    /// Puts these values into the row of the guess's pair.
    fn set_pair(&self, guess: &Guess, row: &PairRow) -> Result<UpdateItemFluentBuilder, StoreError> {
        let values = values(row)?;
        let mut names: Vec<&str> = values.keys().map(|name| name.trim_start_matches(':')).collect();
        names.sort_unstable();
        let sets: Vec<String> = names.iter().map(|name| format!("{name} = :{name}")).collect();
        Ok(self
            .update_count(pair_key(&guess.username, guess.address))
            .update_expression(format!("SET {}", sets.join(", ")))
            .set_expression_attribute_values(Some(values)))
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

/// The key of the row of an account and an address together.
pub(super) fn pair_key(username: &Username, address: Address) -> Item {
    key("pair", username, address)
}

/// The key of the row of an account and a half-hour.
pub(super) fn ceiling_key(username: &Username, window: Window) -> Item {
    key("ceiling", username, window.number())
}

/// No part can hold the line break between them.
fn key(kind: &str, username: &Username, part: impl std::fmt::Display) -> Item {
    digest_key(&format!("{kind}\n{}\n{part}", username.folded()))
}

/// The key of the row that counts what is named so.
pub(super) fn digest_key(named: &str) -> Item {
    let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, named.as_bytes()));
    rows::key(&format!("ATTEMPT#{digest}"), ATTEMPT)
}
