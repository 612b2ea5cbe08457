//! The `DynamoDB` that the functions talk to: embedded, or one that runs elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
    TimeToLiveStatus,
};
use aws_smithy_http_client::Builder;
use dynoxide::Database;

use crate::cloudformation::{REGION, TableSpec};
use crate::server::Server;

/// How often rows whose time is up are deleted. `DynamoDB` takes its time too.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// How long a store elsewhere may take to create the table.
const TABLE_LIMIT: Duration = Duration::from_secs(30);

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// In an embedded store that is gone with the stack.
    Memory,
    /// In an embedded store's file, which is made if it isn't there.
    File(PathBuf),
    /// In the `DynamoDB` at this URL.
    Endpoint(String),
}

/// The store couldn't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another program listens there.
    #[error("the store can't listen on {address}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it can't.
        source: std::io::Error,
    },
    /// The embedded store's file can't be opened.
    #[error("the store can't open {path}")]
    Open {
        /// The file, or where it would be.
        path: PathBuf,
        /// Why it can't.
        source: BoxError,
    },
    /// The table couldn't be created or looked at.
    #[error("the table {table} can't be made ready at {endpoint}")]
    Table {
        /// The table's name.
        table: String,
        /// The `DynamoDB` that was asked.
        endpoint: String,
        /// What it said.
        source: BoxError,
    },
}

/// The store, ready for use.
pub(crate) struct Store {
    url: String,
    embedded: Option<Server>,
}

impl Store {
    /// Opens the store, `host` and `port` being for an embedded one, and sees that `table` is there.
    ///
    /// # Errors
    /// It can't be opened, can't listen, or doesn't take the table.
    pub(crate) async fn start(
        location: &StoreLocation,
        host: IpAddr,
        port: u16,
        table: &TableSpec,
    ) -> Result<Self, StoreError> {
        let store = match location {
            StoreLocation::Endpoint(url) => Self { url: url.clone(), embedded: None },
            StoreLocation::Memory => Self::embed(Database::memory(), Path::new(":memory:"), host, port)?,
            StoreLocation::File(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)
                        .map_err(|source| StoreError::Open { path: path.clone(), source: source.into() })?;
                }
                Self::embed(Database::new(&path.to_string_lossy()), path, host, port)?
            }
        };
        ensure_table(&client(&store.url), table).await.map_err(|source| StoreError::Table {
            table: table.name.clone(),
            endpoint: store.url.clone(),
            source,
        })?;
        Ok(store)
    }

    fn embed<E: std::error::Error + Send + Sync + 'static>(
        database: Result<Database, E>,
        path: &Path,
        host: IpAddr,
        port: u16,
    ) -> Result<Self, StoreError> {
        let database = database.map_err(|source| StoreError::Open { path: path.to_owned(), source: source.into() })?;
        let address = SocketAddr::new(host, port);
        let server = TcpListener::bind(address)
            .and_then(|listener| Server::start("store", listener, move |listener| serve(listener, database.clone())))
            .map_err(|source| StoreError::Listen { address, source })?;
        Ok(Self { url: format!("http://{}", reachable(server.address())), embedded: Some(server) })
    }

    /// The endpoint, as seen from this machine.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Stops listening and cuts every connection; the data stays.
    pub(crate) async fn pause(&mut self) {
        if let Some(server) = &mut self.embedded {
            server.pause().await;
        }
    }

    /// Listens again where it did before.
    pub(crate) fn resume(&mut self) -> Result<(), StoreError> {
        let Some(server) = &mut self.embedded else { return Ok(()) };
        server.resume().map_err(|source| StoreError::Listen { address: server.address(), source })
    }
}

async fn serve(listener: tokio::net::TcpListener, database: Database) {
    let sweeping = async {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            let database = database.clone();
            // The next sweep tries the rest again.
            let _ = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        }
    };
    let serving = dynoxide::server::serve_with_shutdown(listener, database.clone(), std::future::pending());
    tokio::join!(serving, sweeping);
}

/// A URL can't name the address that stands for all of a machine's.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A client for a store on this machine, or next to it: neither credentials nor TLS matter there.
fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

async fn ensure_table(client: &Client, table: &TableSpec) -> Result<(), BoxError> {
    match client.describe_table().table_name(&table.name).send().await {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => {
            create_table(client, table).await?;
        }
        Err(error) => return Err(error.into()),
    }
    client.wait_until_table_exists().table_name(&table.name).wait(TABLE_LIMIT).await?;

    let Some(attribute) = &table.ttl_attribute else { return Ok(()) };
    let present = client.describe_time_to_live().table_name(&table.name).send().await?;
    let status = present.time_to_live_description().and_then(|description| description.time_to_live_status());
    if !matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        let specification = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build()?;
        client.update_time_to_live().table_name(&table.name).time_to_live_specification(specification).send().await?;
    }
    Ok(())
}

async fn create_table(client: &Client, table: &TableSpec) -> Result<(), BoxError> {
    let mut request = client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in &table.attributes {
        let kind = ScalarAttributeType::from(kind.as_str());
        let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()?;
        request = request.attribute_definitions(definition);
    }
    for (name, kind) in &table.keys {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(KeyType::from(kind.as_str())).build()?;
        request = request.key_schema(key);
    }
    request.send().await?;
    Ok(())
}
