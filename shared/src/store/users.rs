//! The rows of accounts: one that may be shown, and one with the hash of the password, which fewer functions may read.
//!
//! A name belongs to one account for good. Adding an account takes three writes: the name is claimed, the hash is put,
//! and the account begins; where something fails between them, the claim ends after [`CLAIM`]. A deleted account leaves
//! its row as a tombstone, which keeps the name taken and says nothing more of it. Whoever adds many accounts, and has no
//! right that is bound to a kind of row, adds some of them in one transaction.

use std::time::Duration;

use aws_sdk_dynamodb::operation::{
    put_item::builders::PutItemFluentBuilder, update_item::builders::UpdateItemFluentBuilder,
};
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow,
    credentials::{self, credential_key},
    requests::{self, MOST_KEYS, Write},
    rows::{self, Item, as_number, as_set, as_text, number, scope_set, text, timestamp},
    unavailable,
};
use crate::values::{
    scope::Scopes,
    time::Timestamp,
    user::{Status, User, UserSummary},
    username::Username,
};

/// The sort key of a user's row.
pub(super) const USER: &str = "USER";
/// The index of the accounts, and what `listed` says in their rows.
pub(super) const USERS: &str = "users";
/// The status of a name that is being made an account of.
const PENDING: &str = "pending";
/// The status of a name whose account is deleted.
const DELETED: &str = "deleted";
/// For how long a name is kept for whoever has claimed it and hasn't made the account yet. Who needs longer loses the
/// name to whoever claims it next, and has made nothing.
pub const CLAIM: Duration = Duration::from_secs(10);
/// How many accounts one call adds, or looks up, at most. Each has two rows.
pub const ACCOUNTS_AT_ONCE: usize = MOST_KEYS / 2;

/// An account's row. Its `pk` is `USER#` and the username in lower case, its `sk` is `USER`.
///
/// It also has `listed`, an S that is `users`, which puts it into the index of that name. A row that is claimed has
/// the status `pending` and, in the place of `listed`, `expires_at`, an N: when the claim ends, in seconds since 1970.
/// A tombstone has `account`, `updated_at` and the status `deleted`, and nothing else.
#[derive(Serialize, Deserialize)]
pub(super) struct UserRow {
    /// S: the username as typed.
    #[serde(with = "as_text")]
    username: Username,
    /// N: the same as in the row of the account's password.
    #[serde(deserialize_with = "as_number::count")]
    pub(super) account: u64,
    /// SS: what the account may do; absent where that is nothing.
    #[serde(default, with = "as_set", skip_serializing_if = "Scopes::is_empty")]
    scopes: Scopes,
    /// S: `active` or `disabled`; `pending` and `deleted` are no accounts'.
    #[serde(with = "as_text")]
    status: Status,
    /// N: seconds since 1970.
    #[serde(rename = "created_at", deserialize_with = "as_number::time")]
    created: Timestamp,
    /// N: seconds since 1970: when status or scopes were set last.
    #[serde(rename = "updated_at", deserialize_with = "as_number::time")]
    updated: Timestamp,
}

impl UserRow {
    fn of(user: &User) -> Self {
        Self {
            username: user.username.clone(),
            account: user.account,
            scopes: user.scopes.clone(),
            status: user.status,
            created: user.created,
            updated: user.updated,
        }
    }

    pub(super) fn username(&self) -> &Username {
        &self.username
    }

    fn item(&self) -> Result<Item, StoreError> {
        rows::write(user_key(&self.username), |serializer| self.serialize(serializer))
    }
}

impl From<UserRow> for UserSummary {
    fn from(row: UserRow) -> Self {
        let UserRow { username, account: _, scopes, status, created, updated } = row;
        Self { username, status, scopes, created, updated }
    }
}

impl Store {
    /// The account of this name, in whatever case, with its hash; read consistently, so that an account that was just
    /// disabled is seen to be.
    ///
    /// # Errors
    /// [`StoreError`] where the rows can't be read.
    pub async fn find_user(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let keys = user_keys(username).map(|key| (self.table.as_str(), key));
        let mut rows = self.get_all_in_time(&keys).await?.into_iter();
        Ok(read_account(rows.next().flatten(), rows.next().flatten())?)
    }

    /// The accounts of up to [`ACCOUNTS_AT_ONCE`] names, of which no two are the same in lower case, in the order of the
    /// names; each as [`find_user`](Self::find_user) reads it, and all in one call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the rows can't be read. One account's that isn't as it should be stands in its
    /// place.
    pub async fn find_users(&self, names: &[Username]) -> Result<Vec<Result<Option<User>, UnreadableRow>>, StoreError> {
        let keys: Vec<_> = names.iter().flat_map(user_keys).map(|key| (self.table.as_str(), key)).collect();
        let mut rows = self.get_all_in_time(&keys).await?.into_iter();
        Ok(names.iter().map(|_| read_account(rows.next().flatten(), rows.next().flatten())).collect())
    }

    /// What may be shown of the account of this name; read consistently.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be read.
    pub async fn find_user_summary(&self, username: &Username) -> Result<Option<UserSummary>, StoreError> {
        Ok(self.user_row(username).await?.filter(is_account).map(read_summary).transpose()?)
    }

    /// The row of this name, be it an account's, a claim or a tombstone; read consistently.
    async fn user_row(&self, username: &Username) -> Result<Option<Item>, StoreError> {
        Ok(self.get(user_key(username)).send().await.map_err(unavailable)?.item)
    }

    /// The number of the account of this name.
    pub(super) async fn find_account(&self, username: &Username) -> Result<Option<u64>, StoreError> {
        let row = self.user_row(username).await?.filter(is_account);
        let row = row.map(|row| rows::read(row, UserRow::deserialize)).transpose()?;
        Ok(row.map(|row| row.account))
    }

    /// Whether an account of this name was deleted, and its name not freed since; read consistently.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be read.
    pub async fn is_deleted(&self, username: &Username) -> Result<bool, StoreError> {
        Ok(self.user_row(username).await?.is_some_and(|row| has_status(&row, DELETED)))
    }

    /// Those of up to 100 names whose accounts were deleted, and not freed since; read consistently, in one call.
    ///
    /// # Errors
    /// [`StoreError`] where the rows can't be read.
    pub async fn deleted_among(&self, names: Vec<Username>) -> Result<Vec<Username>, StoreError> {
        let keys: Vec<_> = names.iter().map(|name| (self.table.as_str(), user_key(name))).collect();
        let rows = self.get_all_in_time(&keys).await?;
        let deleted = |row: &Option<Item>| row.as_ref().is_some_and(|row| has_status(row, DELETED));
        Ok(names.into_iter().zip(rows).filter(|(_, row)| deleted(row)).map(|(name, _)| name).collect())
    }

    /// Adds an account. `false`: its name belongs to another one, be that deleted, or is claimed for one, and nothing has
    /// changed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a row can't be written. The name may be taken for [`CLAIM`] then.
    pub async fn add_user(&self, user: &User, now: Timestamp) -> Result<bool, StoreError> {
        if !self.claim_name(user, now).await? {
            return Ok(false);
        }
        if !self.put_credential(user, now).await? {
            return Ok(false);
        }
        self.begin_account(user).await
    }

    /// Adds up to [`ACCOUNTS_AT_ONCE`] accounts of different names, all or none of them. `false`: none, and
    /// [`add_user`](Self::add_user) says of each by itself whether it can be added.
    ///
    /// It is one call and no claim, for twice the write units a row. It takes rights to write rows of every kind.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the rows can't be written.
    pub async fn add_users(&self, users: &[User], now: Timestamp) -> Result<bool, StoreError> {
        let mut puts = Vec::new();
        for user in users {
            puts.push(self.put_unless_taken(listed_row(user)?, now));
            puts.push(self.credential_put(user, now)?);
        }
        self.put_all(&puts).await
    }

    /// Makes the calls that adding an account begins with, on a condition that never holds: whoever may not have the
    /// name waits as long as for one that is taken, and can be told the same.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the call fails otherwise.
    pub async fn refuse_user(&self, user: &User) -> Result<(), StoreError> {
        let never = "attribute_exists(pk) AND attribute_not_exists(pk)";
        let put = self.put_if(UserRow::of(user).item()?, never);
        requests::put_or_find(put).await.map(drop)
    }

    /// Claims the name, unless it is an account's, or another claim on it goes on.
    async fn claim_name(&self, user: &User, now: Timestamp) -> Result<bool, StoreError> {
        let mut row = UserRow::of(user).item()?;
        row.insert("status".to_owned(), text(PENDING));
        row.insert("expires_at".to_owned(), timestamp(now.after(CLAIM)));
        Ok(written(requests::put_or_find(self.put_unless_taken(row, now)).await?, user, &[PENDING]))
    }

    /// Puts a user's row, unless its name is an account's, or a claim on it goes on.
    fn put_unless_taken(&self, row: Item, now: Timestamp) -> PutItemFluentBuilder {
        self.put_if(row, "attribute_not_exists(pk) OR #status = :pending AND expires_at < :now")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", text(PENDING))
            .expression_attribute_values(":now", timestamp(now))
    }

    /// Makes an account of the name that was claimed for it.
    async fn begin_account(&self, user: &User) -> Result<bool, StoreError> {
        let put = self
            .put_if(listed_row(user)?, "#status = :pending AND account = :account")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", text(PENDING))
            .expression_attribute_values(":account", number(user.account));
        let statuses = [Status::Active.as_str(), Status::Disabled.as_str()];
        Ok(written(requests::put_or_find(put).await?, user, &statuses))
    }

    /// Sets whether the account may sign in. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn set_status(&self, username: &Username, status: Status, now: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .update_account(username, now)
            .update_expression("SET #status = :status, updated_at = :now")
            .expression_attribute_values(":status", text(status.as_str()));
        requests::update(update).await
    }

    /// Sets what the account may do, in the place of what it could before. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn set_scopes(&self, username: &Username, scopes: &Scopes, now: Timestamp) -> Result<bool, StoreError> {
        let update = self.update_account(username, now);
        let update = match scope_set(scopes) {
            Some(scopes) => update
                .update_expression("SET scopes = :scopes, updated_at = :now")
                .expression_attribute_values(":scopes", scopes),
            None => update.update_expression("REMOVE scopes SET updated_at = :now"),
        };
        requests::update(update).await
    }

    /// Makes a tombstone of the account's row: from then on there is no such account, and its name stays taken.
    /// `false`: there is none. Its hash and its sessions are left to [`Store::erase_account`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn bury_user(&self, username: &Username, now: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .update_account(username, now)
            .update_expression("SET #status = :deleted, updated_at = :now REMOVE username, scopes, created_at, listed")
            .expression_attribute_values(":deleted", text(DELETED));
        requests::update(update).await
    }

    /// Deletes an account: makes a tombstone of it, and removes its sessions. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read or written. Where the tombstone is made by then, the account is gone, and
    /// its sessions end with [`Store::erase_account`], as do those that are left after `time`.
    pub async fn remove_user(&self, username: &Username, now: Timestamp, time: Duration) -> Result<bool, StoreError> {
        if !self.bury_user(username, now).await? {
            return Ok(false);
        }
        self.remove_sessions(username, None, now, time).await?;
        Ok(true)
    }

    /// Deletes what an account has left beside its tombstone: its hash and its sessions. `false`: the name has no
    /// tombstone, and nothing is deleted.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read or deleted, or are left after `time`; the same call goes on.
    pub async fn erase_account(&self, username: &Username, now: Timestamp, time: Duration) -> Result<bool, StoreError> {
        let found = self.user_row(username).await?;
        let Some(row) = found.filter(|row| has_status(row, DELETED)) else { return Ok(false) };
        let tombstone = rows::read(row, Tombstone::deserialize)?;
        // Its own hash only: by now the name may be freed, and another account's.
        self.delete_credential(username, tombstone.account).await?;
        if self.remove_sessions(username, None, now, time).await?.is_complete {
            Ok(true)
        } else {
            Err(StoreError::Unavailable("the account has more sessions than can be removed in the time".into()))
        }
    }

    /// Frees the name of a deleted account, so that another account can have it. `false`: the name has no tombstone.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read or deleted; the same call goes on.
    pub async fn free_name(&self, username: &Username, now: Timestamp, time: Duration) -> Result<bool, StoreError> {
        if !self.erase_account(username, now, time).await? {
            return Ok(false);
        }
        let deletion = self
            .delete(user_key(username))
            .condition_expression("#status = :deleted")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":deleted", text(DELETED));
        requests::delete(deletion).await
    }

    /// Changes the row of an account that there is; the expression sets `updated_at` to `:now`.
    fn update_account(&self, username: &Username, now: Timestamp) -> UpdateItemFluentBuilder {
        self.update(user_key(username))
            .condition_expression("#status IN (:active, :disabled)")
            // `status` is a reserved word.
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":active", text(Status::Active.as_str()))
            .expression_attribute_values(":disabled", text(Status::Disabled.as_str()))
            .expression_attribute_values(":now", timestamp(now))
    }
}

/// What is read of a tombstone.
#[derive(Deserialize)]
struct Tombstone {
    #[serde(deserialize_with = "as_number::count")]
    account: u64,
}

/// The row of an account that there is, and the index lists.
fn listed_row(user: &User) -> Result<Item, StoreError> {
    let mut row = UserRow::of(user).item()?;
    row.insert("listed".to_owned(), text(USERS));
    Ok(row)
}

/// Whether a put has written this account's row, perhaps by an attempt whose answer was lost, so that the SDK's next one
/// found the row already there.
fn written(write: Write<()>, user: &User, statuses: &[&str]) -> bool {
    match write {
        Write::Done(()) => true,
        Write::Refused(row) => row.is_some_and(|row| {
            row.get("account") == Some(&number(user.account)) && statuses.iter().any(|status| has_status(&row, status))
        }),
    }
}

fn has_status(row: &Item, status: &str) -> bool {
    row.get("status").and_then(|value| value.as_s().ok()).is_some_and(|value| value == status)
}

/// Whether the row is an account's, and neither a claim nor a tombstone.
pub(super) fn is_account(row: &Item) -> bool {
    !has_status(row, PENDING) && !has_status(row, DELETED)
}

pub(super) fn user_key(username: &Username) -> Item {
    rows::key(&format!("USER#{}", username.folded()), USER)
}

pub(super) fn read_summary(item: Item) -> Result<UserSummary, UnreadableRow> {
    rows::read(item, UserRow::deserialize).map(UserSummary::from)
}

/// The keys of an account's two rows.
pub(super) fn user_keys(username: &Username) -> [Item; 2] {
    [user_key(username), credential_key(username)]
}

/// Makes an account of its two rows.
pub(super) fn read_account(user: Option<Item>, credential: Option<Item>) -> Result<Option<User>, UnreadableRow> {
    let Some(user) = user.filter(is_account) else { return Ok(None) };
    let user = rows::read(user, UserRow::deserialize)?;
    credentials::join(user, credential).map(Some)
}
