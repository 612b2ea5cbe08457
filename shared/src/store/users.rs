//! The rows of accounts.
//!
//! | attribute | type | holds |
//! |---|---|---|
//! | `pk` | S | `USER#` and the username in lower case |
//! | `sk` | S | `USER` |
//! | `username` | S | the username as typed |
//! | `password_hash` | S | see [`crate::password::PasswordHash`] |
//! | `password_version` | N | begins with `created_at` (which an absent one stands for), and goes up by one with each new password |
//! | `scopes` | SS | absent where there is none, since a set can't be empty |
//! | `status` | S | `active` or `disabled` |
//! | `created_at`, `updated_at` | N | seconds since 1970 |

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::{delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError},
    types::ReturnValuesOnConditionCheckFailure,
};

use super::{
    Item, Row, Store, StoreError, UnreadableRow, as_count, as_scopes, as_text, as_timestamp, count, happened, number,
    say, scopes, text, unavailable,
};
use crate::{
    password::PasswordHash,
    scope::Scopes,
    time::Timestamp,
    user::{Status, User},
    username::Username,
};

/// The sort key of a user's row.
pub(super) const USER: &str = "USER";

impl Store {
    /// The account of this name, in whatever case; read consistently, so that an account that was just
    /// disabled is seen to be.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be read.
    pub async fn find_user(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(user_key(username)))
            .consistent_read(true)
            .send()
            .await
            .map_err(unavailable)?;
        Ok(answer.item.as_ref().map(read_user).transpose()?)
    }

    /// Adds an account. `false`: there is one of that name, and it stays as it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn add_user(&self, user: &User) -> Result<bool, StoreError> {
        match self.add_or_find_user(user).await {
            Ok(existing) => Ok(existing.is_none()),
            // It is there, whatever is in it.
            Err(StoreError::Unreadable(_)) => Ok(false),
            Err(unavailable) => Err(unavailable),
        }
    }

    /// Adds an account, or gives the one that has its name already, which stays as it was.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be written, or the one that is there can't be read.
    pub async fn add_or_find_user(&self, user: &User) -> Result<Option<User>, StoreError> {
        let mut item = user_key(&user.username);
        item.extend([
            ("username".to_owned(), text(user.username.as_str())),
            ("password_hash".to_owned(), text(user.password_hash.as_str())),
            ("password_version".to_owned(), count(user.password_version)),
            ("status".to_owned(), text(user.status.as_str())),
            ("created_at".to_owned(), number(user.created)),
            ("updated_at".to_owned(), number(user.updated)),
        ]);
        item.extend(scopes(&user.scopes).map(|scopes| ("scopes".to_owned(), scopes)));
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(exists)) => {
                    Ok(Some(read_user(exists.item().unwrap_or(&Item::new()))?))
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    /// Puts `new` in the place of the hash `old` of the same password. `false`: the hash is no longer
    /// `old`, and stays.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn replace_hash(
        &self,
        username: &Username,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(user_key(username)))
            .update_expression("SET password_hash = :new")
            .condition_expression("password_hash = :old")
            .expression_attribute_values(":new", text(new.as_str()))
            .expression_attribute_values(":old", text(old.as_str()))
            .send()
            .await;
        happened(answer, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// Gives the account a new password: sessions of the one before end at their next refresh. `false`: there is no
    /// such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn set_password(
        &self,
        username: &Username,
        hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(user_key(username)))
            .update_expression(
                "SET password_hash = :hash, updated_at = :now, \
                 password_version = if_not_exists(password_version, created_at) + :one",
            )
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":hash", text(hash.as_str()))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":one", count(1))
            .send()
            .await;
        happened(answer, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// Sets whether the account may sign in. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn set_status(&self, username: &Username, status: Status, now: Timestamp) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(user_key(username)))
            .update_expression("SET #status = :status, updated_at = :now")
            .condition_expression("attribute_exists(pk)")
            // `status` is a reserved word.
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":now", number(now))
            .send()
            .await;
        happened(answer, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// Sets what the account may do, in the place of what it could before. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn set_scopes(
        &self,
        username: &Username,
        new_scopes: &Scopes,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let new_scopes = scopes(new_scopes);
        let update = if new_scopes.is_some() { "SET scopes = :scopes," } else { "REMOVE scopes SET" };
        let values = new_scopes.map(|scopes| (":scopes".to_owned(), scopes)).into_iter();
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(user_key(username)))
            .update_expression(format!("{update} updated_at = :now"))
            .condition_expression("attribute_exists(pk)")
            .set_expression_attribute_values(Some(values.chain([(":now".to_owned(), number(now))]).collect()))
            .send()
            .await;
        happened(answer, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// Deletes the account and all of its sessions. `false`: there is none of that name.
    ///
    /// The account's row goes last, so that where something fails the same call again finds it and goes on; until then it
    /// is disabled, so that no session begins meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read or written; the account is disabled by then, or as it was.
    pub async fn remove_user(&self, username: &Username, now: Timestamp) -> Result<bool, StoreError> {
        let found = self.set_status(username, Status::Disabled, now).await?;
        self.remove_sessions(username, None, now).await?;
        if found {
            // Not there any more: another call has done it at the same time.
            self.delete_user(username).await?;
        }
        Ok(found)
    }

    /// Deletes the account's row and nothing else. `false`: there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be deleted.
    pub async fn delete_user(&self, username: &Username) -> Result<bool, StoreError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(user_key(username)))
            .condition_expression("attribute_exists(pk)")
            .send()
            .await;
        happened(answer, DeleteItemError::is_conditional_check_failed_exception)
    }

    /// All accounts, in no order, page by page. An account that is added or changed meanwhile may be left out, or be
    /// as it was before.
    #[must_use]
    pub fn all_users(&self) -> UserPages {
        UserPages { store: self.clone(), after: None, ended: false }
    }
}

/// The accounts of the table, page by page.
pub struct UserPages {
    store: Store,
    /// The key after which the next page begins, if it isn't the first one.
    after: Option<Item>,
    ended: bool,
}

impl UserPages {
    /// The next page, which may be empty; `None` after the last. A row that can't be read stands there as its error.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the table can't be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Result<User, UnreadableRow>>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let page = self
            .store
            .client
            .scan()
            .table_name(&self.store.table)
            .consistent_read(true)
            .filter_expression("sk = :user")
            .expression_attribute_values(":user", text(USER))
            .set_exclusive_start_key(self.after.take())
            .send()
            .await
            .map_err(unavailable)?;
        let users = page.items().iter().map(read_user).collect();
        self.after = page.last_evaluated_key;
        self.ended = self.after.is_none();
        Ok(Some(users))
    }
}

pub(super) fn user_key(username: &Username) -> Item {
    HashMap::from([("pk".to_owned(), text(&format!("USER#{}", username.folded()))), ("sk".to_owned(), text(USER))])
}

fn read_user(item: &Item) -> Result<User, UnreadableRow> {
    let row = Row(item);
    let created = row.read("created_at", as_timestamp)?;
    Ok(User {
        username: row.read("username", |value| Username::parse(as_text(value)?).map_err(say))?,
        password_hash: row.read("password_hash", |value| PasswordHash::parse(as_text(value)?).map_err(say))?,
        password_version: row.optional("password_version", as_count)?.unwrap_or(created.0),
        scopes: row.optional("scopes", as_scopes)?.unwrap_or_default(),
        status: row.read("status", |value| as_text(value)?.parse().map_err(say))?,
        created,
        updated: row.read("updated_at", as_timestamp)?,
    })
}
