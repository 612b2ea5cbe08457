//! The rows of accounts.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow,
    requests::{self, Write},
    rows::{self, Item, as_number, as_set, as_text, number, scope_set, text, timestamp},
    unavailable,
};
use crate::values::{
    password::PasswordHash,
    scope::Scopes,
    time::Timestamp,
    user::{Status, User},
    username::Username,
};

/// The sort key of a user's row.
pub(super) const USER: &str = "USER";

/// An account's row. Its `pk` is `USER#` and the username in lower case, its `sk` is `USER`.
#[derive(Serialize, Deserialize)]
#[serde(remote = "User")]
struct UserRow {
    /// S: the username as typed.
    #[serde(with = "as_text")]
    username: Username,
    /// S: one of the forms that [`PasswordHash`] lists.
    #[serde(with = "as_text")]
    password_hash: PasswordHash,
    /// N: begins with `created_at`, which an absent one stands for, and goes up by one with each new password.
    #[serde(getter = "password_version", default, deserialize_with = "as_number::optional_count")]
    password_version: Option<u64>,
    /// SS: what the account may do; absent where that is nothing.
    #[serde(default, with = "as_set", skip_serializing_if = "Scopes::is_empty")]
    scopes: Scopes,
    /// S: `active` or `disabled`.
    #[serde(with = "as_text")]
    status: Status,
    /// N: seconds since 1970.
    #[serde(rename = "created_at", deserialize_with = "as_number::time")]
    created: Timestamp,
    /// N: seconds since 1970.
    #[serde(rename = "updated_at", deserialize_with = "as_number::time")]
    updated: Timestamp,
}

#[expect(clippy::unnecessary_wraps, reason = "the getter of a field of that type")]
fn password_version(user: &User) -> Option<u64> {
    Some(user.password_version)
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        let UserRow { username, password_hash, password_version, scopes, status, created, updated } = row;
        let password_version = password_version.unwrap_or(created.0);
        Self { username, password_hash, password_version, scopes, status, created, updated }
    }
}

impl Store {
    /// The account of this name, in whatever case; read consistently, so that an account that was just
    /// disabled is seen to be.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be read.
    pub async fn find_user(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let answer = self.get(user_key(username)).send().await.map_err(unavailable)?;
        Ok(answer.item.map(read_user).transpose()?)
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
        let row = rows::write(user_key(&user.username), |serializer| UserRow::serialize(user, serializer))?;
        match requests::put_or_find(self.put_new(row)).await? {
            Write::Done(()) => Ok(None),
            Write::Refused(existing) => Ok(Some(read_user(existing.unwrap_or_default())?)),
        }
    }

    /// Makes the call that adds an account, on a condition that never holds: whoever may not have the name waits as long
    /// as for one that is taken, and can be told the same.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the call fails otherwise.
    pub async fn refuse_user(&self, user: &User) -> Result<(), StoreError> {
        let row = rows::write(user_key(&user.username), |serializer| UserRow::serialize(user, serializer))?;
        let never = "attribute_exists(pk) AND attribute_not_exists(pk)";
        requests::put_or_find(self.put_new(row).condition_expression(never)).await.map(drop)
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
        let update = self
            .update(user_key(username))
            .update_expression("SET password_hash = :new")
            .condition_expression("password_hash = :old")
            .expression_attribute_values(":new", text(new.as_str()))
            .expression_attribute_values(":old", text(old.as_str()));
        requests::update(update).await
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
        let update = self
            .update_existing_user(username, now)
            .update_expression(
                "SET password_hash = :hash, updated_at = :now, \
                 password_version = if_not_exists(password_version, created_at) + :one",
            )
            .expression_attribute_values(":hash", text(hash.as_str()))
            .expression_attribute_values(":one", number(1));
        requests::update(update).await
    }

    /// Sets whether the account may sign in. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn set_status(&self, username: &Username, status: Status, now: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .update_existing_user(username, now)
            .update_expression("SET #status = :status, updated_at = :now")
            // `status` is a reserved word.
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status.as_str()));
        requests::update(update).await
    }

    /// Sets what the account may do, in the place of what it could before. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn set_scopes(&self, username: &Username, scopes: &Scopes, now: Timestamp) -> Result<bool, StoreError> {
        let update = self.update_existing_user(username, now);
        let update = match scope_set(scopes) {
            Some(scopes) => update
                .update_expression("SET scopes = :scopes, updated_at = :now")
                .expression_attribute_values(":scopes", scopes),
            None => update.update_expression("REMOVE scopes SET updated_at = :now"),
        };
        requests::update(update).await
    }

    /// Changes an account that there is; the expression sets `updated_at` to `:now`.
    fn update_existing_user(&self, username: &Username, now: Timestamp) -> UpdateItemFluentBuilder {
        self.update(user_key(username))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", timestamp(now))
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
        requests::delete(self.delete(user_key(username)).condition_expression("attribute_exists(pk)")).await
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
        self.after = page.last_evaluated_key;
        self.ended = self.after.is_none();
        Ok(Some(page.items.unwrap_or_default().into_iter().map(read_user).collect()))
    }
}

pub(super) fn user_key(username: &Username) -> Item {
    rows::key(&format!("USER#{}", username.folded()), USER)
}

fn read_user(item: Item) -> Result<User, UnreadableRow> {
    rows::read(item, UserRow::deserialize)
}
