//! Manages the users of a deployed stack, or of the one on the laptop.

mod stack;

use std::{
    io::{self, IsTerminal, Read, Write},
    process::ExitCode,
    time::SystemTime,
};

use clap::{Args, Parser, Subcommand};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    BoxError,
    log::causes,
    password::{Cost, NewPassword, PasswordHash},
    scope::Scopes,
    store::Store,
    time::Timestamp,
    user::{Status, User},
    username::Username,
};
use zeroize::Zeroizing;

/// Manages the users of a Gatehouse stack.
///
/// It works on the table itself, with the AWS credentials of your environment (profile, SSO or variables),
/// or with --local on the stack that `cargo run` serves.
#[derive(Parser)]
#[command(name = "admin", version)]
struct Cli {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

/// Which table to work on.
#[derive(Args)]
pub(crate) struct Target {
    /// The table's name, as the stack's output `TableName` says
    #[arg(long, global = true)]
    table: Option<String>,
    /// Work on the laptop's stack, which has to be running
    #[arg(long, global = true)]
    local: bool,
    /// Where the laptop's store is, if not at its usual address
    #[arg(long, global = true, value_name = "URL", requires = "local", default_value = stack::LOCAL_STORE)]
    endpoint: String,
}

#[derive(Subcommand)]
enum Command {
    /// Add, list and disable users
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a user; the password is asked for without echo, or read from standard input
    Add {
        /// 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -
        name: Username,
        /// Something that the user may do; may be given several times
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scopes>,
        /// The cost of the password's hash, a binary logarithm from 4 to 16
        #[arg(long, default_value = "12")]
        cost: Cost,
    },
    /// List all users, in no order
    List,
    /// Bar a user from signing in; tokens that were issued before stay valid until they expire
    Disable {
        /// The user's name, in whatever case
        name: Username,
    },
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
    let Command::User(command) = cli.command;
    let store = stack::store(&cli.target).await?;
    match command {
        UserCommand::Add { name, scopes, cost } => {
            let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            let scopes = Scopes::parse(&scopes.join(" ")).map_err(|problem| format!("--scope {problem}"))?;
            add(&store, name, scopes, cost).await
        }
        UserCommand::List => list(&store).await,
        UserCommand::Disable { name } => {
            if !store.set_status(&name, Status::Disabled, now()).await? {
                return Err(format!("there is no user {name}").into());
            }
            say(format_args!("{name} is disabled"))
        }
    }
}

async fn add(store: &Store, name: Username, scopes: Scopes, cost: Cost) -> Result<(), BoxError> {
    let password = NewPassword::new(read_password()?, &name)?.into();
    let password_hash = PasswordHash::new(&password, cost, &mut UnwrapErr(SysRng));
    let now = now();
    let user = User { username: name, password_hash, scopes, status: Status::Active, created: now, updated: now };
    if !store.add_user(&user).await? {
        return Err(format!("there is a user {} already, and it stays as it was", user.username).into());
    }
    say(format_args!("{} is added", user.username))
}

async fn list(store: &Store) -> Result<(), BoxError> {
    say(format_args!("{:<64} {:<8} SCOPES", "USERNAME", "STATUS"))?;
    let mut outcome = Ok(());
    store
        .each_user(|user| {
            let line = match user {
                Ok(user) => say(format_args!("{:<64} {:<8} {}", user.username.as_str(), user.status, user.scopes)),
                Err(unreadable) => writeln!(io::stderr(), "warning: {unreadable}").map_err(Into::into),
            };
            if outcome.is_ok() {
                outcome = line;
            }
        })
        .await?;
    outcome
}

/// Asks twice on a terminal; otherwise reads standard input, less one line break at its end.
fn read_password() -> Result<Zeroizing<String>, BoxError> {
    if io::stdin().is_terminal() {
        let password = Zeroizing::new(rpassword::prompt_password("Password: ")?);
        let again = Zeroizing::new(rpassword::prompt_password("Again: ")?);
        return if password == again { Ok(password) } else { Err("the two passwords differ".into()) };
    }
    let mut text = Zeroizing::new(String::new());
    io::stdin().read_to_string(&mut text).map_err(|_| "standard input holds no UTF-8 text")?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(line.to_owned()))
}

fn say(line: std::fmt::Arguments<'_>) -> Result<(), BoxError> {
    match writeln!(io::stdout(), "{line}") {
        // `admin user list | head` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

#[expect(clippy::disallowed_methods, reason = "main passes the clock in")]
fn now() -> Timestamp {
    SystemTime::now().into()
}
