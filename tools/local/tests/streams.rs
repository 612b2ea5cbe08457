//! Changes of a table, as the example `consume` is told of them.

#![expect(clippy::unwrap_used, reason = "a failed assumption fails the test")]

mod options;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use local::{LogSink, Options, Stack, StoreLocation};
use serde_json::{Value, json};
use shared::aws::sdk::laptop_config;

/// A stack of the fixture, and a client for its table.
struct Bench {
    stack: Stack,
    client: Client,
    log: LogSink,
}

impl Bench {
    async fn start(store: StoreLocation, parameters: &[(&str, &str)]) -> Self {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let options = Options { store, parameters, ..options::options("streams.yaml", &[("consume", "consume")]) };
        let log = options.log.clone();
        let stack = Stack::start(options).await.unwrap();
        let client = Client::new(&laptop_config(stack.store_url()));
        Self { stack, client, log }
    }

    async fn in_memory(parameters: &[(&str, &str)]) -> Self {
        Self::start(StoreLocation::Memory, parameters).await
    }

    async fn put(&self, pk: &str, sk: &str) {
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let put = self.client.put_item().table_name("gatehouse").item("pk", key(pk)).item("sk", key(sk));
        put.item("secret", key("hunter2")).send().await.unwrap();
    }

    /// Puts several rows of `USER#a` in one call, so that they are read together.
    async fn put_together(&self, sort_keys: &[&str]) {
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let mut transaction = self.client.transact_write_items();
        for sk in sort_keys {
            let put = aws_sdk_dynamodb::types::Put::builder().table_name("gatehouse");
            let put = put.item("pk", key("USER#a")).item("sk", key(sk)).build().unwrap();
            let write = aws_sdk_dynamodb::types::TransactWriteItem::builder().put(put).build();
            transaction = transaction.transact_items(write);
        }
        transaction.send().await.unwrap();
    }

    /// What the function has said until this was written.
    async fn until(&self, text: &str) -> Vec<String> {
        let log = self.log.wait_for(text).await;
        log.lines().filter_map(|line| line.strip_prefix("[consume] ")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn records_have_the_shape_that_lambda_gives_them() {
    let bench = Bench::in_memory(&[]).await;
    bench.put("USER#a", "show").await;
    let said = bench.until("told show").await;
    let event: Value = serde_json::from_str(said[0].strip_prefix("event ").unwrap()).unwrap();
    let [record] = event["Records"].as_array().unwrap().as_slice() else { panic!("{event}") };
    assert_eq!((&record["eventName"], &record["eventVersion"]), (&json!("INSERT"), &json!("1.1")));
    assert_eq!((&record["eventSource"], &record["awsRegion"]), (&json!("aws:dynamodb"), &json!("us-east-1")));
    assert_eq!(record["eventID"].as_str().unwrap().len(), 32);
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/gatehouse/stream/1970-01-01T00:00:00.000";
    assert_eq!(record["eventSourceARN"], arn);
    let change = &record["dynamodb"];
    assert_eq!(change["Keys"], json!({"pk": {"S": "USER#a"}, "sk": {"S": "show"}}));
    assert_eq!(change["StreamViewType"], "KEYS_ONLY");
    assert_eq!(change["SequenceNumber"].as_str().unwrap().len(), 21);
    assert!(change["ApproximateCreationDateTime"].as_f64().unwrap() > 1_700_000_000.0);
    assert!(change["SizeBytes"].as_u64().unwrap() > 0);
    assert!(change.get("NewImage").is_none() && change.get("OldImage").is_none() && !said[0].contains("hunter2"));
}

#[tokio::test]
async fn changes_that_no_filter_matches_are_not_told() {
    let bench = Bench::in_memory(&[("BatchSize", "1")]).await;
    for (pk, sk) in [("USER#a", "1"), ("SESSION#a", "2"), ("USER#b", "3")] {
        bench.put(pk, sk).await;
    }
    assert_eq!(bench.until("told 3").await, ["told 1", "told 3"]);
}

#[tokio::test]
async fn batches_come_in_order_and_hold_no_more_than_they_may() {
    let bench = Bench::in_memory(&[("BatchSize", "2")]).await;
    bench.put_together(&["1", "2", "3", "4", "5"]).await;
    assert_eq!(bench.until("told 5").await, ["told 1,2", "told 3,4", "told 5"]);
}

#[tokio::test]
async fn a_batch_that_failed_is_made_again() {
    let bench = Bench::in_memory(&[("Retries", "-1")]).await;
    bench.put_together(&["1", "fail twice"]).await;
    bench.put("USER#a", "3").await;
    let said = bench.until("told 1,fail twice").await;
    assert!(said.iter().all(|line| line.ends_with("1,fail twice") || line.ends_with("1,fail twice,3")), "{said:?}");
    assert_eq!(said.iter().filter(|line| line.starts_with("refused")).count(), 2, "{said:?}");
}

#[tokio::test]
async fn a_batch_that_fails_too_often_is_given_up_and_the_next_is_told() {
    let bench = Bench::in_memory(&[("Retries", "1"), ("BatchSize", "2")]).await;
    bench.put_together(&["1", "fail", "3"]).await;
    assert_eq!(bench.until("told 3").await, ["refused 1,fail", "refused 1,fail", "told 3"]);
    let log = bench.log.contents();
    assert!(log.contains("[stream] consume failed 2 changes of gatehouse, "), "{log}");
    assert!(log.contains("[stream] consume is not told of 2 changes of gatehouse, "), "{log}");
    assert!(log.contains("arn:aws:sqs:us-east-1:123456789012:gatehouse-Failures would be told"), "{log}");
}

#[tokio::test]
async fn a_batch_is_halved_until_only_what_fails_is_given_up() {
    let bench = Bench::in_memory(&[("Retries", "0"), ("Bisect", "true")]).await;
    bench.put_together(&["1", "2", "fail", "4"]).await;
    let said = bench.until("told 4").await;
    assert_eq!(said, ["refused 1,2,fail,4", "told 1,2", "refused fail,4", "refused fail", "told 4"]);
    assert!(bench.log.contents().contains("consume is not told of a change of gatehouse, "));
}

#[tokio::test]
async fn a_stack_that_starts_again_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let file = StoreLocation::File(folder.path().join("dynamodb.sqlite"));
    let bench = Bench::start(file.clone(), &[("Retries", "-1"), ("BatchSize", "1")]).await;
    bench.put("USER#a", "1").await;
    bench.until("told 1").await;
    bench.put("USER#a", "fail").await;
    bench.until("refused fail").await;
    bench.stack.stop().await;

    let bench = Bench::start(file, &[("BatchSize", "1")]).await;
    bench.put("USER#a", "3").await;
    assert_eq!(bench.until("told 3").await, ["refused fail", "refused fail", "told 3"]);
    bench.stack.stop().await;
}

#[tokio::test]
async fn latest_begins_with_what_comes_after_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = StoreLocation::File(folder.path().join("dynamodb.sqlite"));
    let bench = Bench::start(file.clone(), &[]).await;
    bench.put("USER#a", "1").await;
    bench.until("told 1").await;
    bench.stack.stop().await;
    // It is there unless the stack was stopped before.
    let _ = std::fs::remove_file(folder.path().join("dynamodb.checkpoints.json"));

    let bench = Bench::start(file, &[("Start", "LATEST")]).await;
    bench.put("USER#a", "2").await;
    assert_eq!(bench.until("told 2").await, ["told 2"]);
}

#[tokio::test]
async fn a_store_elsewhere_tells_nobody_and_says_so() {
    let elsewhere = Bench::in_memory(&[]).await;
    let bench = Bench::start(StoreLocation::Endpoint(elsewhere.stack.store_url().to_owned()), &[]).await;
    assert!(bench.log.contents().contains("[stream] consume is told of no changes: that takes the embedded store"));
}
