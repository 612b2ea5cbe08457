//! How requests to the table begin, and what came of them.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        delete_item::{DeleteItemError, builders::DeleteItemFluentBuilder},
        get_item::builders::GetItemFluentBuilder,
        put_item::{PutItemError, builders::PutItemFluentBuilder},
        update_item::{UpdateItemError, UpdateItemOutput, builders::UpdateItemFluentBuilder},
    },
    types::ReturnValuesOnConditionCheckFailure,
};

use super::{
    Store, StoreError,
    rows::{Item, text},
    unavailable,
};

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

    /// Changes the row with this key, or begins one.
    pub(super) fn update(&self, key: Item) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key))
    }

    /// Deletes the row with this key.
    pub(super) fn delete(&self, key: Item) -> DeleteItemFluentBuilder {
        self.client.delete_item().table_name(&self.table).set_key(Some(key))
    }

    /// Puts a row, unless there is one with its key.
    pub(super) fn put_new(&self, row: Item) -> PutItemFluentBuilder {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(row));
        put.condition_expression("attribute_not_exists(pk)")
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
