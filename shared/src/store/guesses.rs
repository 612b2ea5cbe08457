//! The rows that count password guesses; [`crate::guessing`] says what the counts mean.
//!
//! The keys are digests, because people type passwords into the wrong field: the table and its backups shall not list
//! them. All is done by `UpdateItem`, so that who counts may not read, put or delete.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, requests,
    rows::{self, Item, as_number, as_text, number, text, timestamp, values},
    unavailable,
};
use crate::values::{
    guessing::{Address, GUESSES_PER_WINDOW, Limit, Pair, Throttled, Window},
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

/// A guess that was counted, and may be made.
#[derive(Debug)]
pub struct Guess {
    username: Username,
    address: Address,
    id: String,
    /// The window whose row holds the guess; `None` where the address is known.
    window: Option<Window>,
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
        let Pair { failures, blocked_until, known_until } = *pair;
        Self { failures, blocked_until, known_until, last_guess, expires_at: pair.expires() }
    }

    fn pair(&self) -> Pair {
        Pair { failures: self.failures, blocked_until: self.blocked_until, known_until: self.known_until }
    }
}

/// The row of an account and a half-hour in which an address that isn't known has guessed. Its `pk` is `ATTEMPT#` and a
/// digest of `ceiling`, the username in lower case and the half-hour's number, its `sk` is `ATTEMPT`.
#[derive(Serialize)]
struct CeilingRow<'a> {
    /// SS: an identifier for each guess; absent where there is none.
    #[serde(with = "serde_dynamo::string_set")]
    guesses: [&'a str; 1],
    /// N: seconds since 1970: the end of the half-hour.
    expires_at: Timestamp,
}

impl<'a> CeilingRow<'a> {
    /// The row with this one guess.
    fn of(guess: &'a Guess, window: Window) -> Self {
        Self { guesses: [&guess.id], expires_at: window.ends() }
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
        username: &Username,
        address: Address,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Result<Guess, Throttled>, StoreError> {
        let guess = Guess { username: username.clone(), address, id: random_identifier(rng), window: None };
        tokio::time::timeout(COUNTING_TIMEOUT, self.count(guess, now)).await.map_err(unavailable)?
    }

    async fn count(&self, mut guess: Guess, now: Timestamp) -> Result<Result<Guess, Throttled>, StoreError> {
        // The most frequent case first. Where it is another, this has read the row.
        let mut seen = match self.count_at_known_pair(&guess, now).await? {
            PairWrite::Done => return Ok(Ok(guess)),
            PairWrite::Other(seen) => seen,
        };
        for _ in 0..ROUNDS {
            let pair = seen.as_ref().map_or(Pair::NEW, PairRow::pair);
            if let Some(wait) = pair.wait(now) {
                return self.refuse(guess, wait).await;
            }
            // Before the pair, so that an address has a row only where its guess was taken.
            if guess.window.is_none() && !pair.is_known(now) {
                let window = Window::of(now);
                if !self.count_at_ceiling(&guess, window).await? {
                    return Ok(Err(Throttled { limit: Limit::Account, wait: window.left(now) }));
                }
                guess.window = Some(window);
            }
            match self.count_at_pair(&guess, seen.as_ref(), &pair.guessed(now)).await? {
                PairWrite::Done => return Ok(Ok(guess)),
                PairWrite::Other(other) => seen = other,
            }
        }
        self.refuse(guess, Duration::from_secs(1)).await
    }

    /// Notes that a guess was right: it is no failure, those before it are forgotten, and its address is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a row can't be written. Then the guess stays counted.
    pub async fn guess_was_right(&self, guess: &Guess, now: Timestamp) -> Result<(), StoreError> {
        let pair = Pair::signed_in(now);
        // Another than before, so that whoever has read the row and not yet written it reads it anew.
        let row = PairRow::new(&pair, format!("{}.right", guess.id));
        let known = self
            .update(pair_key(guess))
            .update_expression(
                "SET failures = :failures, blocked_until = :blocked_until, known_until = :known_until, \
                 last_guess = :last_guess, expires_at = :expires_at",
            )
            .set_expression_attribute_values(Some(values(&row)?))
            .send();
        let (known, given_back) = tokio::join!(known, self.give_back(guess));
        known.map_err(unavailable)?;
        given_back
    }

    /// Counts the guess where its address is known and has no failures.
    async fn count_at_known_pair(&self, guess: &Guess, now: Timestamp) -> Result<PairWrite, StoreError> {
        let row = PairRow::new(&Pair::signed_in(now).guessed(now), guess.id.clone());
        let update = self
            .update(pair_key(guess))
            .update_expression("SET failures = :failures, blocked_until = :blocked_until, last_guess = :id")
            .condition_expression("failures = :zero AND known_until > :now")
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":now", timestamp(now));
        write_pair(update, &row).await
    }

    /// Counts the guess at its pair, whose row has to be as it was seen.
    async fn count_at_pair(&self, guess: &Guess, seen: Option<&PairRow>, pair: &Pair) -> Result<PairWrite, StoreError> {
        let row = PairRow::new(pair, guess.id.clone());
        let update = self
            .update(pair_key(guess))
            .update_expression(
                "SET failures = :failures, blocked_until = :blocked_until, last_guess = :id, expires_at = :expires",
            )
            .expression_attribute_values(":expires", timestamp(row.expires_at));
        let update = match seen {
            None => update.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => update
                .condition_expression("last_guess = :seen")
                .expression_attribute_values(":seen", text(&seen.last_guess)),
        };
        write_pair(update, &row).await
    }

    /// Counts the guess in its account's window. `false`: the window is full.
    ///
    /// The guess joins a set, so that it counts once however often the call is made.
    async fn count_at_ceiling(&self, guess: &Guess, window: Window) -> Result<bool, StoreError> {
        let update = self
            .update(ceiling_key(guess, window))
            .update_expression("ADD guesses :guesses SET expires_at = :expires_at")
            .condition_expression("attribute_not_exists(guesses) OR size(guesses) < :limit OR contains(guesses, :id)")
            .set_expression_attribute_values(Some(values(&CeilingRow::of(guess, window))?))
            .expression_attribute_values(":id", text(&guess.id))
            .expression_attribute_values(":limit", number(GUESSES_PER_WINDOW));
        requests::update(update).await
    }

    /// Takes the guess out of its account's window again.
    async fn give_back(&self, guess: &Guess) -> Result<(), StoreError> {
        let Some(window) = guess.window else { return Ok(()) };
        self.update(ceiling_key(guess, window))
            .update_expression("DELETE guesses :guesses SET expires_at = :expires_at")
            .set_expression_attribute_values(Some(values(&CeilingRow::of(guess, window))?))
            .send()
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn refuse(&self, guess: Guess, wait: Duration) -> Result<Result<Guess, Throttled>, StoreError> {
        self.give_back(&guess).await?;
        Ok(Err(Throttled { limit: Limit::Address, wait }))
    }
}

/// Sends a conditional write to a pair's row.
async fn write_pair(update: UpdateItemFluentBuilder, row: &PairRow) -> Result<PairWrite, StoreError> {
    let update = update
        .expression_attribute_values(":failures", number(row.failures))
        .expression_attribute_values(":blocked_until", timestamp(row.blocked_until))
        .expression_attribute_values(":id", text(&row.last_guess));
    let requests::Write::Refused(seen) = requests::update_or_find(update).await? else { return Ok(PairWrite::Done) };
    let seen = seen.map(|seen| rows::read(seen, PairRow::deserialize)).transpose()?;
    // The write had happened, its answer was lost, and the SDK has repeated it.
    let is_ours = seen.as_ref().is_some_and(|seen| seen.last_guess == row.last_guess);
    Ok(if is_ours { PairWrite::Done } else { PairWrite::Other(seen) })
}

fn pair_key(guess: &Guess) -> Item {
    key("pair", &guess.username, guess.address)
}

fn ceiling_key(guess: &Guess, window: Window) -> Item {
    key("ceiling", &guess.username, window.number())
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
