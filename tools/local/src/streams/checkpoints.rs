//! How far each function has been told, so that it goes on there after the stack was stopped.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::store::StoreError;

/// The sequence numbers up to which functions have been told, by function and event.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    reached: Mutex<BTreeMap<String, String>>,
    /// `None` where they go with the stack, as the store does.
    file: Option<PathBuf>,
}

impl Checkpoints {
    /// Those in the file, which need not be there.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn open(file: Option<PathBuf>) -> Result<Self, StoreError> {
        let reached = match &file {
            Some(file) => {
                read(file).map_err(|source| StoreError::Open { path: file.clone(), source: source.into() })?
            }
            None => BTreeMap::new(),
        };
        Ok(Self { reached: Mutex::new(reached), file })
    }

    /// How far this consumer has been told.
    pub(super) fn get(&self, consumer: &str) -> Option<String> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).get(consumer).cloned()
    }

    /// Notes that the consumer has been told up to here.
    ///
    /// # Errors
    /// The file can't be written; until the stack is stopped, the note counts all the same.
    pub(super) fn set(&self, consumer: &str, sequence_number: String) -> std::io::Result<()> {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.insert(consumer.to_owned(), sequence_number);
        let Some(file) = &self.file else { return Ok(()) };
        // Whoever is killed on the way leaves the one before, and the function is told once more.
        let new = file.with_extension("new");
        std::fs::write(&new, serde_json::to_vec_pretty(&*reached)?)?;
        std::fs::rename(&new, file)
    }
}

fn read(file: &Path) -> std::io::Result<BTreeMap<String, String>> {
    match std::fs::read(file) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}
