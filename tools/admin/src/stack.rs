//! How to reach a stack's table.

use aws_config::BehaviorVersion;
use shared::{aws::laptop_config, store::Store};

use crate::Target;

/// Where `cargo run` serves its store.
pub(crate) const LOCAL_STORE: &str = "http://127.0.0.1:8000";

/// The name of the laptop's table.
const LOCAL_TABLE: &str = "gatehouse";

/// The table to work on.
pub(crate) async fn store(target: &Target) -> Store {
    let sdk = if target.local {
        laptop_config(&target.endpoint).await
    } else {
        // Credentials and region as the AWS CLI finds them.
        aws_config::load_defaults(BehaviorVersion::latest()).await
    };
    Store::new(&sdk, target.table.as_deref().unwrap_or(LOCAL_TABLE))
}
