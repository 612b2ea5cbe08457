//! Drives the embedded store's tables through Amazon's own client.

#![expect(clippy::unwrap_used, reason = "a failed assumption fails the test")]

mod options;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use local::{Options, Stack, StartError, StoreError, StoreLocation};
use shared::aws::sdk::laptop_config;

use crate::options::ECHOES;

fn options(template: &str, store: StoreLocation) -> Options {
    Options { store, ..options::options(template, ECHOES) }
}

fn client(stack: &Stack) -> Client {
    Client::new(&laptop_config(stack.store_url()))
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn put(client: &Client, table: &str, attributes: &[(&str, &str)]) {
    let item = attributes.iter().map(|(name, value)| ((*name).to_owned(), s(value))).collect();
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

async fn count(client: &Client, table: &str) -> i32 {
    client.scan().table_name(table).send().await.unwrap().count
}

#[tokio::test]
async fn each_table_has_rows_of_its_own() {
    let stack = Stack::start(options("tables.yaml", StoreLocation::Memory)).await.unwrap();
    let client = client(&stack);
    assert_eq!((stack.table("Table"), stack.table("CountsTable")), (Some("gatehouse"), Some("gatehouse-counts")));
    assert_eq!((stack.table_name(), stack.table("Nothing")), ("gatehouse", None));
    put(&client, "gatehouse-counts", &[("pk", "a")]).await;
    assert_eq!((count(&client, "gatehouse").await, count(&client, "gatehouse-counts").await), (0, 1));
    let variables = stack.environment("echo").unwrap();
    assert_eq!(
        (&*variables["TABLE_NAME"], &*variables["COUNTS_TABLE_NAME"]),
        ("gatehouse".as_ref(), "gatehouse-counts".as_ref())
    );
}

#[tokio::test]
async fn an_index_lists_the_rows_that_have_its_key() {
    let stack = Stack::start(options("tables.yaml", StoreLocation::Memory)).await.unwrap();
    let client = client(&stack);
    for name in ["b", "a"] {
        put(&client, "gatehouse", &[("pk", name), ("sk", "USER"), ("listed", "yes"), ("note", name)]).await;
    }
    put(&client, "gatehouse", &[("pk", "c"), ("sk", "USER")]).await;
    let query = client.query().table_name("gatehouse").index_name("users").key_condition_expression("listed = :yes");
    let answer = query.expression_attribute_values(":yes", s("yes")).send().await.unwrap();
    let notes: Vec<_> = answer.items().iter().map(|row| row["note"].as_s().unwrap().as_str()).collect();
    assert_eq!(notes, ["a", "b"]);
}

#[tokio::test]
async fn data_of_an_older_layout_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    let older = folder.path().join("dynamodb.older-1.sqlite");
    let start = async |template| {
        let options = options(template, StoreLocation::File(file.clone()));
        let log = options.log.clone();
        (Stack::start(options).await.unwrap(), log)
    };
    let (stack, _) = start("gateway.yaml").await;
    put(&client(&stack), "gatehouse", &[("pk", "kept"), ("sk", "USER")]).await;
    stack.stop().await;

    let (stack, log) = start("tables.yaml").await;
    let log = log.contents();
    let said = format!("[store] {} is of an older layout: the table gatehouse has no index users.\n", file.display());
    assert!(log.contains(&said), "{log}");
    assert!(log.contains(&format!("It is kept as {}, and the store begins empty.", older.display())), "{log}");
    assert_eq!(count(&client(&stack), "gatehouse").await, 0);
    put(&client(&stack), "gatehouse", &[("pk", "new"), ("sk", "USER")]).await;
    stack.stop().await;

    // With the layout that the template has, nothing is set aside; nor is it for an index more than the template has.
    for template in ["tables.yaml", "gateway.yaml"] {
        let (stack, log) = start(template).await;
        assert!(!log.contents().contains("older"), "{}", log.contents());
        assert_eq!(count(&client(&stack), "gatehouse").await, 1);
        stack.stop().await;
    }

    // What was set aside is whole.
    let stack = Stack::start(options("gateway.yaml", StoreLocation::File(older))).await.unwrap();
    let rows = client(&stack).scan().table_name("gatehouse").send().await.unwrap();
    assert_eq!(rows.items()[0]["pk"], s("kept"));
    stack.stop().await;
}

#[tokio::test]
async fn a_store_elsewhere_of_another_layout_is_refused() {
    let elsewhere = Stack::start(options("gateway.yaml", StoreLocation::Memory)).await.unwrap();
    let there = StoreLocation::Endpoint(elsewhere.store_url().to_owned());
    let error = Stack::start(options("tables.yaml", there)).await.err().unwrap();
    let StartError::Store(StoreError::OtherLayout { difference, .. }) = error else { panic!("{error:?}") };
    assert_eq!(difference, "the table gatehouse has no index users");
}
