//! `cargo run`: the whole stack on one machine.

mod advice;
mod greeting;
mod laptop;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Parser, ValueEnum};
use local::{Functions, Limits, LogSink, Options, SecretsLocation, Stack, StoreLocation, find_root};
use shared::{BoxError, causes, time::Timestamp};

/// The template's parameter that names the algorithm of new keys.
const ALGORITHM: &str = "SigningAlgorithm";

/// Serves the API of template.yaml on this machine.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on; 0.0.0.0 lets other machines and containers in
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    host: IpAddr,
    /// The port of the API
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Use the store at this URL and start none
    #[arg(long, value_name = "URL", conflicts_with = "memory")]
    dynamodb: Option<String>,
    /// Keep the data in memory and forget it at the end
    #[arg(long)]
    memory: bool,
    /// Where the files of the secrets and of the store are kept, if not in .local in the project's folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The port of the embedded store
    #[arg(long, default_value_t = 8000)]
    store_port: u16,
    /// The port of the secrets, which only this machine reaches
    #[arg(long, default_value_t = 8001)]
    secrets_port: u16,
    /// Sign with a key for this algorithm
    #[arg(long, value_parser = ["ES256", "EdDSA", "RS256", "HS256"])]
    algorithm: Option<String>,
    /// How requests and what functions write are logged
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
    /// Set a parameter of the template
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// A short line for each request
    Text,
    /// Every line as it is on AWS, with the function's name in front
    Json,
}

fn parameter(argument: &str) -> Result<(String, String), String> {
    let (name, value) = argument.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = format!("error: {}", causes(error.as_ref()));
            if let Some(advice) = advice::advice(&*error) {
                message = format!("{message}\n{advice}");
            }
            // Nobody can be told that stderr is gone.
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let here = std::env::current_dir()?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = find_root(&here).unwrap_or(&workspace).to_owned();
    let data = arguments.data.clone().unwrap_or_else(|| root.join(".local"));
    let mut parameters: BTreeMap<_, _> = arguments.parameters.iter().cloned().collect();
    if let Some(algorithm) = &arguments.algorithm {
        parameters.insert(ALGORITHM.to_owned(), algorithm.clone());
    }
    let algorithm = parameters.get(ALGORITHM).cloned();
    let mut stack = Stack::prepare(Options {
        template: root.join("template.yaml"),
        host: arguments.host,
        port: arguments.port,
        store: store_location(&arguments, &data),
        store_port: arguments.store_port,
        secrets: if arguments.memory {
            SecretsLocation::Memory
        } else {
            SecretsLocation::File(data.join("secrets.json"))
        },
        secrets_port: arguments.secrets_port,
        parameters,
        environment: BTreeMap::new(),
        functions: Functions::Build,
        limits: Limits::default(),
        log: log(arguments.log),
        root,
    })
    .await?;
    laptop::see_to_keys(&stack, algorithm.as_deref(), now()).await?;
    laptop::add_first_user(&stack, now()).await?;
    stack.open()?;
    greeting::greet(&stack, arguments.host)?;
    asked_to_stop().await?;
    stack.stop().await;
    Ok(())
}

fn store_location(arguments: &Arguments, data: &Path) -> StoreLocation {
    match &arguments.dynamodb {
        Some(url) => StoreLocation::Endpoint(url.clone()),
        None if arguments.memory => StoreLocation::Memory,
        None => StoreLocation::File(data.join("dynamodb.sqlite")),
    }
}

#[expect(clippy::disallowed_methods, reason = "main passes the clock in")]
fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Colours are for terminals, and for those who don't mind them: <https://no-color.org>.
#[expect(clippy::disallowed_methods, reason = "main reads the environment")]
fn log(format: LogFormat) -> LogSink {
    match format {
        LogFormat::Json => LogSink::json(),
        LogFormat::Text => {
            let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            LogSink::text(std::io::stderr().is_terminal() && !is_unwanted)
        }
    }
}

/// Waits for Ctrl-C, or for the signal that a service manager sends.
async fn asked_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
