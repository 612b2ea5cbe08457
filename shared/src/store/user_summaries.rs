//! Accounts as they may be shown: read without the hashes, by name or page by page.
//!
//! The attributes are named in each call, so that a role can be bound to them (`dynamodb:Attributes`): who lists users
//! may not read a hash even by mistake.

use aws_sdk_dynamodb::types::Select;

use serde::Deserialize;

use super::{
    Store, StoreError, UnreadableRow,
    rows::{self, Item, as_number, as_set, as_text, text},
    unavailable,
    users::{USER, user_key},
};
use crate::values::{
    scope::Scopes,
    time::Timestamp,
    user::{Status, UserSummary},
    username::Username,
};

/// What is read of an account's row; [`super::users`] says what the attributes hold.
#[derive(Deserialize)]
#[serde(remote = "UserSummary")]
struct UserSummaryRow {
    #[serde(with = "as_text")]
    username: Username,
    #[serde(with = "as_text")]
    status: Status,
    #[serde(default, with = "as_set")]
    scopes: Scopes,
    #[serde(rename = "created_at", deserialize_with = "as_number::time")]
    created: Timestamp,
    #[serde(rename = "updated_at", deserialize_with = "as_number::time")]
    updated: Timestamp,
}

/// What is read; `status` is a reserved word.
const ATTRIBUTES: &str = "pk, sk, username, #status, scopes, created_at, updated_at";
/// How many times a scan goes on, at up to 1 MB of rows of all kinds each, before a page stays shorter than asked for.
const SCANS: usize = 64;

/// Some accounts, and where to go on.
#[derive(Debug)]
pub struct UsersPage {
    /// The accounts, in no order. A row that can't be read stands there as its error.
    pub users: Vec<Result<UserSummary, UnreadableRow>>,
    /// The account after which the next page begins; `None` on the last page.
    pub next: Option<Username>,
}

impl Store {
    /// What may be shown of the account of this name; read consistently.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be read.
    pub async fn find_user_summary(&self, username: &Username) -> Result<Option<UserSummary>, StoreError> {
        let get = self
            .get(user_key(username))
            .projection_expression(ATTRIBUTES)
            .expression_attribute_names("#status", "status");
        Ok(get.send().await.map_err(unavailable)?.item.map(read_summary).transpose()?)
    }

    /// Up to `size` accounts, those that come after `after` in the table's own order. An account that is there from the
    /// first page to the last is on exactly one of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the table can't be read, or where there is no account in a large part of it:
    /// a place between two accounts can't be named.
    pub async fn users_page(&self, after: Option<&Username>, size: usize) -> Result<UsersPage, StoreError> {
        let mut start = after.map(user_key);
        let mut items: Vec<Item> = Vec::new();
        for _ in 0..SCANS {
            let answer = self
                .client
                .scan()
                .table_name(&self.table)
                .consistent_read(true)
                .select(Select::SpecificAttributes)
                .projection_expression(ATTRIBUTES)
                .filter_expression("sk = :user")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":user", text(USER))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable)?;
            start = answer.last_evaluated_key;
            items.extend(answer.items.unwrap_or_default());
            // More than asked for are needed to know whether there is another page.
            if start.is_none() || items.len() > size {
                break;
            }
        }
        let is_last = start.is_none() && items.len() <= size;
        items.truncate(size);
        let next = if is_last { None } else { Some(items.last().and_then(name_in_key).ok_or_else(nothing_found)?) };
        Ok(UsersPage { users: items.into_iter().map(read_summary).collect(), next })
    }
}

fn nothing_found() -> StoreError {
    StoreError::Unavailable(format!("{SCANS} MB of the table hold no user").into())
}

/// The name in the key of a user's row, in lower case.
fn name_in_key(item: &Item) -> Option<Username> {
    Username::parse(item.get("pk")?.as_s().ok()?.strip_prefix("USER#")?).ok()
}

fn read_summary(item: Item) -> Result<UserSummary, UnreadableRow> {
    rows::read(item, UserSummaryRow::deserialize)
}
