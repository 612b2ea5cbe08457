//! Deletes the hashes and sessions that deleted accounts have left. The table's stream calls it for each change of an
//! account's row: whoever deletes an account by the API can't reach its hash.

use std::{collections::BTreeSet, time::Duration};

use lambda_runtime::Diagnostic;
use serde::Deserialize;
use shared::{
    BoxError, causes,
    lambda::{CallRecord, Function},
    store::{Store, StoreError},
    time::Clock,
    username::Username,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let (store, clock) = (function.store(&function.sdk()?)?, function.clock());
    function.run_events(|changes: Changes| Box::pin(erase(&store, &clock, changes))).await
}

/// For how long one account's sessions are removed: what is left then is an error, so that the stream calls again.
const TIME: Duration = Duration::from_secs(15);

/// Some changes of the table, of a stream that tells the rows' keys only:
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changes {
    records: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    dynamodb: ChangedRow,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangedRow {
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    pk: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

impl Changes {
    /// The names whose rows have changed, each once. The stream sends 100 changes at the most.
    fn names(&self) -> Vec<Username> {
        let keys = self.records.iter().map(|change| change.dynamodb.keys.pk.text.as_str());
        let names: BTreeSet<&str> = keys.filter_map(|key| key.strip_prefix("USER#")).collect();
        names.into_iter().filter_map(|name| Username::parse(name).ok()).collect()
    }
}

/// What deleted accounts have left could not all be deleted: the stream sends the same changes again.
#[derive(Debug)]
struct NotErased(String);

impl From<NotErased> for Diagnostic {
    fn from(error: NotErased) -> Self {
        Self { error_type: "NotErased".to_owned(), error_message: error.0 }
    }
}

/// Deletes what is left of those accounts that are deleted, and records it for the log.
async fn erase(store: &Store, clock: &Clock, changes: Changes) -> (Result<(), NotErased>, CallRecord) {
    match erase_all(store, clock, &changes).await {
        Ok(accounts) => (Ok(()), CallRecord::new("erased").with("accounts", &accounts)),
        Err(error) => (Err(NotErased(causes(&error))), CallRecord::unavailable(&error)),
    }
}

async fn erase_all(store: &Store, clock: &Clock, changes: &Changes) -> Result<usize, StoreError> {
    // Most changes are of accounts that there are.
    let deleted = store.deleted_among(changes.names()).await?;
    let mut accounts = 0;
    for username in deleted {
        accounts += usize::from(store.erase_account(&username, clock.now(), TIME).await?);
    }
    Ok(accounts)
}
