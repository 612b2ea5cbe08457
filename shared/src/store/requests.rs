//! How requests to the table begin, and what came of them.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        delete_item::{DeleteItemError, builders::DeleteItemFluentBuilder},
        get_item::builders::GetItemFluentBuilder,
        put_item::{PutItemError, builders::PutItemFluentBuilder},
        transact_write_items::TransactWriteItemsError,
        update_item::{UpdateItemError, UpdateItemOutput, builders::UpdateItemFluentBuilder},
    },
    types::{KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};

use super::{
    Store, StoreError,
    rows::{Item, text},
    unavailable,
};

/// How many rows one call reads, or writes in a transaction, at most.
pub(super) const MOST_KEYS: usize = 100;
/// The longest that a look-up takes, however often rows are put off.
pub const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a row that was put off is left alone before it is asked for again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// What came of a conditional write that asks for the row where its condition doesn't hold.
pub(super) enum Write<T> {
    /// The row was written.
    Done(T),
    /// Nothing was written: the row as it is, or `None` where there is none.
    Refused(Option<Item>),
}

impl Store {
    /// Reads the row with this key, as every write so far has left it.
    pub(super) fn get(&self, key: Item) -> GetItemFluentBuilder {
        self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true)
    }

    /// The rows with these keys, [`MOST_KEYS`] at most, each with the table that it is in, as every write so far has left
    /// them; in the order of the keys, of which no two may be the same. Each is read by itself: one may be older than a
    /// write that another one shows. One call, but for rows that the table puts off: those are asked for
    /// until it gives them, so that it is the caller's part to give up.
    pub(super) async fn get_all(&self, keys: &[(&str, Item)]) -> Result<Vec<Option<Item>>, StoreError> {
        let mut wanted: HashMap<String, KeysAndAttributes> = HashMap::new();
        for (table, key) in keys {
            let of_table = wanted.remove(*table).map_or_else(Vec::new, |of_table| of_table.keys);
            let of_table = KeysAndAttributes::builder().set_keys(Some(of_table)).keys(key.clone());
            wanted.insert((*table).to_owned(), of_table.consistent_read(true).build().map_err(unavailable)?);
        }
        let (mut found, mut pause) = (Vec::new(), FIRST_PAUSE);
        while !wanted.is_empty() {
            let answer = self.client.batch_get_item().set_request_items(Some(wanted)).send().await;
            let answer = answer.map_err(unavailable)?;
            for (table, rows) in answer.responses.unwrap_or_default() {
                found.extend(rows.into_iter().map(|row| (table.clone(), row)));
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if !wanted.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        let take = |(table, key): &(&str, Item)| {
            let is_it = |(of, row): &(String, Item)| {
                of == table && key.iter().all(|(name, value)| row.get(name) == Some(value))
            };
            found.iter().position(is_it).map(|at| found.swap_remove(at).1)
        };
        Ok(keys.iter().map(take).collect())
    }

    /// Changes the row with this key, or begins one.
    pub(super) fn update(&self, key: Item) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key))
    }

    /// The same for whoever has somebody waiting: no longer than [`LOOK_UP_TIMEOUT`].
    pub(super) async fn get_all_in_time(&self, keys: &[(&str, Item)]) -> Result<Vec<Option<Item>>, StoreError> {
        tokio::time::timeout(LOOK_UP_TIMEOUT, self.get_all(keys)).await.map_err(unavailable)?
    }

    /// The name of the table of counts.
    pub(super) fn counts_table(&self) -> Result<&str, StoreError> {
        self.counts.as_deref().ok_or_else(|| StoreError::Unavailable("this store counts nothing".into()))
    }

    /// Changes the row with this key in the table of counts, or begins one. Without such a table the request fails.
    pub(super) fn update_count(&self, key: Item) -> UpdateItemFluentBuilder {
        self.client.update_item().set_table_name(self.counts.clone()).set_key(Some(key))
    }

    /// Deletes the row with this key.
    pub(super) fn delete(&self, key: Item) -> DeleteItemFluentBuilder {
        self.client.delete_item().table_name(&self.table).set_key(Some(key))
    }

    /// Puts a row, unless there is one with its key.
    pub(super) fn put_new(&self, row: Item) -> PutItemFluentBuilder {
        self.put_if(row, "attribute_not_exists(pk)")
    }

    /// Puts a row in the place of one that is so.
    pub(super) fn put_if(&self, row: Item, condition: &str) -> PutItemFluentBuilder {
        self.client.put_item().table_name(&self.table).set_item(Some(row)).condition_expression(condition)
    }

    /// Sends conditional puts of up to [`MOST_KEYS`] rows, no two of them with one key, as one: all are made, or none.
    /// `false`: none, because a condition didn't hold, or because the table had too much to do or another write under way.
    pub(super) async fn put_all(&self, puts: &[PutItemFluentBuilder]) -> Result<bool, StoreError> {
        let puts = puts.iter().map(in_transaction).collect::<Result<_, _>>()?;
        // The SDK sends a token with it, so that an attempt whose answer was lost isn't taken for somebody else's.
        let answer = self.client.transact_write_items().set_transact_items(Some(puts)).send().await;
        let cancelled = TransactWriteItemsError::is_transaction_canceled_exception;
        Ok(matches!(outcome(answer, cancelled, |_| None)?, Write::Done(_)))
    }

    /// All rows with this partition key, as every write so far has left them.
    pub(super) async fn partition(&self, key: &str) -> Result<Vec<Item>, StoreError> {
        let items = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(key))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        items.collect::<Result<_, _>>().await.map_err(unavailable)
    }
}

/// A put as part of a transaction.
fn in_transaction(put: &PutItemFluentBuilder) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder()
        .set_table_name(put.get_table_name().clone())
        .set_item(put.get_item().clone())
        .set_condition_expression(put.get_condition_expression().clone())
        .set_expression_attribute_names(put.get_expression_attribute_names().clone())
        .set_expression_attribute_values(put.get_expression_attribute_values().clone())
        .build()
        .map_err(unavailable)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// Sends a conditional put. `false`: its condition didn't hold.
pub(super) async fn put(request: PutItemFluentBuilder) -> Result<bool, StoreError> {
    let outcome = outcome(request.send().await, PutItemError::is_conditional_check_failed_exception, |_| None)?;
    Ok(matches!(outcome, Write::Done(_)))
}

/// Sends a conditional update. `false`: its condition didn't hold.
pub(super) async fn update(request: UpdateItemFluentBuilder) -> Result<bool, StoreError> {
    let outcome = outcome(request.send().await, UpdateItemError::is_conditional_check_failed_exception, |_| None)?;
    Ok(matches!(outcome, Write::Done(_)))
}

/// Sends a conditional deletion. `false`: its condition didn't hold.
pub(super) async fn delete(request: DeleteItemFluentBuilder) -> Result<bool, StoreError> {
    let outcome = outcome(request.send().await, DeleteItemError::is_conditional_check_failed_exception, |_| None)?;
    Ok(matches!(outcome, Write::Done(_)))
}

/// Sends a conditional put, and asks for the row that is there already.
pub(super) async fn put_or_find(request: PutItemFluentBuilder) -> Result<Write<()>, StoreError> {
    let request = request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let answer = request.send().await.map(drop);
    outcome(answer, PutItemError::is_conditional_check_failed_exception, |error| match error {
        PutItemError::ConditionalCheckFailedException(failed) => failed.item,
        _ => None,
    })
}

/// Sends a conditional update, and asks for the row where it isn't as the condition has it.
pub(super) async fn update_or_find(request: UpdateItemFluentBuilder) -> Result<Write<UpdateItemOutput>, StoreError> {
    let request = request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    outcome(request.send().await, UpdateItemError::is_conditional_check_failed_exception, |error| match error {
        UpdateItemError::ConditionalCheckFailedException(failed) => failed.item,
        _ => None,
    })
}

/// Tells a condition that didn't hold from a failure.
fn outcome<T, E, R>(
    answer: Result<T, SdkError<E, R>>,
    condition_failed: fn(&E) -> bool,
    row: fn(E) -> Option<Item>,
) -> Result<Write<T>, StoreError>
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match answer {
        Ok(output) => Ok(Write::Done(output)),
        Err(SdkError::ServiceError(failure)) if condition_failed(failure.err()) => {
            Ok(Write::Refused(row(failure.into_err()).filter(|row| !row.is_empty())))
        }
        Err(error) => Err(unavailable(error)),
    }
}
