//! How to reach a stack's table and secret.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig};
use aws_sdk_secretsmanager::Client;
use clap::Args;
use shared::{BoxError, aws::sdk::laptop_config, store::Store};

/// Where `cargo run` serves its store.
const LOCAL_STORE: &str = "http://127.0.0.1:8000";

/// Where `cargo run` serves its secrets.
const LOCAL_SECRETS: &str = "http://127.0.0.1:8001";

/// The name of the laptop's secret.
const LOCAL_SECRET: &str = "gatehouse-signing-secret";

/// The name of the laptop's table.
const LOCAL_TABLE: &str = "gatehouse";

/// Sets the options that every command has apart from its own, in the help.
const HEADING: &str = "Which stack";

/// Which table and secret to work on.
#[derive(Args)]
pub(crate) struct Target {
    /// The table's name, as the stack's output `TableName` says
    #[arg(long, global = true, help_heading = HEADING)]
    table: Option<String>,
    /// Work on the laptop's stack, which has to be running
    #[arg(long, global = true, help_heading = HEADING)]
    local: bool,
    /// The secret of the signing keys, as the stack's output `SigningSecretArn` says; to rotate or retire keys
    #[arg(long, global = true, help_heading = HEADING, value_name = "ARN")]
    secret: Option<String>,
    /// Where the laptop's store is, if not at its usual address
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", default_value = LOCAL_STORE)]
    endpoint: String,
    /// Where the laptop's secrets are, if not at their usual address
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", default_value = LOCAL_SECRETS)]
    secrets_endpoint: String,
}

/// The table to work on.
///
/// # Errors
/// The command line doesn't say which.
pub(crate) async fn store(target: &Target) -> Result<Store, BoxError> {
    match (target.table.as_deref(), target.local) {
        (table, true) => {
            let sdk = patient(laptop_config(&target.endpoint));
            Ok(Store::new(&sdk, table.unwrap_or(LOCAL_TABLE)))
        }
        // Credentials and region as the AWS CLI finds them.
        (Some(table), false) => {
            let sdk = patient(aws_config::load_defaults(BehaviorVersion::latest()).await);
            Ok(Store::new(&sdk, table))
        }
        (None, false) => Err("say which table: --table NAME for a deployed stack, --local for the laptop's".into()),
    }
}

/// Secrets Manager, and the secret of the signing keys.
///
/// # Errors
/// The command line doesn't say which.
pub(crate) async fn secret(target: &Target) -> Result<(Client, String), BoxError> {
    match (target.secret.clone(), target.local) {
        (secret, true) => {
            let sdk = laptop_config(&target.secrets_endpoint);
            Ok((Client::new(&sdk), secret.unwrap_or_else(|| LOCAL_SECRET.to_owned())))
        }
        (Some(secret), false) => Ok((Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await), secret)),
        (None, false) => Err("say which secret: --secret ARN, as the stack's output SigningSecretArn says".into()),
    }
}

/// An import can write faster than a table takes in that was idle before: then the SDK slows down, and tries again for
/// some seconds.
fn patient(sdk: SdkConfig) -> SdkConfig {
    let retries = RetryConfig::adaptive()
        .with_max_attempts(8)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(2));
    sdk.into_builder().retry_config(retries).build()
}
