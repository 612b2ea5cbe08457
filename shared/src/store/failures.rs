//! The rows that count failures by where they come from; [`crate::guessing`] says what the counts mean.
//!
//! Failures are counted once they have happened, so that guesses which run at the same time may bring a count past its
//! budget, by as many as there are.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow,
    guesses::digest_key,
    rows::{self, Item, as_number, values},
    unavailable,
};
use crate::values::{
    guessing::{Address, FailuresPerAddress, Network, Window},
    time::Timestamp,
};

/// The row of a network and a half-hour in which a guess from it was wrong. Its `pk` is `ATTEMPT#` and a digest of
/// `failures`, the network and the half-hour's number, its `sk` is `ATTEMPT`.
#[derive(Serialize, Deserialize)]
struct FailuresRow {
    /// N: how many there were.
    #[serde(deserialize_with = "as_number::count")]
    failures: u64,
    /// N: seconds since 1970: the end of the half-hour.
    #[serde(deserialize_with = "as_number::time")]
    expires_at: Timestamp,
}

impl Store {
    /// Counts a failure from an address. Gives the network whose budget it has used up, where it was the last one of
    /// that budget.
    ///
    /// A call that the SDK repeats because its answer was lost counts twice, and may so pass the last one unseen.
    pub(super) async fn count_failure(
        &self,
        address: Address,
        window: Window,
        per_address: FailuresPerAddress,
    ) -> Result<Option<Network>, StoreError> {
        let mut networks = Network::of(address);
        let mut count = || {
            let network = networks.next();
            async move {
                let Some(network) = network else { return Ok(None) };
                let failures = self.count_failure_of(network, window).await?;
                Ok::<_, StoreError>((failures == network.budget(per_address)).then_some(network))
            }
        };
        let (address, site) = tokio::join!(count(), count());
        Ok(site?.or(address?))
    }

    /// Counts a failure of a network; gives how many there are in the window.
    async fn count_failure_of(&self, network: Network, window: Window) -> Result<u64, StoreError> {
        let update = self
            .update_count(failures_key(network, window))
            .update_expression("ADD failures :failures SET expires_at = :expires_at")
            .set_expression_attribute_values(Some(values(&FailuresRow { failures: 1, expires_at: window.ends() })?))
            .return_values(ReturnValue::UpdatedNew);
        let updated = update.send().await.map_err(unavailable)?;
        Ok(failures_of(updated.attributes)?)
    }
}

/// The key of the row of a network and a half-hour.
pub(super) fn failures_key(network: Network, window: Window) -> Item {
    digest_key(&format!("failures\n{network}\n{}", window.number()))
}

/// How many failures the row counts; none, where there is no row.
pub(super) fn failures_of(row: Option<Item>) -> Result<u64, UnreadableRow> {
    Ok(row.map(|row| rows::read(row, FailuresRow::deserialize)).transpose()?.map_or(0, |row| row.failures))
}
