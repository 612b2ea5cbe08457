//! What a deployed stack gets from its template and its operator: a key ring, and a first user.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use local::Stack;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use shared::BoxError;
use shared::aws::laptop_config;
use shared::key::{Algorithm, SigningKeys};
use shared::password::{Cost, Password, PasswordHash};
use shared::scope::Scopes;
use shared::store::Store;
use shared::time::Timestamp;
use shared::user::{Status, User};
use shared::username::Username;

/// The user that exists on a laptop only. The password is shorter than a new one may be.
const USERNAME: &str = "johndoe";
const PASSWORD: &str = "secret";
const SCOPES: &str = "profile:read profile:write";
/// The cost that the template has by default, so that the first sign-in need not renew the hash.
const COST: u8 = 12;

/// The laptop's key ring, kept in `file`; a new one of ES256 where there is none.
///
/// # Errors
/// The file can't be read, written, or used as a key ring.
pub(crate) fn keys(file: &Path) -> Result<SigningKeys, BoxError> {
    let named = |error: BoxError| -> BoxError { format!("the key ring {}: {error}", file.display()).into() };
    match fs::read_to_string(file) {
        Ok(text) => SigningKeys::parse(&text).map_err(|error| named(error.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let keys = SigningKeys::generate(Algorithm::Es256, &mut UnwrapErr(SysRng)).ok_or("no key could be made")?;
            write_private(file, &keys.to_private_jwks()).map_err(|error| named(error.into()))?;
            Ok(keys)
        }
        Err(error) => Err(named(error.into())),
    }
}

/// Writes a file that only its owner can read.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        // The store beside it holds hashes of passwords.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

/// The settings that take the place of the template's secret: each function gets what it needs of the ring.
#[must_use]
pub(crate) fn environment(keys: &SigningKeys) -> BTreeMap<String, BTreeMap<String, String>> {
    let setting = |function: &str, name: &str, value: &str| {
        (function.to_owned(), BTreeMap::from([(name.to_owned(), value.to_owned())]))
    };
    BTreeMap::from([
        setting("login", "SIGNING_KEYS", &keys.to_private_jwks()),
        setting("authorizer", "VERIFYING_KEYS", &keys.to_verifying_jwks()),
    ])
}

/// Adds the laptop's user, unless there is one of that name.
///
/// # Errors
/// The store can't be read or written.
pub(crate) async fn add_first_user(stack: &Stack, now: Timestamp) -> Result<(), BoxError> {
    let store = Store::new(&laptop_config(stack.store_url()).await, stack.table_name());
    let username = Username::parse(USERNAME)?;
    if store.find_user(&username).await?.is_some() {
        return Ok(());
    }
    let password = Password::new(PASSWORD.to_owned())?;
    let password_hash = PasswordHash::new(&password, Cost::new(COST)?, &mut UnwrapErr(SysRng));
    let scopes = Scopes::parse(SCOPES)?;
    store
        .add_user(&User { username, password_hash, scopes, status: Status::Active, created: now, updated: now })
        .await?;
    Ok(())
}
