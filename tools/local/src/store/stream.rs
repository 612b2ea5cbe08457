//! A table's stream of changes, in the embedded store.

use aws_sdk_dynamodb::error::BoxError;
use dynoxide::actions::{describe_stream, get_records, get_shard_iterator, list_streams};
use dynoxide::{Database, DynoxideError};
use serde_json::Value;

use super::StoreError;
use crate::cloudformation::StartingPosition;

/// The most that one `GetRecords` gives.
const RECORDS: usize = 1000;

/// A table's stream of changes. It has one shard.
#[derive(Clone)]
pub(crate) struct Stream {
    database: Database,
    table: String,
}

impl Stream {
    /// The stream of the table of this name.
    pub(super) fn new(database: Database, table: &str) -> Self {
        Self { database, table: table.to_owned() }
    }

    /// Where to read on after this sequence number or, without one, where to begin.
    ///
    /// # Errors
    /// The table has no stream, or the store fails.
    pub(crate) async fn iterator(&self, start: StartingPosition, after: Option<String>) -> Result<String, StoreError> {
        let table = self.table.clone();
        let iterator = self.ask(move |database| {
            let request = list_streams::ListStreamsRequest { table_name: Some(table), ..Default::default() };
            let stream = database.list_streams(request)?.streams.pop().map(|stream| stream.stream_arn);
            let stream_arn = stream.unwrap_or_default();
            let request =
                describe_stream::DescribeStreamRequest { stream_arn: stream_arn.clone(), ..Default::default() };
            let shards = database.describe_stream(request)?.stream_description.shards;
            let kind = match (&after, start) {
                (Some(_), _) => "AFTER_SEQUENCE_NUMBER",
                (None, StartingPosition::TrimHorizon) => "TRIM_HORIZON",
                (None, StartingPosition::Latest) => "LATEST",
            };
            database.get_shard_iterator(get_shard_iterator::GetShardIteratorRequest {
                stream_arn,
                shard_id: shards.into_iter().next().map(|shard| shard.shard_id).unwrap_or_default(),
                shard_iterator_type: kind.to_owned(),
                sequence_number: after,
            })
        });
        let iterator = iterator.await.map_err(|source| StoreError::Stream { table: self.table.clone(), source })?;
        Ok(iterator.shard_iterator.unwrap_or_default())
    }

    /// At most so many changes, the oldest first, each in the shape in which Lambda passes it on; and where to go on.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn read(&self, iterator: String, limit: usize) -> Result<(Vec<Value>, String), BoxError> {
        let request =
            get_records::GetRecordsRequest { shard_iterator: iterator.clone(), limit: Some(limit.min(RECORDS)) };
        let answer = self.ask(move |database| database.get_records(request)).await?;
        let records = answer.records.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        Ok((records, answer.next_shard_iterator.unwrap_or(iterator)))
    }

    /// Asks the store on a thread where waiting is allowed.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Database) -> Result<T, DynoxideError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let database = self.database.clone();
        Ok(tokio::task::spawn_blocking(move || ask(&database)).await??)
    }
}
