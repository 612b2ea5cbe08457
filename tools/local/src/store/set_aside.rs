//! Sets a file of an older layout aside.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What `SQLite` writes beside its file.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Renames a closed store's file, and gives its new name: `dynamodb.older-1.sqlite`, or the first number that is free.
///
/// # Errors
/// It can't be renamed.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    let aside = loop {
        let aside = path.with_extension(format!("older-{number}.sqlite"));
        if !aside.try_exists()? {
            break aside;
        }
        number += 1;
    };
    std::fs::rename(path, &aside)?;
    let companions = COMPANIONS.map(|companion| (beside(path, companion), beside(&aside, companion)));
    // What it says of one store's changes would let those of the next go untold.
    for (from, to) in companions.into_iter().chain([(checkpoints(path), checkpoints(&aside))]) {
        match std::fs::rename(from, to) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// The file beside a store's that says how far functions have been told of its changes.
pub(super) fn checkpoints(store: &Path) -> PathBuf {
    store.with_extension("checkpoints.json")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_contents_and_take_free_names() {
        let folder = std::env::temp_dir().join(format!("set-aside-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("dynamodb.sqlite");
        for (number, text) in [(1, "first"), (2, "second")] {
            std::fs::write(&path, text).unwrap();
            std::fs::write(beside(&path, "-wal"), text).unwrap();
            std::fs::write(checkpoints(&path), text).unwrap();
            let aside = set_aside(&path).unwrap();
            assert_eq!(aside, folder.join(format!("dynamodb.older-{number}.sqlite")));
            assert_eq!(std::fs::read_to_string(&aside).unwrap(), text);
            assert_eq!(std::fs::read_to_string(beside(&aside, "-wal")).unwrap(), text);
            assert_eq!(std::fs::read_to_string(checkpoints(&aside)).unwrap(), text);
            assert!(!path.exists() && !beside(&path, "-wal").exists() && !checkpoints(&path).exists());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
