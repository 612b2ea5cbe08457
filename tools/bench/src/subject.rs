//! What is measured: a program, its environment, an event, and what a right answer holds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A function in one use.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// What it's called in tables and limits.
    pub(crate) name: &'static str,
    /// The program.
    pub(crate) command: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its environment, the whole of it.
    pub(crate) environment: BTreeMap<String, OsString>,
    /// The event of every call.
    pub(crate) event: Vec<u8>,
    /// What every right answer holds.
    pub(crate) expected: &'static str,
    /// The function of ours that does the same, where this is a peer's.
    pub(crate) peer_of: Option<&'static str>,
    /// Whether a call takes a quarter of a second, so that there are few.
    pub(crate) slow: bool,
    /// Whether its counts are held to limits.
    pub(crate) limited: bool,
}
