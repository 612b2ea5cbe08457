//! How to reach a stack's table.

use aws_config::BehaviorVersion;
use shared::{BoxError, aws::laptop_config, store::Store};

use crate::Target;

/// Where `cargo run` serves its store.
pub(crate) const LOCAL_STORE: &str = "http://127.0.0.1:8000";

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
