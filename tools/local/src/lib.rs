//! The whole stack on one machine: the API, the functions, the table and the secrets of a SAM template.
//!
//! [`Stack::start`] reads `template.yaml`, so that the laptop and AWS can't drift apart: its routes,
//! authorizer, gateway responses and settings are what is served here. Each function runs as its own
//! process behind the Lambda Runtime API; the store is an embedded `DynamoDB`, and the secrets are in a
//! small stand-in for Secrets Manager, which rotates them when it's told to.
//!
//! The gateway is an API Gateway REST API wherever a client or a function can tell. Not emulated:
//! IAM, throttling, usage plans, WAF, CORS that API Gateway answers by itself, request validation,
//! mapping templates beyond `$context` in gateway responses, stage variables, response streaming,
//! metrics and access logs. There is no TLS, and the URL has no stage in its path.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

mod binaries;
mod event;
mod function;
mod gateway;
mod intrinsics;
mod logs;
mod policy;
mod random_password;
mod refusal;
mod routes;
mod runtime_api;
mod secrets;
mod server;
mod store;
mod template;
mod vault;

pub use binaries::{BuildError, build_for_release, build_functions, build_functions_for_tests};
pub use function::{FunctionError, Invocation};
pub use logs::LogSink;
pub use secrets::{RotateError, SecretsError, SecretsLocation};
pub use store::{StoreError, StoreLocation};
pub use template::TemplateError;

use function::{Call, Function};
use gateway::Gateway;
use routes::Routes;
use secrets::Secrets;
use server::Server;
use store::Store;
use template::{FunctionSpec, Template};

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workspace's root.
    pub root: PathBuf,
    /// The SAM template.
    pub template: PathBuf,
    /// The address that the gateway and an embedded store listen on.
    pub host: IpAddr,
    /// The gateway's port; 0 takes any free one.
    pub port: u16,
    /// Where the data is.
    pub store: StoreLocation,
    /// An embedded store's port; 0 takes any free one.
    pub store_port: u16,
    /// Where the secrets are.
    pub secrets: SecretsLocation,
    /// The secrets' port, on the loopback interface whatever `host` is; 0 takes any free one.
    pub secrets_port: u16,
    /// Values for the template's parameters, in the place of their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Environment variables for functions, by the name of the binary, over those of the template.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
    /// The functions' binaries.
    pub functions: Functions,
    /// Where the functions' output goes.
    pub log: LogSink,
}

/// Where the functions' binaries come from.
#[derive(Clone, Debug)]
pub enum Functions {
    /// Cargo builds them.
    Build,
    /// They are built already: absolute paths by the name of the binary.
    At(BTreeMap<String, PathBuf>),
}

/// The stack couldn't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The template can't be read.
    #[error("{path} can't be read")]
    Read {
        /// The template.
        path: PathBuf,
        /// Why it can't.
        source: std::io::Error,
    },
    /// The template can't be served.
    #[error("the template can't be served")]
    Template(#[from] TemplateError),
    /// Another program listens on the gateway's port.
    #[error("the gateway can't listen on {address}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it can't.
        source: std::io::Error,
    },
    /// The functions can't be built.
    #[error("the functions can't be built")]
    Build(#[from] BuildError),
    /// The template has a function that there is no binary for.
    #[error("there is no binary for the function {0}")]
    MissingBinary(String),
    /// The store isn't ready.
    #[error("the store isn't ready")]
    Store(#[from] StoreError),
    /// The secrets aren't ready.
    #[error("the secrets aren't ready")]
    Secrets(#[from] SecretsError),
    /// The task that ran cargo was lost.
    #[error("the build was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// A running stack. Dropping it ends every process that it has started.
pub struct Stack {
    url: String,
    store_url: String,
    table_name: String,
    functions: Arc<BTreeMap<String, Arc<Function>>>,
    gateway: JoinHandle<()>,
    store: Mutex<Store>,
    secrets_url: String,
    secrets: Arc<Secrets>,
    secrets_server: Mutex<Server>,
}

impl Stack {
    /// Starts everything; functions get their processes with their first calls.
    ///
    /// # Errors
    /// The template can't be served, a port is taken, the build fails, or the store isn't ready.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let yaml = std::fs::read_to_string(&options.template)
            .map_err(|source| StartError::Read { path: options.template.clone(), source })?;
        let vault = secrets::open(&options.secrets)?;
        let template = Template::parse(&yaml, &options.parameters, &vault.arns())?;
        let routes = Routes::new(&template.routes)?;

        let address = SocketAddr::new(options.host, options.port);
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let url = format!("http://{}", store::reachable(address));
        let store = Store::start(&options.store, options.host, options.store_port, &template.table).await?;
        let (secrets_listener, secrets_address) = secrets::listen(options.secrets_port)?;
        let secrets_url = format!("http://{secrets_address}");

        let binaries = match options.functions {
            Functions::At(binaries) => binaries,
            Functions::Build => {
                let root = options.root.clone();
                tokio::task::spawn_blocking(move || build_functions(&root)).await??
            }
        };
        let mut functions = BTreeMap::new();
        for (name, spec) in &template.functions {
            let executable = binaries.get(name).ok_or_else(|| StartError::MissingBinary(name.clone()))?;
            let mut variables = variables(spec, store.url(), &secrets_url, &url, template.issuer.is_none());
            variables.extend(options.environment.get(name).cloned().unwrap_or_default());
            let function = Function::new(name.clone(), executable.clone(), spec, variables, options.log.clone());
            functions.insert(name.clone(), Arc::new(function));
        }
        let functions = Arc::new(functions);
        let secrets = Arc::new(Secrets::new(vault, &template.secrets, &functions)?);
        let secrets_server = secrets
            .serve(secrets_listener)
            .map_err(|source| SecretsError::Listen { address: secrets_address, source })?;
        let table_name = template.table.name.clone();
        let gateway =
            Gateway::new(template, routes, address.port(), Arc::clone(&functions), options.log).serve(listener);
        Ok(Self {
            url,
            store_url: store.url().to_owned(),
            table_name,
            functions,
            gateway,
            store: Mutex::new(store),
            secrets_url,
            secrets,
            secrets_server: Mutex::new(secrets_server),
        })
    }

    /// The gateway's URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The endpoint of the `DynamoDB` that the functions use.
    #[must_use]
    pub fn store_url(&self) -> &str {
        &self.store_url
    }

    /// The table's name.
    #[must_use]
    pub fn table_name(&self) -> &str {
        &self.table_name
    }

    /// The endpoint of the Secrets Manager that the functions use.
    #[must_use]
    pub fn secrets_url(&self) -> &str {
        &self.secrets_url
    }

    /// The ARN of the secret that has a rotation schedule.
    #[must_use]
    pub fn secret_arn(&self) -> Option<&str> {
        self.secrets.rotated()
    }

    /// Rotates that secret, as `RotateSecret` does, and returns when the four steps have run. A rotation
    /// that was broken off is taken up.
    ///
    /// # Errors
    /// There is no such secret, or a step fails.
    pub async fn rotate(&self) -> Result<(), RotateError> {
        let arn = self.secret_arn().ok_or(RotateError::NoSchedule)?;
        self.secrets.rotate(arn, &random_uuid()).await?;
        Ok(())
    }

    /// Calls one function with an event, past the gateway.
    pub async fn invoke(&self, function: &str, event: &[u8]) -> Invocation {
        let Some(function) = self.functions.get(function) else { return Invocation::NotFound };
        function.invoke(Call::new(Bytes::copy_from_slice(event))).await
    }

    /// What a process of the function is started with, but for the address of its Runtime API; `None` where the
    /// template has no such function.
    #[must_use]
    pub fn environment(&self, function: &str) -> Option<BTreeMap<String, OsString>> {
        self.functions.get(function).map(|function| function.variables())
    }

    /// Sets a variable of a function, as a deployment would: calls that come later go to new instances. `false`:
    /// the template has no such function.
    pub async fn set_variable(&self, function: &str, name: &str, value: &str) -> bool {
        let Some(function) = self.functions.get(function) else { return false };
        function.set_variable(name, value).await;
        true
    }

    /// Kills every process of a function (SIGKILL), also in the middle of a call; calls that come later start new
    /// ones. `false`: the template has no such function.
    pub async fn kill(&self, function: &str) -> bool {
        let Some(function) = self.functions.get(function) else { return false };
        function.kill().await;
        true
    }

    /// Takes an embedded store away: connections are cut, new ones refused, until
    /// [`start_store`](Self::start_store). Does nothing to a store elsewhere.
    pub async fn stop_store(&self) {
        self.store.lock().await.pause().await;
    }

    /// Brings the store back with the same data, on the same port.
    ///
    /// # Errors
    /// Another program has taken the port in the meantime.
    pub async fn start_store(&self) -> Result<(), StoreError> {
        self.store.lock().await.resume()
    }

    /// Takes the secrets away: connections are cut, new ones refused, until
    /// [`start_secrets`](Self::start_secrets).
    pub async fn stop_secrets(&self) {
        self.secrets_server.lock().await.pause().await;
    }

    /// Brings the secrets back, on the same port.
    ///
    /// # Errors
    /// Another program has taken the port in the meantime.
    pub async fn start_secrets(&self) -> Result<(), SecretsError> {
        let mut server = self.secrets_server.lock().await;
        server.resume().map_err(|source| SecretsError::Listen { address: server.address(), source })
    }

    /// Ends the gateway and every function, and waits until their processes are gone.
    pub async fn stop(self) {
        self.gateway.abort();
        for function in self.functions.values() {
            function.stop().await;
        }
        self.stop_store().await;
        self.stop_secrets().await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.gateway.abort();
        for function in self.functions.values() {
            function.end();
        }
    }
}

/// The workspace's root: the nearest folder from `start` upwards that has a `template.yaml`.
#[must_use]
pub fn find_root(start: &Path) -> Option<&Path> {
    start.ancestors().find(|folder| folder.join("template.yaml").is_file())
}

/// A function's variables with what differs from AWS: the store and the secrets are ours, and so is the
/// issuer unless the template's parameter sets one.
fn variables(
    spec: &FunctionSpec,
    store_url: &str,
    secrets_url: &str,
    url: &str,
    is_issuer: bool,
) -> BTreeMap<String, String> {
    let local = |name: &str| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(store_url.to_owned()),
        "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some(secrets_url.to_owned()),
        "ISSUER" if is_issuer => Some(url.to_owned()),
        _ => None,
    };
    spec.variables
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), local(name).or_else(|| value.clone())?)))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "the gateway stamps requests with the machine's time, as AWS does")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Random bytes for an id. It tells requests apart and is no secret, so that one of zeros, where the
/// system has no randomness to give, does no harm.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = SysRng.try_fill_bytes(&mut bytes);
    bytes
}

fn random_uuid() -> String {
    let mut bytes = random::<16>();
    // Version 4, variant 1: RFC 9562, section 5.4.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string doesn't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// `Root=1-<seconds>-<random>`, as X-Ray writes it.
fn random_trace_id() -> String {
    let seconds = now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("Root=1-{seconds:08x}-{}", hex(&random::<12>()))
}

fn random_extended_id() -> String {
    STANDARD.encode(random::<11>())
}
