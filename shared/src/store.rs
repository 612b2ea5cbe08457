//! The table. Each kind of row has a file of its own, which lists the attributes; all have the keys `pk` and `sk`.
//!
//! Every write that decides something is conditional: it does what its caller decided on, or nothing. Rows with an
//! `expires_at` (the table's TTL) are deleted some time after it, so that whoever reads one asks whether it still
//! counts.

mod attempts;
mod keys;
mod password_update;
mod registrations;
mod sessions;
mod user_summaries;
mod users;

use std::{collections::HashMap, fmt::Display};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    config::{
        self,
        retry::{RetryPartition, TokenBucket},
    },
    error::SdkError,
    types::AttributeValue,
};

pub use self::{
    attempts::{COUNTING_TIMEOUT, Guess},
    keys::KeyRow,
    password_update::PasswordUpdate,
    sessions::{Advance, Use},
    user_summaries::UsersPage,
    users::UserPages,
};
use crate::{BoxError, scope::Scopes, time::Timestamp};

/// The table, and a client to reach it.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

/// The store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `DynamoDB` can't be reached, throttles past its retries, or refuses the call.
    #[error("the table could not be reached")]
    Unavailable(#[source] BoxError),
    /// The row is there, and isn't what this program writes.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRow),
}

/// A row that this program can't read.
#[derive(Debug, thiserror::Error)]
#[error("the row {row:?} has no usable {attribute}: {problem}")]
pub struct UnreadableRow {
    row: String,
    attribute: &'static str,
    problem: String,
}

fn unavailable<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Unavailable(error.into())
}

impl Store {
    /// The table of this name. The client connects at the first call.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: impl Into<String>) -> Self {
        // The SDK's own quota is for a busy server: 500 tokens, of which a retry takes 5, and none come back with time.
        // While every other call is throttled, an instance would have used them up after some hundred calls, and then
        // give up at the first refusal. It works on one request at a time; twenty retries a second are enough for that.
        let quota = TokenBucket::builder().refill_rate(100.0).build();
        let retries = RetryPartition::custom("table").token_bucket(quota).build();
        let configuration = config::Builder::from(sdk).retry_partition(retries).build();
        Self { client: Client::from_conf(configuration), table: table.into() }
    }
}

/// A conditional write happened, or its condition didn't hold; anything else is a failure.
fn happened<T, E, R>(answer: Result<T, SdkError<E, R>>, condition_failed: fn(&E) -> bool) -> Result<bool, StoreError>
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(condition_failed) => Ok(false),
        Err(error) => Err(unavailable(error)),
    }
}

type Item = HashMap<String, AttributeValue>;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: Timestamp) -> AttributeValue {
    count(value.0)
}

fn count(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

struct Row<'a>(&'a Item);

impl Row<'_> {
    /// An attribute that may be absent.
    fn optional<T>(
        &self,
        attribute: &'static str,
        parse: impl FnOnce(&AttributeValue) -> Result<T, String>,
    ) -> Result<Option<T>, UnreadableRow> {
        self.0.contains_key(attribute).then(|| self.read(attribute, parse)).transpose()
    }

    fn read<T>(
        &self,
        attribute: &'static str,
        parse: impl FnOnce(&AttributeValue) -> Result<T, String>,
    ) -> Result<T, UnreadableRow> {
        let value = self.0.get(attribute).ok_or_else(|| "is missing".to_owned());
        value.and_then(parse).map_err(|problem| {
            let row = self.0.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
            UnreadableRow { row, attribute, problem }
        })
    }
}

fn say(problem: impl Display) -> String {
    problem.to_string()
}

fn as_text(value: &AttributeValue) -> Result<&str, String> {
    value.as_s().map(String::as_str).map_err(|_| "is no string".to_owned())
}

fn as_count(value: &AttributeValue) -> Result<u64, String> {
    let digits = value.as_n().map_err(|_| "is no number")?;
    digits.parse().map_err(|_| "is no whole number".to_owned())
}

fn as_timestamp(value: &AttributeValue) -> Result<Timestamp, String> {
    as_count(value).map(Timestamp)
}

/// A set of scopes; a set can't be empty in the table, so an absent one is the empty set.
fn as_scopes(value: &AttributeValue) -> Result<Scopes, String> {
    let scopes = value.as_ss().map_err(|_| "is no set of strings")?;
    Scopes::from_tokens(scopes.iter().map(String::as_str)).map_err(say)
}

fn scopes(value: &Scopes) -> Option<AttributeValue> {
    (!value.is_empty()).then(|| AttributeValue::Ss(value.iter().map(str::to_owned).collect()))
}
