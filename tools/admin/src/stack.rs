//! How to reach a stack's table and secret.

use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use shared::{BoxError, aws::laptop_config, store::Store};

use crate::Target;

/// Where `cargo run` serves its store.
pub(crate) const LOCAL_STORE: &str = "http://127.0.0.1:8000";

/// Where `cargo run` serves its secrets.
pub(crate) const LOCAL_SECRETS: &str = "http://127.0.0.1:8001";

/// The name of the laptop's secret.
const LOCAL_SECRET: &str = "gatehouse-signing-secret";

/// The name of the laptop's table.
const LOCAL_TABLE: &str = "gatehouse";

/// The table to work on.
///
/// # Errors
/// The command line doesn't say which.
pub(crate) async fn store(target: &Target) -> Result<Store, BoxError> {
    match (target.table.as_deref(), target.local) {
        (table, true) => Ok(Store::new(&laptop_config(&target.endpoint).await, table.unwrap_or(LOCAL_TABLE))),
        (Some(table), false) => {
            // Credentials and region as the AWS CLI finds them.
            Ok(Store::new(&aws_config::load_defaults(BehaviorVersion::latest()).await, table))
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
            let sdk = laptop_config(&target.secrets_endpoint).await;
            Ok((Client::new(&sdk), secret.unwrap_or_else(|| LOCAL_SECRET.to_owned())))
        }
        (Some(secret), false) => Ok((Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await), secret)),
        (None, false) => Err("say which secret: --secret ARN, as the stack's output SigningSecretArn says".into()),
    }
}
