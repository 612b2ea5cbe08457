//! Secrets with their versions and staging labels, and the file that keeps them.
//!
//! Follows Secrets Manager's rules for labels and versions. Knows nothing of HTTP, nor of rotation
//! beyond the label of a version to come.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::intrinsics::{ACCOUNT, REGION};

/// The label of the version that is in use.
pub(crate) const CURRENT: &str = "AWSCURRENT";
/// The label of the version that a rotation is making.
pub(crate) const PENDING: &str = "AWSPENDING";
/// The label of the version that was in use before.
const PREVIOUS: &str = "AWSPREVIOUS";
/// The most bytes that a value has.
const VALUE_LIMIT: usize = 65_536;
/// The most labels that a version has.
const LABEL_LIMIT: usize = 20;

/// A call that Secrets Manager refuses, as it says so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub(crate) struct Refusal {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", message)
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message)
    }
}

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

/// A secret with its versions.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) arn: String,
    /// In seconds since 1970.
    pub(crate) created: f64,
    versions: BTreeMap<String, Version>,
    /// The version of a rotation that has not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unfinished: Option<String>,
}

/// One version. One without a label is dropped.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// In seconds since 1970.
    pub(crate) created: f64,
    pub(crate) labels: BTreeSet<String>,
    /// None yet in a version that a rotation has only announced.
    value: Option<Value>,
}

/// What a version holds. Not to be printed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    String(String),
    /// In base64.
    Binary(String),
}

impl Secret {
    fn new(name: &str, arn: &str) -> Self {
        Self {
            name: name.to_owned(),
            arn: arn.to_owned(),
            created: seconds(),
            versions: BTreeMap::new(),
            unfinished: None,
        }
    }

    /// The versions, those without a value too.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&str, &Version)> {
        self.versions.iter().map(|(id, version)| (id.as_str(), version))
    }

    /// A version and its value, by its id, its label or both; else the one in use.
    pub(crate) fn value(&self, id: Option<&str>, label: Option<&str>) -> Result<(&str, &Version, &Value), Refusal> {
        let by = match (id, label) {
            (Some(id), _) => format!("VersionId: {id}"),
            (None, label) => format!("staging label: {}", label.unwrap_or(CURRENT)),
        };
        let found = match id {
            Some(id) => self.versions.get_key_value(id).map(|(id, _)| id.as_str()),
            None => self.holder(label.unwrap_or(CURRENT)),
        };
        let found = found.and_then(|id| {
            let version = self.versions.get(id)?;
            Some((id, version, version.value.as_ref()?))
        });
        let (id, version, value) = found.ok_or_else(|| {
            Refusal::not_found(format!("Secrets Manager can't find the specified secret value for {by}"))
        })?;
        if label.is_some_and(|label| !version.labels.contains(label)) {
            return Err(Refusal::request(
                "You provided a VersionStage that is not associated to the provided VersionId.",
            ));
        }
        Ok((id, version, value))
    }

    /// Puts a value into the version `id`, and these labels onto it; with no labels, the one of the
    /// version in use. To put the same value there again changes nothing.
    pub(crate) fn put(&mut self, id: &str, value: Value, labels: &[String]) -> Result<(), Refusal> {
        check_id(id)?;
        let (Value::String(text) | Value::Binary(text)) = &value;
        if text.len() > VALUE_LIMIT {
            return Err(Refusal::parameter(format!("a secret value has at most {VALUE_LIMIT} bytes")));
        }
        if labels.len() > LABEL_LIMIT || labels.iter().any(|label| !(1..=256).contains(&label.len())) {
            return Err(Refusal::parameter("VersionStages has 1 to 20 labels of 1 to 256 characters"));
        }
        let is_first = self.versions.values().all(|version| version.value.is_none());
        let version = self.versions.entry(id.to_owned()).or_insert_with(Version::announced);
        match &version.value {
            Some(present) if *present == value => return Ok(()),
            Some(_) => {
                let message = format!("You can't modify the secret version {id}: create a new one.");
                return Err(Refusal::new("ResourceExistsException", message));
            }
            None => version.value = Some(value),
        }
        for label in labels {
            self.label(label, id);
        }
        if labels.is_empty() || is_first {
            self.label(CURRENT, id);
        }
        self.drop_unlabelled();
        Ok(())
    }

    /// Takes a label from one version, puts it onto another, or both. Whoever has it is to be named.
    pub(crate) fn move_label(&mut self, label: &str, to: Option<&str>, from: Option<&str>) -> Result<(), Refusal> {
        let holder = self.holder(label);
        if let Some(from) = from
            && holder != Some(from)
        {
            let problem = format!("The staging label {label} is not attached to the version {from}.");
            return Err(Refusal::parameter(problem));
        }
        let Some(to) = to else {
            let from = from.ok_or_else(|| Refusal::parameter("name MoveToVersionId, RemoveFromVersionId or both"))?;
            if label == CURRENT {
                return Err(Refusal::parameter(format!("{CURRENT} can be moved to another version, not removed.")));
            }
            if let Some(version) = self.versions.get_mut(from) {
                version.labels.remove(label);
            }
            self.drop_unlabelled();
            return Ok(());
        };
        if self.versions.get(to).is_none_or(|version| version.value.is_none()) {
            let problem = format!("Secrets Manager can't find the specified secret version: {to}");
            return Err(Refusal::not_found(problem));
        }
        if let Some(holder) = holder.filter(|holder| *holder != to && from.is_none()) {
            return Err(Refusal::parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to \
                 version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
            )));
        }
        self.label(label, to);
        self.drop_unlabelled();
        Ok(())
    }

    /// Announces the version `id`, which a rotation is going to make, and returns the version that it
    /// has to make: that of a rotation that was broken off goes first. `None` is a version that is made
    /// already.
    pub(crate) fn announce(&mut self, id: &str) -> Result<Option<String>, Refusal> {
        check_id(id)?;
        // One that has lost both labels since was given up by whoever took them.
        let is_open = |id: &&str| [PENDING, CURRENT].iter().any(|label| self.holder(label) == Some(*id));
        let unfinished = self.unfinished.as_deref().filter(is_open);
        let pending = || self.holder(PENDING).filter(|pending| self.holder(CURRENT) != Some(pending));
        if let Some(unfinished) = unfinished.or_else(pending) {
            return Ok(Some(unfinished.to_owned()));
        }
        if self.versions.contains_key(id) {
            return Ok(None);
        }
        self.versions.insert(id.to_owned(), Version::announced());
        self.label(PENDING, id);
        self.drop_unlabelled();
        self.unfinished = Some(id.to_owned());
        Ok(Some(id.to_owned()))
    }

    /// Takes note that the rotation has come to its end.
    pub(crate) fn finish(&mut self) {
        self.unfinished = None;
    }

    /// The version that has the label.
    fn holder(&self, label: &str) -> Option<&str> {
        self.versions().find(|(_, version)| version.labels.contains(label)).map(|(id, _)| id)
    }

    /// Puts a label onto a version, and takes it from all others.
    fn label(&mut self, label: &str, to: &str) {
        let holder = self.holder(label).map(str::to_owned);
        for (id, version) in &mut self.versions {
            if id == to {
                version.labels.insert(label.to_owned());
            } else {
                version.labels.remove(label);
            }
        }
        if label == CURRENT
            && let Some(holder) = holder.filter(|holder| holder != to)
        {
            self.label(PREVIOUS, &holder);
        }
    }

    fn drop_unlabelled(&mut self) {
        self.versions.retain(|_, version| !version.labels.is_empty());
    }
}

impl Version {
    fn announced() -> Self {
        Self { created: seconds(), labels: BTreeSet::new(), value: None }
    }
}

/// An id of a version becomes a client's token, or comes from one.
fn check_id(id: &str) -> Result<(), Refusal> {
    if (32..=64).contains(&id.len()) {
        return Ok(());
    }
    Err(Refusal::parameter("ClientRequestToken has 32 to 64 characters"))
}

/// All secrets. What a change has returned is in the file.
pub(crate) struct Vault {
    contents: Mutex<Contents>,
    file: Option<PathBuf>,
}

impl Vault {
    /// No secrets, and none are kept.
    pub(crate) fn in_memory() -> Self {
        Self { contents: Mutex::default(), file: None }
    }

    /// Reads the secrets of a file, where there is one.
    ///
    /// # Errors
    /// The file can't be read or isn't one of secrets, or its folder can't be made.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
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
    pub(crate) fn has(&self, name: &str) -> bool {
        self.contents().secrets.contains_key(name)
    }

    /// Adds a secret, with its first value if it has one.
    pub(crate) fn add(&self, name: &str, arn: &str, value: Option<String>) -> Result<(), Refusal> {
        self.commit(|contents| {
            let mut secret = Secret::new(name, arn);
            if let Some(value) = value {
                secret.put(&crate::random_uuid(), Value::String(value), &[])?;
            }
            contents.secrets.insert(name.to_owned(), secret);
            Ok(())
        })
    }

    /// Reads a secret, by its name or ARN.
    pub(crate) fn read<T>(&self, id: &str, read: impl FnOnce(&Secret) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let contents = self.contents();
        read(contents.secrets.values().find(|secret| secret.is(id)).ok_or_else(no_secret)?)
    }

    /// Changes a secret, by its name or ARN. A refusal leaves everything as it was.
    pub(crate) fn change<T>(
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

impl Secret {
    fn is(&self, id: &str) -> bool {
        self.name == id || self.arn == id
    }
}

fn no_secret() -> Refusal {
    Refusal::not_found("Secrets Manager can't find the specified secret.")
}

/// Six letters and digits, as at the end of a secret's ARN.
fn random_suffix() -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    crate::random::<6>().iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

fn seconds() -> f64 {
    crate::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
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
