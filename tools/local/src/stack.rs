//! The running stack: what it starts, and in which order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::binaries::{BuildError, build_functions};
use crate::cloudformation::{Document, FunctionSpec, MAIN_TABLE, ParameterError, Parameters, Template, TemplateError};
use crate::gateway::{Gateway, Sockets};
use crate::lambda::{Call, Function, Invocation};
use crate::secrets::{self, RotateError, Secrets, SecretsError};
use crate::server::Server;
use crate::store::{self, Store, StoreError};
use crate::streams;
use crate::{Functions, Options};

/// How often idle instances are looked for, at most and at least.
const SWEEPS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

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
    /// A parameter of the template can't have the value that it was given.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The template can't be served.
    #[error("the template can't be served")]
    Template(#[from] TemplateError),
    /// The gateway's address can't be had.
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
    address: SocketAddr,
    /// None once they listen.
    sockets: Option<Sockets>,
    store_url: String,
    /// Their names on AWS, by those in the template.
    tables: BTreeMap<String, String>,
    functions: Arc<BTreeMap<String, Arc<Function>>>,
    gateway: Arc<Gateway>,
    /// The gateway's servers, what tells functions of changes, and what ends idle instances.
    tasks: Vec<JoinHandle<()>>,
    store: Mutex<Store>,
    secrets_url: String,
    secrets: Arc<Secrets>,
    secrets_server: Mutex<Server>,
}

impl Stack {
    /// Starts everything; functions get their processes with their first calls.
    ///
    /// # Errors
    /// A parameter has a value that the template doesn't allow, the template can't be served, a port is taken, the
    /// build fails, or the store isn't ready.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let mut stack = Self::prepare(options).await?;
        stack.open()?;
        Ok(stack)
    }

    /// Starts everything but the gateway, which holds its port and refuses connections until it is told to
    /// [`open`](Self::open).
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn prepare(options: Options) -> Result<Self, StartError> {
        let yaml = std::fs::read_to_string(&options.template)
            .map_err(|source| StartError::Read { path: options.template.clone(), source })?;
        let document = Document::parse(&yaml)?;
        let parameters = Parameters::new(&document, &options.parameters)?;

        let address = SocketAddr::new(options.host, options.port);
        let sockets =
            Sockets::bind(options.host, options.port).map_err(|source| StartError::Listen { address, source })?;
        let address = sockets.address();
        let url = format!("http://{}", store::reachable(address));
        let vault = secrets::open(&options.secrets)?;
        let mut template = Template::read(&document, &parameters, &vault.arns())?;
        let tables = template.tables.iter().map(|(name, table)| (name.clone(), table.name.clone())).collect();
        let listen = (options.host, options.store_port);
        let store = Store::start(&options.store, listen, &template.tables, &options.log).await?;
        let (secrets_listener, secrets_address) = secrets::listen(options.secrets_port)?;
        let secrets_url = format!("http://{secrets_address}");

        let endpoints = Endpoints { url: &url, store: store.url(), secrets: &secrets_url };
        let functions = Arc::new(functions(&options, &template, &endpoints).await?);
        let secrets = Arc::new(Secrets::new(vault, &template.secrets, &functions)?);
        let secrets_server = secrets
            .serve(secrets_listener)
            .map_err(|source| SecretsError::Listen { address: secrets_address, source })?;
        let integration = options.limits.integration;
        let consumers = std::mem::take(&mut template.consumers);
        let log = options.log.clone();
        let gateway = Gateway::new(template, address.port(), integration, Arc::clone(&functions), options.log)?;
        let mut tasks = streams::start(consumers, &store, &functions, &log).await?;
        tasks.push(tokio::spawn(end_idle_instances(Arc::clone(&functions), options.limits.idle)));
        Ok(Self {
            url,
            address,
            sockets: Some(sockets),
            store_url: store.url().to_owned(),
            tables,
            functions,
            gateway: Arc::new(gateway),
            tasks,
            store: Mutex::new(store),
            secrets_url,
            secrets,
            secrets_server: Mutex::new(secrets_server),
        })
    }

    /// Lets requests in.
    ///
    /// # Errors
    /// Another program has taken the port in the meantime.
    pub fn open(&mut self) -> Result<(), StartError> {
        let Some(sockets) = self.sockets.take() else { return Ok(()) };
        let listeners = sockets.listen().map_err(|source| StartError::Listen { address: self.address, source })?;
        self.tasks.extend(listeners.into_iter().map(|listener| self.gateway.serve(listener)));
        Ok(())
    }

    /// The gateway's URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The gateway's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The endpoint of the `DynamoDB` that the functions use.
    #[must_use]
    pub fn store_url(&self) -> &str {
        &self.store_url
    }

    /// The name of the table with the accounts, `Table` in the template.
    #[must_use]
    pub fn table_name(&self) -> &str {
        self.table(MAIN_TABLE).unwrap_or_default()
    }

    /// The name of the table that the template calls so.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&str> {
        self.tables.get(name).map(String::as_str)
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
        self.secrets.rotate(arn, &crate::random::uuid()).await?;
        Ok(())
    }

    /// Calls one function with an event, past the gateway.
    pub async fn invoke(&self, function: &str, event: &[u8]) -> Invocation {
        let Some(function) = self.functions.get(function) else { return Invocation::NotFound };
        function.invoke(Call::new(Bytes::copy_from_slice(event))).await
    }

    /// The environment that a process of the function gets, without the address of its Runtime API; `None` where the
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
        self.tasks.iter().for_each(JoinHandle::abort);
        for function in self.functions.values() {
            function.stop().await;
        }
        self.stop_store().await;
        self.stop_secrets().await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        for function in self.functions.values() {
            function.end();
        }
    }
}

/// Where the parts of the stack are.
struct Endpoints<'a> {
    url: &'a str,
    store: &'a str,
    secrets: &'a str,
}

async fn functions(
    options: &Options,
    template: &Template,
    endpoints: &Endpoints<'_>,
) -> Result<BTreeMap<String, Arc<Function>>, StartError> {
    let binaries = match &options.functions {
        Functions::At(binaries) => binaries.clone(),
        Functions::Build => {
            let (root, names) = (options.root.clone(), template.functions.keys().cloned().collect::<Vec<_>>());
            tokio::task::spawn_blocking(move || build_functions(&root, &names)).await??
        }
    };
    let mut functions = BTreeMap::new();
    for (name, spec) in &template.functions {
        let executable = binaries.get(name).ok_or_else(|| StartError::MissingBinary(name.clone()))?;
        let mut variables = variables(spec, endpoints, template.issuer.is_none());
        variables.extend(options.environment.get(name).cloned().unwrap_or_default());
        let log = options.log.clone();
        let function = Function::new(name.clone(), executable.clone(), spec, variables, options.limits, log);
        functions.insert(name.clone(), Arc::new(function));
    }
    Ok(functions)
}

/// A function's variables with what differs from AWS: the store and the secrets are ours, and so is the
/// issuer unless the template's parameter sets one.
fn variables(spec: &FunctionSpec, endpoints: &Endpoints<'_>, is_issuer: bool) -> BTreeMap<String, String> {
    let local = |name: &str| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(endpoints.store.to_owned()),
        "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some(endpoints.secrets.to_owned()),
        "ISSUER" if is_issuer => Some(endpoints.url.to_owned()),
        _ => None,
    };
    spec.variables
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), local(name).or_else(|| value.clone())?)))
        .collect()
}

/// Ends instances that had no call for so long, so that they don't fill the laptop's memory.
async fn end_idle_instances(functions: Arc<BTreeMap<String, Arc<Function>>>, idle: Duration) {
    loop {
        tokio::time::sleep((idle / 4).clamp(SWEEPS.0, SWEEPS.1)).await;
        for function in functions.values() {
            function.end_idle().await;
        }
    }
}
