//! The rows that count how many accounts are asked for from an address.

use std::time::Duration;

use serde::Serialize;

use super::{
    Store, StoreError,
    guesses::digest_key,
    requests,
    rows::{number, values},
};
use crate::values::{guessing::Address, time::Timestamp};

/// For how long registrations are counted together.
const HOUR: u64 = 3600;

/// The row of an address and an hour of the clock. Its `pk` is `ATTEMPT#` and a digest of `registrations`, the address
/// and the hour's number, its `sk` is `ATTEMPT`.
#[derive(Serialize)]
struct RegistrationsRow {
    /// N: how many there were.
    registrations: u64,
    /// N, seconds since 1970: the end of the hour.
    expires_at: Timestamp,
}

impl Store {
    /// Counts a registration, before anything is done for it. Gives for how long none is taken from the address, where
    /// there were `limit` in this hour; then it isn't counted.
    ///
    /// A call that the SDK repeats because its answer was lost may count twice.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it can't be counted.
    pub async fn count_registration(
        &self,
        address: Address,
        limit: u64,
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let hour = now.0 / HOUR;
        let end = Timestamp(hour.saturating_add(1).saturating_mul(HOUR));
        let update = self
            .update_count(digest_key(&format!("registrations\n{address}\n{hour}")))
            .update_expression("ADD registrations :registrations SET expires_at = :expires_at")
            .condition_expression("attribute_not_exists(registrations) OR registrations < :limit")
            .set_expression_attribute_values(Some(values(&RegistrationsRow { registrations: 1, expires_at: end })?))
            .expression_attribute_values(":limit", number(limit));
        let is_taken = requests::update(update).await?;
        Ok((!is_taken).then(|| now.until(end)))
    }
}
