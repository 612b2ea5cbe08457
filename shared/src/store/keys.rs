//! The rows of the keys that tokens are verified with.
//!
//! | attribute | type | holds |
//! |---|---|---|
//! | `pk` | S | `KEYS` |
//! | `sk` | S | the key's `kid` |
//! | `jwk` | S | the public half, a JWK; absent where an HS256 key is retired |
//! | `created_at` | N | when it was published |
//! | `retired_at` | N | when it was retired by hand; from then on nothing that it signed is valid |
//! | `expires_at` | N | until when it verifies |

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::operation::{put_item::PutItemError, update_item::UpdateItemError};
use serde::Deserialize;

use super::{Item, Row, Store, StoreError, UnreadableRow, as_text, as_timestamp, happened, number, text, unavailable};
use crate::{key::Algorithm, time::Timestamp};

/// The partition key of the rows of keys.
const KEYS: &str = "KEYS";
/// How long the row of a key that was retired by hand is kept. The ring must have lost the key by then.
const TOMBSTONE: Duration = Duration::from_hours(30 * 24);

/// A key that tokens are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its `kid`.
    pub id: String,
    /// Its public half, a JWK in JSON; `None` for a retired key of HS256, which has no public half.
    pub jwk: Option<String>,
    /// When it was published.
    pub created: Timestamp,
    /// Whether it was retired by hand.
    pub retired: bool,
    /// Until when it verifies; `None` while no newer key has taken its place.
    pub expires: Option<Timestamp>,
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
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :keys")
            .expression_attribute_values(":keys", text(KEYS))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut keys = Vec::new();
        while let Some(item) = items.next().await {
            keys.push(read_key(&item.map_err(unavailable)?)?);
        }
        Ok(keys)
    }

    /// Publishes the public half of a key. `false`: the key has a row already, which stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn publish_key(&self, id: &str, jwk: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut item = key_key(id);
        item.extend([("jwk".to_owned(), text(jwk)), ("created_at".to_owned(), number(now))]);
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        happened(answer, PutItemError::is_conditional_check_failed_exception)
    }

    /// Says until when a key verifies. `false`: it has no row, or was retired by hand.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn expire_key(&self, id: &str, expires: Timestamp) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_key(id)))
            .update_expression("SET expires_at = :expires")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(retired_at)")
            .expression_attribute_values(":expires", number(expires))
            .send()
            .await;
        happened(answer, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// Retires a key: from now on nothing that it has signed is valid. A key without a row (of HS256) gets
    /// one that says so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn retire_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_key(id)))
            .update_expression(
                "SET retired_at = if_not_exists(retired_at, :now), created_at = if_not_exists(created_at, :now), \
                 expires_at = :expires",
            )
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires", number(now.after(TOMBSTONE)))
            .send()
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}

fn key_key(id: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(KEYS)), ("sk".to_owned(), text(id))])
}

fn read_key(item: &Item) -> Result<KeyRow, UnreadableRow> {
    let row = Row(item);
    Ok(KeyRow {
        id: row.read("sk", |value| as_text(value).map(str::to_owned))?,
        jwk: row.optional("jwk", |value| as_text(value).map(str::to_owned))?,
        created: row.read("created_at", as_timestamp)?,
        retired: row.optional("retired_at", as_timestamp)?.is_some(),
        expires: row.optional("expires_at", as_timestamp)?,
    })
}
