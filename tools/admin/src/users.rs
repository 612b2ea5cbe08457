//! `admin user`: accounts, one by one.

use std::{
    io::{self, Write},
    time::Duration,
};

use aws_sdk_secretsmanager::primitives::{DateTime, DateTimeFormat};
use clap::{ArgGroup, Args, Subcommand};
use rand::CryptoRng;
use shared::{
    BoxError,
    password::{Cost, NewPassword, PasswordHash},
    scope::Scopes,
    store::{Store, UnreadableRow},
    time::{Clock, Timestamp},
    user::{Status, User},
    username::Username,
};

use crate::{
    export::{self, Export},
    import::{self, Import},
    terminal::{read_password, remark, say},
};

/// How long one call removes sessions before the next goes on: here nobody waits for an answer.
const AT_ONCE: Duration = Duration::from_mins(1);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Add a user; the password is asked for without echo, or read from standard input
    Add {
        /// 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -
        name: Username,
        /// Something that the user may do; may be given several times
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scopes>,
        #[command(flatten)]
        hashing: Hashing,
    },
    /// List all users, in no order, as they come in
    List,
    /// Show a user: status, scopes, the form and the cost of the password's hash, and when it was made and changed
    Show {
        /// The user's name, in whatever case
        name: Username,
    },
    /// Let a disabled user sign in again
    Enable {
        /// The user's name, in whatever case
        name: Username,
    },
    /// Bar a user from signing in, and end all of the user's sessions; access tokens pass for as long as the stack's
    /// `LiveRevocation` says
    Disable {
        /// The user's name, in whatever case
        name: Username,
    },
    /// Delete a user for good, and end all of the user's sessions. The name stays taken; access tokens pass for as long as
    /// the stack's `LiveRevocation` says
    Delete {
        /// The user's name, in whatever case
        name: Username,
    },
    /// Free the name of a deleted user, so that another user can have it. Whoever knows the name will take the two for
    /// one, and with `LiveRevocation=off` an access token of the deleted user, until it expires, is one of the new user
    Free {
        /// The user's name, in whatever case
        name: Username,
    },
    /// Give a user a new password; it is asked for without echo, or read from standard input
    SetPassword {
        /// The user's name, in whatever case
        name: Username,
        #[command(flatten)]
        hashing: Hashing,
    },
    /// Set what a user may do, in the place of all that it could before; tokens that were issued before keep their scopes
    #[command(group(ArgGroup::new("new").required(true).args(["scopes", "none"])))]
    SetScopes {
        /// The user's name, in whatever case
        name: Username,
        /// Something that the user may do; may be given several times
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scopes>,
        /// The user may do nothing that needs a scope
        #[arg(long)]
        none: bool,
    },
    Import(Import),
    Export(Export),
}

/// How a new password is hashed.
#[derive(Args)]
pub(crate) struct Hashing {
    /// The cost of the password's hash, a binary logarithm from 4 to 16. Not above the stack's `BcryptCost`: the first
    /// sign-in renews a cheaper hash, while a dearer one lets the time of a refusal tell that the account exists
    #[arg(long, default_value = "10")]
    cost: Cost,
}

/// # Errors
/// The table can't be reached or has no such user, or what is asked for breaks a rule.
pub(crate) async fn run(
    command: Command,
    store: &Store,
    clock: Clock,
    rng: &mut impl CryptoRng,
) -> Result<(), BoxError> {
    match command {
        Command::Add { name, scopes, hashing } => {
            let scopes = union(&scopes)?;
            let hash = hashing.read(&name, rng)?;
            let user = User::new(name, hash, scopes, clock.now(), rng);
            add(store, &user, clock.now()).await
        }
        Command::List => list(store).await,
        Command::Show { name } => {
            let user = store.find_user(&name).await?;
            show(&user.ok_or_else(|| nobody(&name))?)
        }
        Command::Enable { name } => {
            let found = store.set_status(&name, Status::Active, clock.now()).await?;
            outcome(found, &name, "may sign in")
        }
        Command::Disable { name } => {
            let found = store.set_status(&name, Status::Disabled, clock.now()).await?;
            end_sessions(store, &name, clock.now()).await?;
            outcome(found, &name, "is disabled")
        }
        Command::Delete { name } => {
            let found = store.bury_user(&name, clock.now()).await?;
            // Whether or not it was found: repeating a command that failed in between deletes the rest.
            store.erase_account(&name, clock.now(), AT_ONCE).await?;
            outcome(found, &name, "is deleted")
        }
        Command::Free { name } => {
            if store.free_name(&name, clock.now(), AT_ONCE).await? {
                say(format_args!("the name {name} is free"))
            } else {
                Err(format!("there is no deleted user {name}").into())
            }
        }
        Command::SetPassword { name, hashing } => {
            let hash = hashing.read(&name, rng)?;
            let found = store.set_password(&name, &hash, clock.now()).await?;
            end_sessions(store, &name, clock.now()).await?;
            outcome(found, &name, "has a new password")
        }
        Command::SetScopes { name, scopes, none: _ } => {
            let found = store.set_scopes(&name, &union(&scopes)?, clock.now()).await?;
            outcome(found, &name, "has new scopes")
        }
        Command::Import(arguments) => import::run(arguments, store, clock).await,
        Command::Export(arguments) => export::run(arguments, store).await,
    }
}

/// Ends all sessions of a user. After a change that nobody shall stay signed in over, it is called whether or not the
/// account was found, so that repeating a command that failed in between ends the rest.
async fn end_sessions(store: &Store, name: &Username, now: Timestamp) -> Result<(), BoxError> {
    while !store.remove_sessions(name, None, now, AT_ONCE).await?.is_complete {}
    Ok(())
}

async fn add(store: &Store, user: &User, now: Timestamp) -> Result<(), BoxError> {
    if !store.add_user(user, now).await? {
        let name = &user.username;
        return Err(if store.is_deleted(name).await? {
            buried(name).into()
        } else {
            format!("there is a user {name} already, and it stays as it was").into()
        });
    }
    say(format_args!("{} is added", user.username))
}

async fn list(store: &Store) -> Result<(), BoxError> {
    say(format_args!("{:<64} {:<8} SCOPES", "USERNAME", "STATUS"))?;
    let mut pages = store.all_users();
    while let Some(page) = pages.next().await? {
        match write_rows(page) {
            // `admin user list | head` doesn't fail, and needs no further page.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

fn write_rows(page: Vec<Result<User, UnreadableRow>>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for user in page {
        match user {
            Ok(user) => writeln!(out, "{:<64} {:<8} {}", user.username.as_str(), user.status, user.scopes)?,
            Err(unreadable) => remark(format_args!("warning: {unreadable}")),
        }
    }
    Ok(())
}

fn show(user: &User) -> Result<(), BoxError> {
    let hash = &user.password_hash;
    say(format_args!("username  {}", user.username))?;
    say(format_args!("status    {}", user.status))?;
    say(format_args!("scopes    {}", user.scopes))?;
    say(format_args!("password  {} of cost {}", hash.scheme(), hash.cost()))?;
    say(format_args!("created   {}", date(user.created)?))?;
    say(format_args!("updated   {}", date(user.updated)?))
}

/// A point in time as RFC 3339 has it.
fn date(time: Timestamp) -> Result<String, BoxError> {
    Ok(DateTime::from_secs(i64::try_from(time.0)?).fmt(DateTimeFormat::DateTime)?)
}

fn outcome(found: bool, name: &Username, done: &str) -> Result<(), BoxError> {
    if found { say(format_args!("{name} {done}")) } else { Err(nobody(name)) }
}

/// Why the name of a deleted user isn't given to another one.
pub(crate) fn buried(name: &Username) -> String {
    format!("the user {name} was deleted, and the name stays taken; `admin user free {name}` frees it")
}

fn nobody(name: &Username) -> BoxError {
    format!("there is no user {name}").into()
}

fn union(scopes: &[Scopes]) -> Result<Scopes, BoxError> {
    let all = Scopes::from_tokens(scopes.iter().flat_map(Scopes::iter));
    all.map_err(|problem| format!("--scope {problem}").into())
}

impl Hashing {
    /// Reads the new password of this user, and hashes it.
    fn read(&self, name: &Username, rng: &mut impl CryptoRng) -> Result<PasswordHash, BoxError> {
        let password = NewPassword::new(read_password()?, name).map_err(|unfit| format!("the password {unfit}"))?;
        Ok(PasswordHash::new(&password, self.cost, rng))
    }
}
