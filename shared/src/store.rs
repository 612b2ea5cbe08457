//! The tables. Each kind of row has a file of its own with a struct that lists the attributes; all have the keys `pk` and
//! `sk`. Rows that count are in a table of their own, which has no backup: strangers write as many of them as they like.
//!
//! Every write that decides something is conditional: it does what its caller decided on, or nothing. Rows with an
//! `expires_at` (the table's TTL) are deleted some time after it, so that whoever reads one asks whether it still
//! counts.

mod credentials;
mod failures;
mod guesses;
mod keys;
mod look_up;
mod pairs;
mod registrations;
mod requests;
mod rows;
mod session_pages;
mod sessions;
mod user_lists;
mod users;

use aws_sdk_dynamodb::{
    Client,
    config::{
        self,
        retry::{RetryPartition, TokenBucket},
    },
};
use aws_types::SdkConfig;

pub use self::{
    guesses::{COUNTING_TIMEOUT, Guess, GuessCounts},
    keys::KeyRow,
    look_up::LookUp,
    requests::LOOK_UP_TIMEOUT,
    rows::UnreadableRow,
    session_pages::{Removal, SessionsPage},
    sessions::{RefreshAttempt, RefreshOutcome},
    user_lists::{UserPages, UsersPage},
    users::{ACCOUNTS_AT_ONCE, CLAIM},
};
use crate::BoxError;

/// The tables, and a client to reach them.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    /// The table of counts; `None` where nothing is counted.
    counts: Option<String>,
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

fn unavailable<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Unavailable(error.into())
}

impl Store {
    /// The table of this name, without one for counts: counting fails. The client connects at the first call.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: impl Into<String>) -> Self {
        // The SDK's own quota is for a busy server: 500 tokens, of which a retry takes 5, and none come back with time.
        // While every other call is throttled, an instance would have used them up after some hundred calls, and then
        // give up at the first refusal. It works on one request at a time; twenty retries a second are enough for that.
        let quota = TokenBucket::builder().refill_rate(100.0).build();
        let retries = RetryPartition::custom("table").token_bucket(quota).build();
        let configuration = config::Builder::from(sdk).retry_partition(retries).build();
        Self { client: Client::from_conf(configuration), table: table.into(), counts: None }
    }

    /// The same with the table of this name for the rows that count guesses and registrations.
    #[must_use]
    pub fn counting_in(self, counts: impl Into<String>) -> Self {
        Self { counts: Some(counts.into()), ..self }
    }
}
