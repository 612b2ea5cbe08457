//! The rows of the keys that tokens are verified with.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Store, StoreError, requests,
    rows::{self, Item, as_number, as_text, timestamp},
    unavailable,
};
use crate::values::{key::Algorithm, time::Timestamp};

/// The partition key of the rows of keys.
const KEYS: &str = "KEYS";
/// How long the row of a key that was retired by hand is kept. The ring must have lost the key by then.
const TOMBSTONE: Duration = Duration::from_hours(30 * 24);

/// A key that tokens are verified with, as its row has it. The row's `pk` is `KEYS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// S: its `kid`.
    #[serde(rename = "sk", deserialize_with = "as_text::string")]
    pub id: String,
    /// S: its public half, a JWK in JSON; absent for a retired key of HS256, which has no public half.
    #[serde(default, deserialize_with = "as_text::optional", skip_serializing_if = "Option::is_none")]
    pub jwk: Option<String>,
    /// N, seconds since 1970: when it was published.
    #[serde(rename = "created_at", deserialize_with = "as_number::time")]
    pub created: Timestamp,
    /// N, seconds since 1970: when it was retired by hand, from when on nothing that it signed is valid; absent where it
    /// wasn't. Only [`Store::retire_key`] writes it.
    #[serde(rename = "retired_at", default, deserialize_with = "is_set", skip_serializing)]
    pub retired: bool,
    /// N, seconds since 1970: until when it verifies; absent while no newer key has taken its place.
    #[serde(
        rename = "expires_at",
        default,
        deserialize_with = "as_number::optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Timestamp>,
}

fn is_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    as_number::time(deserializer).map(|_| true)
}

impl KeyRow {
    /// The algorithm that its public half is for.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        #[derive(Deserialize)]
        struct Alg {
            alg: String,
        }
        let jwk: Alg = serde_json::from_str(self.jwk.as_deref()?).ok()?;
        jwk.alg.parse().ok()
    }

    /// Whether the key verifies tokens now. The TTL deletes rows late, so that each reader has to ask.
    #[must_use]
    pub fn verifies(&self, now: Timestamp) -> bool {
        !self.retired && self.expires.is_none_or(|expires| now < expires)
    }
}

impl Store {
    /// Every key's row, in no order, those that no longer verify among them; read consistently.
    ///
    /// # Errors
    /// [`StoreError`] where the table or one of the rows can't be read.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let items = self.partition(KEYS).await?;
        Ok(items.into_iter().map(|item| rows::read(item, KeyRow::deserialize)).collect::<Result<_, _>>()?)
    }

    /// Publishes the public half of a key. `false`: the key has a row already, which stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn publish_key(&self, id: &str, jwk: &str, now: Timestamp) -> Result<bool, StoreError> {
        let row = KeyRow { id: id.to_owned(), jwk: Some(jwk.to_owned()), created: now, retired: false, expires: None };
        let row = rows::write(row_key(id), |serializer| row.serialize(serializer))?;
        requests::put(self.put_new(row)).await
    }

    /// Says until when a key verifies. `false`: it has no row, or was retired by hand.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn expire_key(&self, id: &str, expires: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .update(row_key(id))
            .update_expression("SET expires_at = :expires")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(retired_at)")
            .expression_attribute_values(":expires", timestamp(expires));
        requests::update(update).await
    }

    /// Retires a key: from now on nothing that it has signed is valid. A key without a row (of HS256) gets
    /// one that says so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn retire_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.update(row_key(id))
            .update_expression(
                "SET retired_at = if_not_exists(retired_at, :now), created_at = if_not_exists(created_at, :now), \
                 expires_at = :expires",
            )
            .expression_attribute_values(":now", timestamp(now))
            .expression_attribute_values(":expires", timestamp(now.after(TOMBSTONE)))
            .send()
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}

fn row_key(id: &str) -> Item {
    rows::key(KEYS, id)
}
