//! A function for the tests of streams: it says what it was told of, each change by its `sk`. It fails with a change
//! whose `sk` is `fail`, and the first two times with one that is `fail twice`.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

static FAILURES: AtomicUsize = AtomicUsize::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move { consume(&event.payload) })).await
}

fn consume(event: &Value) -> Result<(), Error> {
    let records = event["Records"].as_array().ok_or("no records")?;
    let told: Vec<_> = records.iter().filter_map(|record| record["dynamodb"]["Keys"]["sk"]["S"].as_str()).collect();
    if told.contains(&"show") {
        writeln!(std::io::stdout(), "event {event}")?;
    }
    let is_refused =
        told.contains(&"fail") || told.contains(&"fail twice") && FAILURES.fetch_add(1, Ordering::Relaxed) < 2;
    writeln!(std::io::stdout(), "{} {}", if is_refused { "refused" } else { "told" }, told.join(","))?;
    if is_refused { Err("told to fail".into()) } else { Ok(()) }
}
