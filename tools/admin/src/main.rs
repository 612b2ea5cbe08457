//! Manages the users and keys of a deployed stack, or of the one on the laptop.

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
    key::Algorithm,
    log::causes,
    password::{Cost, NewPassword, PasswordHash},
    scope::Scopes,
    store::Store,
    time::Timestamp,
    user::{Status, User},
    username::Username,
};
use zeroize::Zeroizing;

/// Manages the users and keys of a Gatehouse stack.
///
/// It works on the table and the secret themselves, with the AWS credentials of your environment (profile, SSO or variables),
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
    /// The secret of the signing keys, as the stack's output `SigningSecretArn` says; to rotate or retire keys
    #[arg(long, global = true, value_name = "ARN")]
    secret: Option<String>,
    /// Where the laptop's store is, if not at its usual address
    #[arg(long, global = true, value_name = "URL", default_value = stack::LOCAL_STORE)]
    endpoint: String,
    /// Where the laptop's secrets are, if not at their usual address
    #[arg(long, global = true, value_name = "URL", default_value = stack::LOCAL_SECRETS)]
    secrets_endpoint: String,
}

#[derive(Subcommand)]
enum Command {
    /// Add, list and disable users
    #[command(subcommand)]
    User(UserCommand),
    /// List, rotate and retire the keys that sign tokens
    #[command(subcommand)]
    Keys(KeysCommand),
}

#[derive(Subcommand)]
enum KeysCommand {
    /// List the published keys, the newest first; HS256 keys are never published
    List,
    /// Have a new key made now; the older ones verify until the tokens that they signed have expired
    Rotate,
    /// Retire a leaked key: nothing that it has signed is valid any more, and a new key takes its place
    Retire {
        /// The key's `kid`, which may begin with a hyphen
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// The key is one of HS256, which has no row to find it by
        #[arg(long)]
        unpublished: bool,
    },
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
        /// The cost of the password's hash, a binary logarithm from 4 to 16. Not above the stack's `BcryptCost`: the first
        /// sign-in renews a cheaper hash, while a dearer one lets the time of a refusal tell that the account exists
        #[arg(long, default_value = "10")]
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
    let store = stack::store(&cli.target).await?;
    match cli.command {
        Command::User(command) => users(&store, command).await,
        Command::Keys(KeysCommand::List) => list_keys(&store).await,
        Command::Keys(KeysCommand::Rotate) => rotate(&cli.target).await,
        Command::Keys(KeysCommand::Retire { id, unpublished }) => {
            if !unpublished && !store.keys().await?.iter().any(|key| key.id == id) {
                return Err(format!("no key {id} is published; for one of HS256 add --unpublished").into());
            }
            // The other way round, a failure in between would leave the leaked key valid.
            store.retire_key(&id, now()).await?;
            say(format_args!("{id} is retired: verifiers refuse it as soon as they read the keys anew"))?;
            rotate(&cli.target).await.map_err(|error| {
                format!("{}; the key is retired, but login may still sign with it: repeat this", causes(error.as_ref()))
            })?;
            Ok(())
        }
    }
}

async fn users(store: &Store, command: UserCommand) -> Result<(), BoxError> {
    match command {
        UserCommand::Add { name, scopes, cost } => {
            let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            let scopes = Scopes::parse(&scopes.join(" ")).map_err(|problem| format!("--scope {problem}"))?;
            add(store, name, scopes, cost).await
        }
        UserCommand::List => list(store).await,
        UserCommand::Disable { name } => {
            if !store.set_status(&name, Status::Disabled, now()).await? {
                return Err(format!("there is no user {name}").into());
            }
            say(format_args!("{name} is disabled"))
        }
    }
}

async fn rotate(target: &Target) -> Result<(), BoxError> {
    let (secrets, secret) = stack::secret(target).await?;
    secrets.rotate_secret().secret_id(secret).send().await?;
    say(format_args!(
        "a rotation has begun: a new key is made and published, and signs in some minutes, or at once after a retirement"
    ))
}

async fn list_keys(store: &Store) -> Result<(), BoxError> {
    let (mut keys, now) = (store.keys().await?, now());
    keys.sort_by_key(|key| std::cmp::Reverse(key.created));
    say(format_args!("{:<24} {:<6} {:<10} STATE", "KID", "ALG", "PUBLISHED"))?;
    for key in keys {
        let algorithm = key.algorithm().map_or("-", Algorithm::name);
        let state = match key.expires {
            _ if key.retired => "retired".to_owned(),
            None => "verifies".to_owned(),
            Some(expires) if expires <= now => "expired".to_owned(),
            Some(expires) => format!("verifies until {}", expires.0),
        };
        say(format_args!("{:<24} {algorithm:<6} {:<10} {state}", key.id, key.created.0))?;
    }
    Ok(())
}

async fn add(store: &Store, name: Username, scopes: Scopes, cost: Cost) -> Result<(), BoxError> {
    let password = NewPassword::new(read_password()?, &name)?.into();
    let password_hash = PasswordHash::new(&password, cost, &mut UnwrapErr(SysRng));
    let user = User::new(name, password_hash, scopes, now());
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
