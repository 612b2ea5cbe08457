//! All secrets, and the file that keeps them.
//!
//! Knows nothing of HTTP, nor of rotation.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::secret::{Refusal, Secret, Value};
use crate::cloudformation::{ACCOUNT, REGION};

/// The ARNs of secrets: of those there are, and of new ones.
pub(crate) struct Arns {
    known: BTreeMap<String, String>,
    suffix: String,
}

impl Arns {
    /// Knows no secret yet. The ARNs of new ones end with `suffix`.
    pub(crate) fn new(suffix: String) -> Self {
        Self { known: BTreeMap::new(), suffix }
    }

    /// The ARN of the secret of this name.
    pub(crate) fn of(&self, name: &str) -> String {
        let new = || format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{}", self.suffix);
        self.known.get(name).cloned().unwrap_or_else(new)
    }
}

/// Every secret, by its name.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Contents {
    secrets: BTreeMap<String, Secret>,
}

/// All secrets. What a change has returned is in the file.
pub(crate) struct Vault {
    contents: Mutex<Contents>,
    file: Option<PathBuf>,
}

impl Vault {
    /// No secrets, and none are kept.
    pub(super) fn in_memory() -> Self {
        Self { contents: Mutex::default(), file: None }
    }

    /// Reads the secrets of a file, where there is one.
    ///
    /// # Errors
    /// The file can't be read or isn't one of secrets, or its folder can't be made.
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        if let Some(folder) = file.parent() {
            make_private_folder(folder)?;
        }
        let contents = match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Contents::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { contents: Mutex::new(contents), file: Some(file.to_owned()) })
    }

    /// The ARNs of these secrets and of new ones.
    pub(crate) fn arns(&self) -> Arns {
        let known = self.contents().secrets.iter().map(|(name, secret)| (name.clone(), secret.arn.clone())).collect();
        Arns { known, ..Arns::new(random_suffix()) }
    }

    /// Whether there is a secret of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.contents().secrets.contains_key(name)
    }

    /// Adds a secret, with its first value if it has one.
    pub(super) fn add(&self, name: &str, arn: &str, value: Option<String>) -> Result<(), Refusal> {
        self.commit(|contents| {
            let mut secret = Secret::new(name, arn);
            if let Some(value) = value {
                secret.put(&crate::random::uuid(), Value::String(value), &[])?;
            }
            contents.secrets.insert(name.to_owned(), secret);
            Ok(())
        })
    }

    /// Reads a secret, by its name or ARN.
    pub(super) fn read<T>(&self, id: &str, read: impl FnOnce(&Secret) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let contents = self.contents();
        read(contents.secrets.values().find(|secret| secret.is(id)).ok_or_else(no_secret)?)
    }

    /// Changes a secret, by its name or ARN. A refusal leaves everything as it was.
    pub(super) fn change<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Secret) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.commit(|contents| {
            change(contents.secrets.values_mut().find(|secret| secret.is(id)).ok_or_else(no_secret)?)
        })
    }

    fn commit<T>(&self, change: impl FnOnce(&mut Contents) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut contents = self.contents();
        let mut changed = contents.clone();
        let result = change(&mut changed)?;
        if changed != *contents {
            if let Some(file) = &self.file {
                write(file, &changed).map_err(|error| {
                    Refusal::new("InternalServiceError", format!("{} can't be written: {error}", file.display()))
                })?;
            }
            *contents = changed;
        }
        Ok(result)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing panics between two states of it.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_secret() -> Refusal {
    Refusal::not_found("Secrets Manager can't find the specified secret.")
}

/// Six letters and digits, as at the end of a secret's ARN.
fn random_suffix() -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    crate::random::bytes::<6>().iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    // The store may come to lie beside the secrets, and holds hashes of passwords.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes the file anew and puts it into the place of the old one: whoever is killed on the way
/// leaves one of the two, whole.
fn write(file: &Path, contents: &Contents) -> io::Result<()> {
    let new = file.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut output = create_private(&new)?;
    output.write_all(&serde_json::to_vec_pretty(contents)?)?;
    output.sync_all()?;
    fs::rename(&new, file)
}

fn create_private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}
