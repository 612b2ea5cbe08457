//! Manages the users and keys of a deployed stack, or of the one on the laptop.

mod export;
mod import;
mod keys;
mod lines;
mod stack;
mod terminal;
mod users;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::SystemTime,
};

use clap::{Parser, Subcommand};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    BoxError, causes,
    time::{Clock, Timestamp},
};

/// Manages the users and keys of a Gatehouse stack.
///
/// It works on the table and the secret themselves, with the AWS credentials of your environment (profile, SSO or variables),
/// or with --local on the stack that `cargo run` serves.
#[derive(Parser)]
#[command(name = "admin", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    target: stack::Target,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  admin --local user add alice --scope profile:read
  admin --local user list
  admin --table TABLE_NAME user import users.csv --dry-run
  admin --table TABLE_NAME user export backup.jsonl
  admin --table TABLE_NAME --secret SECRET_ARN keys rotate

TABLE_NAME and SECRET_ARN are in the stack's outputs. `admin user --help` and `admin user import --help` say more.";

#[derive(Subcommand)]
enum Command {
    /// Add, show, change, import and export users
    #[command(subcommand)]
    User(users::Command),
    /// List, rotate and retire the keys that sign tokens
    #[command(subcommand)]
    Keys(keys::Command),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), BoxError> {
    let store = stack::store(&cli.target).await?;
    match cli.command {
        Command::User(command) => users::run(command, &store, Clock::new(now), &mut UnwrapErr(SysRng)).await,
        Command::Keys(command) => keys::run(command, &store, &cli.target, now()).await,
    }
}

#[expect(clippy::disallowed_methods, reason = "main passes the clock in")]
fn now() -> Timestamp {
    SystemTime::now().into()
}
