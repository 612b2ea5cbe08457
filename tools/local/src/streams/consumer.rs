//! A function that is told of a table's changes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};

use super::Checkpoints;
use crate::cloudformation::{ConsumerSpec, REGION};
use crate::lambda::{Call, Function, Invocation};
use crate::log::LogSink;
use crate::store::{StoreError, Stream};

/// How often a stream without changes is looked at; Lambda does it four times a second, too.
const POLL: Duration = Duration::from_millis(250);
/// How long a failed call waits, at first and at most; each time it waits twice as long.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// A function that is told of a table's changes, and how far it has been.
pub(super) struct Consumer {
    spec: ConsumerSpec,
    stream: Stream,
    function: Arc<Function>,
    checkpoints: Arc<Checkpoints>,
    log: LogSink,
    /// Its name among the checkpoints.
    name: String,
    /// Where the stream is read next.
    iterator: String,
}

impl Consumer {
    /// Finds where the function left off; changes from now on are told.
    ///
    /// # Errors
    /// The stream can't be read.
    pub(super) async fn start(
        spec: ConsumerSpec,
        stream: Stream,
        function: Arc<Function>,
        checkpoints: Arc<Checkpoints>,
        log: LogSink,
    ) -> Result<Self, StoreError> {
        let name = format!("{}/{}", spec.function, spec.name);
        let iterator = stream.iterator(spec.start, checkpoints.get(&name)).await?;
        Ok(Self { spec, stream, function, checkpoints, log, name, iterator })
    }

    /// Tells the function of changes, for as long as it's let.
    pub(super) async fn run(mut self) {
        loop {
            let (records, next) = match self.stream.read(self.iterator.clone(), self.spec.batch_size).await {
                Ok(read) => read,
                Err(error) => {
                    self.say(&format!("the stream of {} can't be read: {error}", self.spec.table));
                    tokio::time::sleep(BACKOFF.1).await;
                    continue;
                }
            };
            let Some(reached) = records.last().map(sequence_number) else {
                tokio::time::sleep(POLL).await;
                continue;
            };
            let batch: Vec<_> = records.into_iter().filter(|record| self.is_wanted(record)).collect();
            if !batch.is_empty() {
                self.deliver(batch.into_iter().map(|record| self.lambdas(record)).collect()).await;
            }
            if let Err(error) = self.checkpoints.set(&self.name, reached) {
                self.say(&format!("how far {} has been told can't be noted: {error}", self.spec.function));
            }
            self.iterator = next;
        }
    }

    fn is_wanted(&self, record: &Value) -> bool {
        let filters = &self.spec.filters;
        filters.is_empty() || filters.iter().any(|filter| filter.matches(record))
    }

    /// A record as Lambda passes it on: with the stream's ARN, in the region that all is in.
    fn lambdas(&self, mut record: Value) -> Value {
        record["eventSourceARN"] = self.spec.stream.clone().into();
        record["awsRegion"] = REGION.into();
        record
    }

    /// Calls the function with the changes until it takes them, or until it has failed too often.
    async fn deliver(&self, batch: Vec<Value>) {
        let mut parts = vec![batch];
        'parts: while let Some(mut part) = parts.pop() {
            let (mut calls, mut failures) = (0, 0);
            while let Err(failure) = self.call(&part).await {
                calls += 1;
                self.say(&format!("{} failed {}: {}", self.spec.function, self.changes(&part), failure.reason));
                if self.spec.bisects && part.len() > 1 && failure.is_the_functions {
                    // What is nearer to the end of the list comes first. Splitting is no retry.
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                    continue 'parts;
                }
                // A call that didn't reach the function is made again for ever.
                failures += u32::from(failure.is_the_functions);
                if self.spec.retries.is_some_and(|retries| failures > retries) {
                    self.give_up(&part);
                    continue 'parts;
                }
                tokio::time::sleep(pause(calls)).await;
            }
        }
    }

    async fn call(&self, part: &[Value]) -> Result<(), Failure> {
        let event = json!({ "Records": part }).to_string();
        let (reason, is_the_functions) = match self.function.invoke(Call::new(Bytes::from(event))).await {
            Invocation::Response(_) => return Ok(()),
            Invocation::Throttled => ("it is busy".to_owned(), false),
            Invocation::Error(error) => (format!("{}: {}", error.error_type, error.error_message), true),
            Invocation::TimedOut => ("it took too long".to_owned(), true),
            Invocation::Crashed(reason) => (reason, true),
            Invocation::TooLarge => ("the batch is larger than Lambda takes".to_owned(), true),
            Invocation::NotFound => ("there is no such function".to_owned(), true),
        };
        Err(Failure { reason, is_the_functions })
    }

    fn give_up(&self, part: &[Value]) {
        let told = match &self.spec.on_failure {
            Some(queue) => format!("{queue} would be told"),
            None => "nobody would be told".to_owned(),
        };
        self.say(&format!("{} is not told of {}: {told}", self.spec.function, self.changes(part)));
    }

    /// `2 changes of gatehouse, 100…1 to 100…2`. Keys may be names, and are left out.
    fn changes(&self, part: &[Value]) -> String {
        let number = |record: Option<&Value>| record.map(sequence_number).unwrap_or_default();
        let (first, last) = (number(part.first()), number(part.last()));
        let table = &self.spec.table;
        match part.len() {
            1 => format!("a change of {table}, {first}"),
            count => format!("{count} changes of {table}, {first} to {last}"),
        }
    }

    fn say(&self, line: &str) {
        self.log.line("stream", line);
    }
}

/// Why a call came to nothing.
struct Failure {
    reason: String,
    /// Whether the function was asked at all.
    is_the_functions: bool,
}

fn sequence_number(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default().to_owned()
}

/// How long to wait after so many calls in vain.
fn pause(calls: u32) -> Duration {
    BACKOFF.0.saturating_mul(1_u32.checked_shl(calls.saturating_sub(1)).unwrap_or(u32::MAX)).min(BACKOFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let pauses = [1, 2, 3, 8, 9, 40].map(|calls| pause(calls).as_millis());
        assert_eq!(pauses, [200, 400, 800, 25_600, 30_000, 30_000]);
    }
}
