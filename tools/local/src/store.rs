//! The `DynamoDB` that the functions talk to: embedded, or one that runs elsewhere.

mod set_aside;
mod stream;
mod stream_index;
mod tables;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_dynamodb::error::BoxError;
use dynoxide::Database;

pub(crate) use self::stream::Stream;
use self::tables::Tables;
use crate::cloudformation::TableSpec;
use crate::log::LogSink;
use crate::server::Server;

/// How often rows whose time is up are deleted. `DynamoDB` takes its time too.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

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
    /// A store elsewhere has a table that isn't as the template has it.
    #[error("{difference} at {endpoint}: delete that table, or use another store")]
    OtherLayout {
        /// The `DynamoDB` that has it.
        endpoint: String,
        /// What its table has or lacks.
        difference: String,
    },
    /// A table's stream of changes can't be read.
    #[error("the stream of the table {table} can't be read")]
    Stream {
        /// The table's name.
        table: String,
        /// What the store said.
        source: BoxError,
    },
    /// The embedded store's file is of an older layout, and can't be renamed.
    #[error("{path} is of an older layout, and can't be set aside")]
    SetAside {
        /// The file.
        path: PathBuf,
        /// Why it can't.
        source: std::io::Error,
    },
}

/// The store, ready for use.
pub(crate) struct Store {
    url: String,
    /// `None` where the store is elsewhere.
    embedded: Option<Embedded>,
}

struct Embedded {
    server: Server,
    database: Database,
    /// `None` where the data are in memory.
    file: Option<PathBuf>,
}

impl Store {
    /// Opens the store, `host` and `port` being for an embedded one, and sees that the tables are there.
    ///
    /// A file with a table of an older layout is set aside, and `log` is told so; the store then begins empty.
    ///
    /// # Errors
    /// It can't be opened, can't listen, or doesn't take a table.
    pub(crate) async fn start(
        location: &StoreLocation,
        (host, port): (IpAddr, u16),
        tables: &BTreeMap<String, TableSpec>,
        log: &LogSink,
    ) -> Result<Self, StoreError> {
        let mut store = Self::open(location, host, port)?;
        if let Some(difference) = Tables::at(&store.url).difference(tables.values()).await? {
            let StoreLocation::File(path) = location else {
                return Err(StoreError::OtherLayout { endpoint: store.url, difference });
            };
            // The file is closed with the server.
            store.pause().await;
            drop(store);
            let aside =
                set_aside::set_aside(path).map_err(|source| StoreError::SetAside { path: path.clone(), source })?;
            let (path, aside) = (path.display(), aside.display());
            log.line("store", &format!("{path} is of an older layout: {difference}."));
            log.line("store", &format!("It is kept as {aside}, and the store begins empty."));
            store = Self::open(location, host, port)?;
        }
        Tables::at(&store.url).create(tables.values()).await?;
        Ok(store)
    }

    fn open(location: &StoreLocation, host: IpAddr, port: u16) -> Result<Self, StoreError> {
        match location {
            StoreLocation::Endpoint(url) => Ok(Self { url: url.clone(), embedded: None }),
            StoreLocation::Memory => {
                // With a name, so that the index can be made over another connection.
                let name = format!("file:{}?mode=memory&cache=shared", crate::random::uuid());
                Self::embed(&name, None, host, port)
            }
            StoreLocation::File(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)
                        .map_err(|source| StoreError::Open { path: path.clone(), source: source.into() })?;
                }
                Self::embed(&path.to_string_lossy(), Some(path), host, port)
            }
        }
    }

    /// Serves the database of this name: a path, or a URI of `SQLite`.
    fn embed(name: &str, file: Option<&PathBuf>, host: IpAddr, port: u16) -> Result<Self, StoreError> {
        let database = Database::new(name)
            .and_then(|database| stream_index::prepare(name).map(|()| database))
            .map_err(|source| StoreError::Open { path: name.into(), source: source.into() })?;
        let address = SocketAddr::new(host, port);
        let data = database.clone();
        let server = TcpListener::bind(address)
            .and_then(|listener| Server::start("store", listener, move |listener| serve(listener, data.clone())))
            .map_err(|source| StoreError::Listen { address, source })?;
        let url = format!("http://{}", reachable(server.address()));
        Ok(Self { url, embedded: Some(Embedded { server, database, file: file.cloned() }) })
    }

    /// The endpoint, as seen from this machine.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The stream of the table of this name; `None` where the store is elsewhere.
    pub(crate) fn stream(&self, table: &str) -> Option<Stream> {
        self.embedded.as_ref().map(|embedded| Stream::new(embedded.database.clone(), table))
    }

    /// The file that says how far functions have been told of changes: beside the store's. `None` where the data go with
    /// the stack.
    pub(crate) fn checkpoints(&self) -> Option<PathBuf> {
        let file = self.embedded.as_ref()?.file.as_ref()?;
        Some(set_aside::checkpoints(file))
    }

    /// Stops listening and cuts every connection; the data stays.
    pub(crate) async fn pause(&mut self) {
        if let Some(embedded) = &mut self.embedded {
            embedded.server.pause().await;
        }
    }

    /// Listens again where it did before.
    pub(crate) fn resume(&mut self) -> Result<(), StoreError> {
        let Some(Embedded { server, .. }) = &mut self.embedded else { return Ok(()) };
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
