//! The environment that a function's process is started with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::cloudformation::{FunctionSpec, REGION};

/// The variables that an instance inherits from this process. Lambda gives it nothing of the kind, but a dynamic
/// linker, a backtrace or a coverage run needs them.
const INHERITED: [&str; 5] =
    ["PATH", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// The environment of new instances.
pub(super) struct Environment {
    pub(super) variables: BTreeMap<String, OsString>,
    /// Counts the changes, so that instances of before are known.
    pub(super) version: u64,
}

impl Environment {
    /// Lambda's own variables, and `variables` over them.
    pub(super) fn new(executable: &Path, spec: &FunctionSpec, variables: BTreeMap<String, String>) -> Self {
        let mut all = lambda_variables(executable, spec);
        all.extend(variables.into_iter().map(|(name, value)| (name, value.into())));
        Self { variables: all, version: 0 }
    }
}

/// The variables that Lambda sets for every function.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
#[expect(clippy::disallowed_methods, reason = "a process is started with parts of this one's environment")]
fn lambda_variables(executable: &Path, spec: &FunctionSpec) -> BTreeMap<String, OsString> {
    let mut environment: BTreeMap<String, OsString> =
        INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?))).collect();
    let root = executable.parent().unwrap_or(executable);
    environment.insert("LAMBDA_TASK_ROOT".to_owned(), root.into());
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", &spec.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", spec.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_REGION", REGION),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ] {
        environment.insert(name.to_owned(), value.into());
    }
    environment
}
