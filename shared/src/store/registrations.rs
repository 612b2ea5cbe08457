//! The rows that count how many accounts are asked for from an address.
//!
//! | attribute | type | holds |
//! |---|---|---|
//! | `pk` | S | `ATTEMPT#` and a digest of `registrations`, the address and the hour's number |
//! | `sk` | S | `ATTEMPT` |
//! | `registrations` | N | how many, in this hour of the clock |
//! | `expires_at` | N | the end of the hour |

use std::{num::NonZeroU64, time::Duration};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::{Store, StoreError, attempts::digest_key, count, happened, number};
use crate::{guessing::Address, time::Timestamp};

/// For how long registrations are counted together.
const HOUR: u64 = 3600;

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
        limit: NonZeroU64,
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let hour = now.0 / HOUR;
        let end = Timestamp(hour.saturating_add(1).saturating_mul(HOUR));
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(digest_key(&format!("registrations\n{address}\n{hour}"))))
            .update_expression("ADD registrations :one SET expires_at = :end")
            .condition_expression("attribute_not_exists(registrations) OR registrations < :limit")
            .expression_attribute_values(":one", count(1))
            .expression_attribute_values(":limit", count(limit.get()))
            .expression_attribute_values(":end", number(end))
            .send()
            .await;
        let is_taken = happened(answer, UpdateItemError::is_conditional_check_failed_exception)?;
        Ok((!is_taken).then(|| now.until(end)))
    }
}
