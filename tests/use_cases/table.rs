//! The tables for one test, as template.yaml describes them, in an embedded store that all tests of the process share.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use dynoxide::Database;
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use serde_json::json;
use serde_yaml_ng::Value as Yaml;
use shared::{
    aws::sdk::laptop_config,
    password::{Cost, PasswordHash},
    scope::Scopes,
    store::Store,
    time::Timestamp,
    user::User,
    username::Username,
};

/// A point in time for the tests; nothing here looks at a clock.
pub const NOW: Timestamp = Timestamp(1_800_000_000);

/// Time enough for any removal here.
pub const MINUTE: Duration = Duration::from_mins(1);

pub type Row = HashMap<String, AttributeValue>;

/// The store of a table of its own.
pub async fn store() -> Store {
    Table::create().store
}

/// A table of its own and one of counts, their store, and a way past the store to their rows.
#[derive(Clone)]
pub struct Table {
    pub store: Store,
    client: Client,
    name: String,
    /// The table of counts.
    counts: String,
}

impl Table {
    pub fn create() -> Self {
        static TABLES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("table-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        let counts = format!("{name}-counts");
        let sdk = laptop_config(endpoint());
        let client = Client::new(&sdk);
        create_table("Table", &name);
        create_table("CountsTable", &counts);
        Self { store: Store::new(&sdk, &name).counting_in(&counts), client, name, counts }
    }

    /// The store behind another address.
    pub fn store_at(&self, url: &str) -> Store {
        Store::new(&laptop_config(url), &self.name).counting_in(&self.counts)
    }

    /// The store of a function that counts nothing.
    pub fn store_without_counts(&self) -> Store {
        Store::new(&laptop_config(endpoint()), &self.name)
    }

    /// Every row of the main table.
    pub async fn rows(&self) -> Vec<Row> {
        self.scan(&self.name).await
    }

    /// Every row of the table of counts.
    pub async fn counts(&self) -> Vec<Row> {
        self.scan(&self.counts).await
    }

    async fn scan(&self, table: &str) -> Vec<Row> {
        let rows = self.client.scan().table_name(table).consistent_read(true).into_paginator().items().send();
        rows.collect::<Result<_, _>>().await.unwrap()
    }

    /// The only row whose partition key begins so.
    pub async fn row(&self, prefix: &str) -> Row {
        let mut rows = self.rows().await;
        rows.retain(|row| row["pk"].as_s().unwrap().starts_with(prefix));
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    /// Puts many rows.
    pub async fn put_all(&self, rows: Vec<Row>) {
        let put = |row| PutRequest::builder().set_item(Some(row)).build().unwrap();
        let writes: Vec<WriteRequest> =
            rows.into_iter().map(|row| WriteRequest::builder().put_request(put(row)).build()).collect();
        for batch in writes.chunks(25) {
            self.client.batch_write_item().request_items(&self.name, batch.to_vec()).send().await.unwrap();
        }
    }

    /// Deletes the row with this key.
    pub async fn delete(&self, pk: &str, sk: &str) {
        let delete = self.client.delete_item().table_name(&self.name);
        let delete = delete.key("pk", AttributeValue::S(pk.to_owned())).key("sk", AttributeValue::S(sk.to_owned()));
        delete.send().await.unwrap();
    }

    /// Puts a row in the place of the one with its key, counts into their own table.
    pub async fn put(&self, row: Row) {
        let is_count = row["pk"].as_s().unwrap().starts_with("ATTEMPT#");
        let table = if is_count { &self.counts } else { &self.name };
        self.client.put_item().table_name(table).set_item(Some(row)).send().await.unwrap();
    }
}

/// Creates a table of template.yaml under this name. `CloudFormation` and `CreateTable` have the same words for it.
fn create_table(resource: &str, name: &str) {
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml")).unwrap();
    let template: Yaml = serde_yaml_ng::from_str(&template).unwrap();
    let mut table = json!({ "TableName": name });
    for property in ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"] {
        let value = &template["Resources"][resource]["Properties"][property];
        if !value.is_null() {
            table[property] = serde_json::to_value(value).unwrap();
        }
    }
    database().create_table(serde_json::from_value(table).unwrap()).unwrap();
}

/// The embedded store's data.
fn database() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| Database::memory().unwrap())
}

/// The embedded store, on a thread to itself: a test's runtime ends with the test.
pub fn endpoint() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let database = database().clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()).await.unwrap();
            });
        });
        url
    })
}

pub fn username(name: &str) -> Username {
    Username::parse(name).unwrap()
}

pub fn scopes(list: &str) -> Scopes {
    Scopes::parse(list).unwrap()
}

/// A hash that no password fits.
pub fn hash() -> PasswordHash {
    PasswordHash::decoy(Cost::new(4).unwrap(), &mut UnwrapErr(SysRng))
}

/// An account that may sign in, and isn't in the table yet.
pub fn user(name: &str) -> User {
    User::new(username(name), hash(), scopes("read write"), NOW, &mut UnwrapErr(SysRng))
}
