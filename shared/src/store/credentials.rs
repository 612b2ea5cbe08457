//! The rows of the hashes of passwords, apart from the accounts': who administers users can't reach them.

use aws_sdk_dynamodb::operation::{
    put_item::builders::PutItemFluentBuilder, update_item::builders::UpdateItemFluentBuilder,
};
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow, requests,
    rows::{self, Item, as_number, as_text, number, text, timestamp},
    users::UserRow,
};
use crate::values::{
    password::PasswordHash,
    time::Timestamp,
    user::{User, UserSummary},
    username::Username,
};

/// The sort key of the row of a password.
const PASSWORD: &str = "PASSWORD";

/// The row of an account's password. Its `pk` is `CREDENTIAL#` and the username in lower case, its `sk` is `PASSWORD`.
#[derive(Serialize, Deserialize)]
struct CredentialRow {
    /// N: the same as in the account's row: a hash that another account has left opens nothing.
    #[serde(deserialize_with = "as_number::count")]
    account: u64,
    /// S: one of the forms that [`PasswordHash`] lists.
    #[serde(with = "as_text")]
    password_hash: PasswordHash,
    /// N: begins at random, and goes up by one with each new password.
    #[serde(deserialize_with = "as_number::count")]
    password_version: u64,
    /// N: seconds since 1970: when the name was claimed for the account.
    #[serde(rename = "claimed_at", deserialize_with = "as_number::time")]
    claimed: Timestamp,
    /// N: seconds since 1970: when the password was set.
    #[serde(rename = "updated_at", deserialize_with = "as_number::time")]
    updated: Timestamp,
}

impl Store {
    /// Puts the hash of an account whose name was claimed now, in the place of what an earlier claim may have left.
    /// `false`: the name was claimed again meanwhile, by somebody who has put a hash.
    pub(super) async fn put_credential(&self, user: &User, now: Timestamp) -> Result<bool, StoreError> {
        requests::put(self.credential_put(user, now)?).await
    }

    /// The put of that row.
    pub(super) fn credential_put(&self, user: &User, now: Timestamp) -> Result<PutItemFluentBuilder, StoreError> {
        let row = CredentialRow {
            account: user.account,
            password_hash: user.password_hash.clone(),
            password_version: user.password_version,
            claimed: now,
            updated: user.updated,
        };
        let row = rows::write(credential_key(&user.username), |serializer| row.serialize(serializer))?;
        let put = self
            .put_if(row, "attribute_not_exists(pk) OR account = :account OR claimed_at < :now")
            .expression_attribute_values(":account", number(user.account))
            .expression_attribute_values(":now", timestamp(now));
        Ok(put)
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
            .update(credential_key(username))
            .update_expression("SET password_hash = :new")
            .condition_expression("password_hash = :old")
            .expression_attribute_values(":new", text(new.as_str()))
            .expression_attribute_values(":old", text(old.as_str()));
        requests::update(update).await
    }

    /// Gives an account another password, whatever it has now: sessions of the one before are over. `false`: there is no
    /// such account.
    ///
    /// # Errors
    /// [`StoreError`] where the rows can't be read or written.
    pub async fn set_password(
        &self,
        username: &Username,
        hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // By the account's own row: the hash may be one that can't be read.
        let Some(account) = self.find_account(username).await? else { return Ok(false) };
        let update = self
            .give_password(username, hash, now)
            .condition_expression("account = :account")
            .expression_attribute_values(":account", number(account));
        requests::update(update).await
    }

    /// Gives an account another password in the place of the one that was verified: of several changes at once, one
    /// happens. `false`: the account has another password by now, or is gone, and nothing has changed.
    ///
    /// What was verified is recognised by its version: the hash may be another by now, because a sign-in renews it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn replace_password(
        &self,
        verified: &User,
        new: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = self
            .give_password(&verified.username, new, now)
            .condition_expression("account = :account AND password_version = :version")
            .expression_attribute_values(":account", number(verified.account))
            .expression_attribute_values(":version", number(verified.password_version));
        Ok(match requests::update_or_find(update).await? {
            requests::Write::Done(_) => true,
            // Written by an attempt whose answer was lost, where the SDK's next one found it: no two hashes have one
            // salt.
            requests::Write::Refused(row) => {
                row.is_some_and(|row| row.get("password_hash") == Some(&text(new.as_str())))
            }
        })
    }

    fn give_password(&self, username: &Username, hash: &PasswordHash, now: Timestamp) -> UpdateItemFluentBuilder {
        self.update(credential_key(username))
            .update_expression(
                "SET password_hash = :hash, password_version = password_version + :one, updated_at = :now",
            )
            .expression_attribute_values(":hash", text(hash.as_str()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", timestamp(now))
    }

    /// Deletes the hash of this account; that of another one of its name stays.
    pub(super) async fn delete_credential(&self, username: &Username, account: u64) -> Result<bool, StoreError> {
        let deletion = self
            .delete(credential_key(username))
            .condition_expression("account = :account")
            .expression_attribute_values(":account", number(account));
        requests::delete(deletion).await
    }
}

pub(super) fn credential_key(username: &Username) -> Item {
    rows::key(&format!("CREDENTIAL#{}", username.folded()), PASSWORD)
}

/// Makes an account of its row and that of its password. One without the other can't be read: nobody signs in to it.
pub(super) fn join(user: UserRow, credential: Option<Item>) -> Result<User, UnreadableRow> {
    let row = credential.unwrap_or_else(|| credential_key(user.username()));
    let account = user.account;
    let CredentialRow { password_hash, password_version, updated, .. } = rows::read(row, |row| {
        let credential = CredentialRow::deserialize(row)?;
        if credential.account == account {
            Ok(credential)
        } else {
            Err(rows::Problem::of("account", "is another one's"))
        }
    })?;
    let UserSummary { username, status, scopes, created, updated: changed } = user.into();
    Ok(User {
        username,
        account,
        password_hash,
        password_version,
        scopes,
        status,
        created,
        updated: changed.max(updated),
    })
}
