//! The rows that count password guesses; [`crate::guessing`] says what the counts mean.
//!
//! A row for each account and address together:
//!
//! | attribute | type | holds |
//! |---|---|---|
//! | `pk` | S | `ATTEMPT#` and a digest of `pair`, the username in lower case and the address |
//! | `sk` | S | `ATTEMPT` |
//! | `failures` | N | guesses since the last sign-in |
//! | `blocked_until` | N | seconds since 1970 |
//! | `known_until` | N | seconds since 1970; absent where nobody has signed in from the address |
//! | `last_guess` | S | differs after every write: what a later one compares |
//! | `expires_at` | N | when the row says nothing any more |
//!
//! And one for each account and half-hour, where an address that isn't known has guessed:
//!
//! | attribute | type | holds |
//! |---|---|---|
//! | `pk` | S | `ATTEMPT#` and a digest of `ceiling`, the username in lower case and the half-hour's number |
//! | `sk` | S | `ATTEMPT` |
//! | `guesses` | SS | an identifier for each guess; absent where there is none |
//! | `expires_at` | N | the end of the half-hour |
//!
//! The keys are digests, because people type passwords into the wrong field: the table and its backups shall not list
//! them. All is done by `UpdateItem`, so that who counts may not read, put or delete.

use std::{collections::HashMap, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::{
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;

use super::{
    Item, Row, Store, StoreError, UnreadableRow, as_count, as_text, as_timestamp, count, happened, number, text,
    unavailable,
};
use crate::{
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

/// A pair's row, and what it is recognised by when it is written.
struct SeenPair {
    pair: Pair,
    last_guess: String,
}

/// What became of a write to a pair's row.
enum Write {
    Done,
    /// The row isn't as it was expected to be, but so; `None`: there is none.
    Other(Option<SeenPair>),
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
            Write::Done => return Ok(Ok(guess)),
            Write::Other(seen) => seen,
        };
        for _ in 0..ROUNDS {
            let pair = seen.as_ref().map_or(Pair::NEW, |seen| seen.pair);
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
                Write::Done => return Ok(Ok(guess)),
                Write::Other(other) => seen = other,
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
        let known = self
            .update_attempt(pair_key(guess))
            .update_expression(
                "SET failures = :failures, blocked_until = :blocked_until, known_until = :known_until, \
                 last_guess = :id, expires_at = :expires",
            )
            .expression_attribute_values(":failures", count(pair.failures))
            .expression_attribute_values(":blocked_until", number(pair.blocked_until))
            .expression_attribute_values(":known_until", number(pair.known_until.unwrap_or(now)))
            // Another than before, so that whoever has read the row and not yet written it reads it anew.
            .expression_attribute_values(":id", text(&format!("{}.right", guess.id)))
            .expression_attribute_values(":expires", number(pair.expires()))
            .send();
        let (known, given_back) = tokio::join!(known, self.give_back(guess));
        known.map_err(unavailable)?;
        given_back
    }

    /// Counts the guess where its address is known and has no failures.
    async fn count_at_known_pair(&self, guess: &Guess, now: Timestamp) -> Result<Write, StoreError> {
        let pair = Pair::signed_in(now).guessed(now);
        let update = self
            .update_attempt(pair_key(guess))
            .update_expression("SET failures = :failures, blocked_until = :blocked_until, last_guess = :id")
            .condition_expression("failures = :zero AND known_until > :now")
            .expression_attribute_values(":zero", count(0))
            .expression_attribute_values(":now", number(now));
        write_pair(update, &pair, &guess.id).await
    }

    /// Counts the guess at its pair, whose row has to be as it was seen.
    async fn count_at_pair(&self, guess: &Guess, seen: Option<&SeenPair>, pair: &Pair) -> Result<Write, StoreError> {
        let update = self
            .update_attempt(pair_key(guess))
            .update_expression(
                "SET failures = :failures, blocked_until = :blocked_until, last_guess = :id, expires_at = :expires",
            )
            .expression_attribute_values(":expires", number(pair.expires()));
        let update = match seen {
            None => update.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => update
                .condition_expression("last_guess = :seen")
                .expression_attribute_values(":seen", text(&seen.last_guess)),
        };
        write_pair(update, pair, &guess.id).await
    }

    /// Counts the guess in its account's window. `false`: the window is full.
    ///
    /// The guess joins a set, so that it counts once however often the call is made.
    async fn count_at_ceiling(&self, guess: &Guess, window: Window) -> Result<bool, StoreError> {
        let answer = self
            .update_attempt(ceiling_key(guess, window))
            .update_expression("ADD guesses :ids SET expires_at = :expires")
            .condition_expression("attribute_not_exists(guesses) OR size(guesses) < :limit OR contains(guesses, :id)")
            .expression_attribute_values(":ids", AttributeValue::Ss(vec![guess.id.clone()]))
            .expression_attribute_values(":id", text(&guess.id))
            .expression_attribute_values(":limit", count(GUESSES_PER_WINDOW))
            .expression_attribute_values(":expires", number(window.ends()))
            .send()
            .await;
        happened(answer, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// Takes the guess out of its account's window again.
    async fn give_back(&self, guess: &Guess) -> Result<(), StoreError> {
        let Some(window) = guess.window else { return Ok(()) };
        self.update_attempt(ceiling_key(guess, window))
            .update_expression("DELETE guesses :ids SET expires_at = :expires")
            .expression_attribute_values(":ids", AttributeValue::Ss(vec![guess.id.clone()]))
            .expression_attribute_values(":expires", number(window.ends()))
            .send()
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn refuse(&self, guess: Guess, wait: Duration) -> Result<Result<Guess, Throttled>, StoreError> {
        self.give_back(&guess).await?;
        Ok(Err(Throttled { limit: Limit::Address, wait }))
    }

    fn update_attempt(&self, key: Item) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key))
    }
}

/// Sends a conditional write to a pair's row.
async fn write_pair(update: UpdateItemFluentBuilder, pair: &Pair, id: &str) -> Result<Write, StoreError> {
    let answer = update
        .expression_attribute_values(":failures", count(pair.failures))
        .expression_attribute_values(":blocked_until", number(pair.blocked_until))
        .expression_attribute_values(":id", text(id))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    let Err(error) = answer else { return Ok(Write::Done) };
    let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
        return Err(unavailable(error));
    };
    let seen = failed.item.as_ref().map(read_pair).transpose()?;
    // The write had happened, its answer was lost, and the SDK has repeated it.
    let is_ours = seen.as_ref().is_some_and(|seen| seen.last_guess == id);
    Ok(if is_ours { Write::Done } else { Write::Other(seen) })
}

fn read_pair(item: &Item) -> Result<SeenPair, UnreadableRow> {
    let row = Row(item);
    Ok(SeenPair {
        pair: Pair {
            failures: row.read("failures", as_count)?,
            blocked_until: row.read("blocked_until", as_timestamp)?,
            known_until: row.optional("known_until", as_timestamp)?,
        },
        last_guess: row.read("last_guess", |value| as_text(value).map(str::to_owned))?,
    })
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
    HashMap::from([("pk".to_owned(), text(&format!("ATTEMPT#{digest}"))), ("sk".to_owned(), text(ATTEMPT))])
}
