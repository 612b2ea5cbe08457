//! `admin keys`: the keys that sign tokens.

use clap::Subcommand;
use shared::{BoxError, causes, key::Algorithm, store::Store, time::Timestamp};

use crate::{
    stack::{self, Target},
    terminal::say,
};

#[derive(Subcommand)]
pub(crate) enum Command {
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

/// # Errors
/// The table or the secret can't be reached, or has no such key.
pub(crate) async fn run(command: Command, store: &Store, target: &Target, now: Timestamp) -> Result<(), BoxError> {
    match command {
        Command::List => list(store, now).await,
        Command::Rotate => rotate(target).await,
        Command::Retire { id, unpublished } => {
            if !unpublished && !store.keys().await?.iter().any(|key| key.id == id) {
                return Err(format!("no key {id} is published; for one of HS256 add --unpublished").into());
            }
            // The other way round, a failure in between would leave the leaked key valid.
            store.retire_key(&id, now).await?;
            say(format_args!("{id} is retired: verifiers refuse it as soon as they read the keys anew"))?;
            rotate(target).await.map_err(|error| {
                format!("{}; the key is retired, but login may still sign with it: repeat this", causes(error.as_ref()))
            })?;
            Ok(())
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

async fn list(store: &Store, now: Timestamp) -> Result<(), BoxError> {
    let mut keys = store.keys().await?;
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
