//! How to reach a stack's table.

use aws_config::{BehaviorVersion, Region};
use shared::store::Store;

use crate::Target;

/// Where `cargo run` serves its store.
pub(crate) const LOCAL_STORE: &str = "http://127.0.0.1:8000";

/// The name of the laptop's table.
const LOCAL_TABLE: &str = "gatehouse";

/// The table to work on.
pub(crate) async fn store(target: &Target) -> Store {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if target.local {
        // The laptop's store takes any signature, but wants one.
        loader = loader.endpoint_url(&target.endpoint).region(Region::from_static("us-east-1")).test_credentials();
    }
    let table = target.table.as_deref().unwrap_or(LOCAL_TABLE);
    Store::new(&loader.load().await, table)
}
