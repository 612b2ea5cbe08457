//! Builds the workspace's binaries with cargo, and finds them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

/// The function binaries couldn't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo couldn't be started, or its output couldn't be read.
    #[error("cargo can't be run")]
    Run(#[from] std::io::Error),
    /// Cargo has said on stderr what is wrong.
    #[error("cargo build ended with {0}")]
    Failed(ExitStatus),
}

/// Builds these binaries of the workspace at `root`, and returns their paths by name.
///
/// The features are those of the whole workspace, as `cargo run` resolves them, and the profile is that of this very
/// program: what `cargo run` has compiled is not compiled once more. What is going on goes to stderr.
///
/// # Errors
/// Cargo can't be run, or the build fails.
pub fn build_functions(root: &Path, names: &[String]) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    // Nobody can be told that stderr is gone.
    let _ = writeln!(std::io::stderr(), "Building the functions (the first time takes some minutes) …");
    let names = names.iter().flat_map(|name| ["--bin", name.as_str()]);
    build(root, &["--workspace"].into_iter().chain(names).collect::<Vec<_>>(), !cfg!(debug_assertions))
}

/// Builds the binaries of these packages as they are deployed: in the release profile, and without the features that
/// other packages ask for. Packages that are built together share theirs.
///
/// # Errors
/// Cargo can't be run, or the build fails.
pub fn build_for_release(root: &Path, packages: &[&str]) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let packages: Vec<_> = packages.iter().flat_map(|package| ["--package", package]).chain(["--bins"]).collect();
    build(root, &packages, true)
}

/// Does the same for a test: features are resolved as for `cargo test --workspace`, whose development
/// dependencies switch some on.
///
/// # Errors
/// Cargo can't be run, or the build fails.
pub fn build_functions_for_tests(root: &Path) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    build(root, &["--workspace", "--bins", "--tests"], !cfg!(debug_assertions))
}

fn build(root: &Path, targets: &[&str], release: bool) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let mut command = cargo();
    command.current_dir(root).args(["build", "--message-format=json-render-diagnostics"]).args(targets);
    if release {
        command.arg("--release");
    }
    let mut cargo = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut executables = BTreeMap::new();
    if let Some(messages) = cargo.stdout.take() {
        for message in BufReader::new(messages).lines() {
            // What isn't JSON is not from cargo: a build script may print.
            let message: Value = serde_json::from_str(&message?).unwrap_or_default();
            // A binary's unit tests are a binary too.
            let is_binary = message["target"]["kind"][0] == "bin" && message["profile"]["test"] == false;
            if let (true, Some(name), Some(path)) =
                (is_binary, message["target"]["name"].as_str(), message["executable"].as_str())
            {
                executables.insert(name.to_owned(), PathBuf::from(path));
            }
        }
    }
    match cargo.wait()? {
        status if status.success() => Ok(executables),
        status => Err(BuildError::Failed(status)),
    }
}

/// Cargo as one would start it from a shell: without what a `cargo run` or `cargo test` around this
/// process has set, some of which makes build scripts run again.
#[expect(clippy::disallowed_methods, reason = "cargo says in the environment where it is")]
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let set_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "NEXTEST"];
        let name = name.to_string_lossy();
        if set_by_cargo.iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"].contains(&&*name)
        {
            command.env_remove(&*name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(code: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let member = root.path().join("functions/hello");
        std::fs::create_dir_all(member.join("src")).unwrap();
        std::fs::write(root.path().join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"functions/*\"]")
            .unwrap();
        std::fs::write(member.join("Cargo.toml"), "[package]\nname = \"hello\"\nedition = \"2024\"").unwrap();
        std::fs::write(member.join("src/main.rs"), code).unwrap();
        root
    }

    #[test]
    fn binaries_are_built_and_found() {
        let root = workspace("fn main() { println!(\"hello\"); }");
        let binaries = build_functions(root.path(), &["hello".to_owned()]).unwrap();
        let output = Command::new(&binaries["hello"]).output().unwrap();
        assert_eq!(output.stdout, b"hello\n");
        assert_eq!(build_functions_for_tests(root.path()).unwrap(), binaries);
    }

    #[test]
    fn code_that_does_not_compile_is_an_error() {
        let root = workspace("fn main() { nothing() }");
        assert!(matches!(build_functions(root.path(), &["hello".to_owned()]), Err(BuildError::Failed(_))));
    }
}
