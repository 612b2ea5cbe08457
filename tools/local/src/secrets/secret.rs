//! A secret with its versions and staging labels, by Secrets Manager's rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// The label of the version that is in use.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// The label of the version that a rotation is making.
pub(super) const PENDING: &str = "AWSPENDING";
/// The label of the version that was in use before.
const PREVIOUS: &str = "AWSPREVIOUS";
/// The most bytes that a value has.
const VALUE_LIMIT: usize = 65_536;
/// The most labels that a version has.
const LABEL_LIMIT: usize = 20;

/// A call that Secrets Manager refuses, as it says so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub(super) struct Refusal {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(super) fn request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message)
    }
}

/// A secret with its versions.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) arn: String,
    /// In seconds since 1970.
    pub(super) created: f64,
    versions: BTreeMap<String, Version>,
    /// The version of a rotation that has not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unfinished: Option<String>,
}

/// One version. One without a label is dropped.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Version {
    /// In seconds since 1970.
    pub(super) created: f64,
    pub(super) labels: BTreeSet<String>,
    /// None yet in a version that a rotation has only announced.
    value: Option<Value>,
}

/// The value of a version. It must not be printed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Value {
    String(String),
    /// In base64.
    Binary(String),
}

impl Secret {
    pub(super) fn new(name: &str, arn: &str) -> Self {
        Self {
            name: name.to_owned(),
            arn: arn.to_owned(),
            created: seconds(),
            versions: BTreeMap::new(),
            unfinished: None,
        }
    }

    /// Whether this is its name or its ARN.
    pub(super) fn is(&self, id: &str) -> bool {
        self.name == id || self.arn == id
    }

    /// The versions, those without a value too.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&str, &Version)> {
        self.versions.iter().map(|(id, version)| (id.as_str(), version))
    }

    /// A version and its value, by its id, its label or both; else the one in use.
    pub(super) fn value(&self, id: Option<&str>, label: Option<&str>) -> Result<(&str, &Version, &Value), Refusal> {
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
    pub(super) fn put(&mut self, id: &str, value: Value, labels: &[String]) -> Result<(), Refusal> {
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
    pub(super) fn move_label(&mut self, label: &str, to: Option<&str>, from: Option<&str>) -> Result<(), Refusal> {
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
    pub(super) fn announce(&mut self, id: &str) -> Result<Option<String>, Refusal> {
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
    pub(super) fn finish(&mut self) {
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

fn seconds() -> f64 {
    crate::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
