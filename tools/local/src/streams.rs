//! Tells functions of the changes of a table: Lambda's event source mappings for `DynamoDB` streams.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>. A function gets the changes in their order, batch after
//! batch; a batch that it fails is made again, later each time, and holds up what comes after it. Knows nothing of how
//! the store keeps its stream.

mod checkpoints;
mod consumer;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

pub(crate) use self::checkpoints::Checkpoints;
use self::consumer::Consumer;
use crate::cloudformation::ConsumerSpec;
use crate::lambda::Function;
use crate::log::LogSink;
use crate::store::{Store, StoreError};

/// Begins to tell functions of changes, each where it left off.
///
/// # Errors
/// A stream can't be read, or the file of checkpoints can't.
pub(crate) async fn start(
    specs: Vec<ConsumerSpec>,
    store: &Store,
    functions: &BTreeMap<String, Arc<Function>>,
    log: &LogSink,
) -> Result<Vec<JoinHandle<()>>, StoreError> {
    let checkpoints = Arc::new(Checkpoints::open(store.checkpoints())?);
    let mut tasks = Vec::new();
    for spec in specs {
        let Some(function) = functions.get(&spec.function) else { continue };
        let Some(stream) = store.stream(&spec.table) else {
            let line = format!("{} is told of no changes: that takes the embedded store", spec.function);
            log.line("stream", &line);
            continue;
        };
        let function = Arc::clone(function);
        let consumer = Consumer::start(spec, stream, function, Arc::clone(&checkpoints), log.clone()).await?;
        tasks.push(tokio::spawn(consumer.run()));
    }
    Ok(tasks)
}
