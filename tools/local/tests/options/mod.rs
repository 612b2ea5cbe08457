//! What the stacks of these tests have in common.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use local::{Functions, Limits, LogSink, Options, SecretsLocation, StoreLocation};

/// The functions of `gateway.yaml`, all of them the example `echo`.
#[allow(dead_code, reason = "not every test has them")]
pub(crate) const ECHOES: &[(&str, &str)] = &[("echo", "echo"), ("brief", "echo"), ("authorizer", "echo")];

/// A stack in memory with this template of the tests, whose functions are examples of this crate.
pub(crate) fn options(template: &str, functions: &[(&str, &str)]) -> Options {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // target/<profile>/deps/<test>-… stands next to target/<profile>/examples.
    let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
    let functions =
        functions.iter().map(|(name, example)| ((*name).to_owned(), profile.join("examples").join(example)));
    Options {
        root: here.to_owned(),
        template: here.join("tests").join(template),
        host: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        store: StoreLocation::Memory,
        store_port: 0,
        secrets: SecretsLocation::Memory,
        secrets_port: 0,
        parameters: BTreeMap::new(),
        environment: BTreeMap::new(),
        functions: Functions::At(functions.collect()),
        limits: Limits::default(),
        log: LogSink::memory(),
    }
}
