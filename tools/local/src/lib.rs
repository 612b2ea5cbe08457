//! The whole stack on one machine: the API, the functions, the table and the secrets of a SAM template.
//!
//! [`Stack::start`] reads `template.yaml`, so that the laptop and AWS can't drift apart: its routes,
//! authorizer, gateway responses and settings are what is served here. Each function runs as its own
//! process behind the Lambda Runtime API; the store is an embedded `DynamoDB`, and the secrets are in a
//! small stand-in for Secrets Manager, which rotates them when it's told to.
//!
//! The gateway is an API Gateway REST API wherever a client or a function can tell. Not emulated:
//! IAM, throttling, usage plans, WAF, CORS that API Gateway answers by itself, request validation,
//! mapping templates beyond `$context` in gateway responses, binary media types, stage variables, response
//! streaming, metrics and access logs. There is no TLS, and the URL has no stage in its path. The module
//! `cloudformation` lists the part of `CloudFormation` that is emulated.

mod binaries;
mod cloudformation;
mod gateway;
mod lambda;
mod log;
mod random;
mod secrets;
mod server;
mod stack;
mod store;
mod streams;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use binaries::{BuildError, build_for_release, build_functions, build_functions_for_tests};
pub use cloudformation::{Constraint, ParameterError, Resource, ResourcesError, TemplateError, resources};
pub use lambda::{FunctionError, Invocation};
pub use log::LogSink;
pub use secrets::{RotateError, SecretsError, SecretsLocation};
pub use stack::{Stack, StartError};
pub use store::{StoreError, StoreLocation};

/// The configuration of a stack.
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
    /// How much functions may take of this machine, and for how long.
    pub limits: Limits,
    /// Where the functions' output goes.
    pub log: LogSink,
}

/// How much functions may take of this machine, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most instances that a function has at once; further calls wait for their turn. Few, so that a call which is
    /// being handled is soon done: one that its caller gives up by then has been made all the same.
    pub instances: u32,
    /// How long a call waits for its turn before it is throttled. Lambda throttles at once; a laptop has less to give.
    pub queue: Duration,
    /// How long an instance is kept without a call.
    pub idle: Duration,
    /// How long the gateway waits for a function.
    pub integration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            instances: u32::try_from(4 * cores).unwrap_or(u32::MAX).clamp(8, 50),
            queue: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            // API Gateway's default, and the most that it waits.
            integration: Duration::from_secs(29),
        }
    }
}

/// Where the functions' binaries come from.
#[derive(Clone, Debug)]
pub enum Functions {
    /// Cargo builds them.
    Build,
    /// They are built already: absolute paths by the name of the binary.
    At(BTreeMap<String, PathBuf>),
}

/// The workspace's root: the nearest folder from `start` upwards that has a `template.yaml`.
#[must_use]
pub fn find_root(start: &Path) -> Option<&Path> {
    start.ancestors().find(|folder| folder.join("template.yaml").is_file())
}

#[expect(clippy::disallowed_methods, reason = "the gateway stamps requests with the machine's time, as AWS does")]
fn now() -> SystemTime {
    SystemTime::now()
}
