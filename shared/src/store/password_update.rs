//! A user's own change of the password, which the session that it comes from survives.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::{BuildError, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{TransactWriteItem, Update},
};

use super::{
    Store, StoreError,
    rows::{number, text, timestamp},
    sessions::session_key,
    unavailable,
    users::user_key,
};
use crate::values::{
    password::PasswordHash,
    session::SessionId,
    time::Timestamp,
    user::{Status, User},
};

/// How often the transaction is tried where another write holds one of the rows.
const ROUNDS: u32 = 5;
/// How long it waits for the other write, longer in each round.
const PAUSE: Duration = Duration::from_millis(30);

/// What came of a change of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordUpdate {
    /// The account has the new password, and the session goes on.
    Done,
    /// Nothing has changed: the account has another password than the one that was verified, or is disabled or gone.
    UserChanged,
    /// Nothing has changed: the session has ended.
    SessionOver,
}

impl Store {
    /// Gives the account a new password, and tells the session from which that comes: the account's other sessions end
    /// at their next refresh. Both happen or neither does, so that of several changes at once, all with the password
    /// of before, one happens.
    ///
    /// What was verified is recognised by its version: the hash may be another by now, because a sign-in renews it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the rows can't be written.
    pub async fn update_password(
        &self,
        verified: &User,
        session: &SessionId,
        new: &PasswordHash,
        now: Timestamp,
    ) -> Result<PasswordUpdate, StoreError> {
        let next = verified.password_version.saturating_add(1);
        let user = Update::builder()
            .table_name(&self.table)
            .set_key(Some(user_key(&verified.username)))
            .update_expression("SET password_hash = :hash, password_version = :next, updated_at = :now")
            .condition_expression(
                "(password_version = :version OR attribute_not_exists(password_version) AND created_at = :version) \
                 AND created_at = :created AND #status = :active",
            )
            // `status` is a reserved word.
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":hash", text(new.as_str()))
            .expression_attribute_values(":next", number(next))
            .expression_attribute_values(":now", timestamp(now))
            .expression_attribute_values(":version", number(verified.password_version))
            .expression_attribute_values(":created", timestamp(verified.created))
            .expression_attribute_values(":active", text(Status::Active.as_str()));
        let session = Update::builder()
            .table_name(&self.table)
            .set_key(Some(session_key(&verified.username, session)))
            .update_expression("SET password_version = :next")
            .condition_expression(
                "password_version = :version AND expires_at > :now AND ends_at > :now \
                 AND attribute_not_exists(ended_at)",
            )
            .expression_attribute_values(":next", number(next))
            .expression_attribute_values(":version", number(verified.password_version))
            .expression_attribute_values(":now", timestamp(now));
        let write = |update: Result<Update, BuildError>| {
            update.map(|update| TransactWriteItem::builder().update(update).build()).map_err(unavailable)
        };
        self.transact(vec![write(user.build())?, write(session.build())?]).await
    }

    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<PasswordUpdate, StoreError> {
        for round in 1..=ROUNDS {
            // The SDK gives each round a token of its own, by which DynamoDB recognises a call that it repeats.
            let answer = self.client.transact_write_items().set_transact_items(Some(writes.clone())).send().await;
            let Err(error) = answer else { return Ok(PasswordUpdate::Done) };
            match reasons(&error).as_slice() {
                ["ConditionalCheckFailed", _] => return Ok(PasswordUpdate::UserChanged),
                ["None", "ConditionalCheckFailed"] => return Ok(PasswordUpdate::SessionOver),
                reasons if reasons.contains(&"TransactionConflict") && round < ROUNDS => {
                    tokio::time::sleep(PAUSE * round).await;
                }
                _ => return Err(unavailable(error)),
            }
        }
        Err(StoreError::Unavailable("another write held the rows".into()))
    }
}

/// Why a transaction was cancelled, for each of its writes; nothing where it failed otherwise.
fn reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Vec<&str> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect()
        }
        _ => Vec::new(),
    }
}
