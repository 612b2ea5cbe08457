//! A table for one test, as template.yaml describes it, in an embedded store that all tests of the process share.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use dynoxide::Database;
use rand::{rand_core::UnwrapErr, rngs::SysRng};
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

pub type Row = HashMap<String, AttributeValue>;

/// The store of a table of its own.
pub async fn store() -> Store {
    Table::create().await.store
}

/// A table of its own, its store, and a way past the store to its rows.
#[derive(Clone)]
pub struct Table {
    pub store: Store,
    client: Client,
    name: String,
}

impl Table {
    pub async fn create() -> Self {
        static TABLES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("table-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        let sdk = laptop_config(endpoint()).await;
        let client = Client::new(&sdk);
        let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml")).unwrap();
        let template: Yaml = serde_yaml_ng::from_str(&template).unwrap();
        let properties = &template["Resources"]["Table"]["Properties"];
        let entries = |list: &str, value: &str| -> Vec<(String, String)> {
            let entry = |entry: &Yaml, member: &str| entry[member].as_str().unwrap().to_owned();
            let list = properties[list].as_sequence().unwrap().iter();
            list.map(|one| (entry(one, "AttributeName"), entry(one, value))).collect()
        };
        let mut table = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in entries("AttributeDefinitions", "AttributeType") {
            let kind = ScalarAttributeType::from(kind.as_str());
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
            table = table.attribute_definitions(attribute.unwrap());
        }
        for (name, kind) in entries("KeySchema", "KeyType") {
            let kind = KeyType::from(kind.as_str());
            table = table.key_schema(KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap());
        }
        table.send().await.unwrap();
        Self { store: Store::new(&sdk, &name), client, name }
    }

    /// The store behind another address.
    pub async fn store_at(&self, url: &str) -> Store {
        Store::new(&laptop_config(url).await, &self.name)
    }

    /// Every row.
    pub async fn rows(&self) -> Vec<Row> {
        let rows = self.client.scan().table_name(&self.name).consistent_read(true).into_paginator().items().send();
        rows.collect::<Result<_, _>>().await.unwrap()
    }

    /// The only row whose partition key begins so.
    pub async fn row(&self, prefix: &str) -> Row {
        let mut rows = self.rows().await;
        rows.retain(|row| row["pk"].as_s().unwrap().starts_with(prefix));
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    /// Puts a row in the place of the one with its key.
    pub async fn put(&self, row: Row) {
        self.client.put_item().table_name(&self.name).set_item(Some(row)).send().await.unwrap();
    }
}

/// The embedded store, on a thread to itself: a test's runtime ends with the test.
pub fn endpoint() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let database = Database::memory().unwrap();
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
    User::new(username(name), hash(), scopes("read write"), NOW)
}
