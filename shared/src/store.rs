//! The table: one row for each user, and one for each key that tokens are verified with.
//!
//! | attribute of a user | type | holds |
//! |---|---|---|
//! | `pk` | S | `USER#` and the username in lower case |
//! | `sk` | S | `USER` |
//! | `username` | S | the username as typed |
//! | `password_hash` | S | see [`crate::password::PasswordHash`] |
//! | `scopes` | SS | absent where there is none, since a set can't be empty |
//! | `status` | S | `active` or `disabled` |
//! | `created_at`, `updated_at` | N | seconds since 1970 |
//!
//! | attribute of a key | type | holds |
//! |---|---|---|
//! | `pk` | S | `KEYS` |
//! | `sk` | S | the key's `kid` |
//! | `jwk` | S | the public half, a JWK; absent where an HS256 key is retired |
//! | `created_at` | N | when it was published |
//! | `retired_at` | N | when it was retired by hand; from then on nothing that it signed is valid |
//! | `expires_at` | N | until when it verifies; the table's TTL, which deletes the row some time later |
//!
//! Every write is conditional: it does what its caller decided on, or nothing.

use std::{collections::HashMap, fmt::Display, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::AttributeValue,
};
use serde::Deserialize;

use crate::{
    BoxError,
    key::Algorithm,
    password::PasswordHash,
    scope::Scopes,
    time::Timestamp,
    user::{Status, User},
    username::Username,
};

/// The sort key of a user's row.
const USER: &str = "USER";
/// The partition key of the rows of keys.
const KEYS: &str = "KEYS";
/// How long the row of a key that was retired by hand is kept. The ring must have lost the key by then.
const TOMBSTONE: Duration = Duration::from_hours(30 * 24);

/// The table, and a client to reach it.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

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

/// The store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `DynamoDB` can't be reached, throttles past its retries, or refuses the call.
    #[error("the table could not be reached")]
    Unavailable(#[source] BoxError),
    /// The row is there, and isn't what this program writes.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRow),
}

/// A row that this program can't read.
#[derive(Debug, thiserror::Error)]
#[error("the row {row:?} has no usable {attribute}: {problem}")]
pub struct UnreadableRow {
    row: String,
    attribute: &'static str,
    problem: String,
}

fn unavailable<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Unavailable(error.into())
}

impl Store {
    /// The table of this name. The client connects at the first call.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(sdk), table: table.into() }
    }

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
        let mut item = user_key(&user.username);
        item.extend([
            ("username".to_owned(), text(user.username.as_str())),
            ("password_hash".to_owned(), text(user.password_hash.as_str())),
            ("status".to_owned(), text(user.status.as_str())),
            ("created_at".to_owned(), number(user.created)),
            ("updated_at".to_owned(), number(user.updated)),
        ]);
        if !user.scopes.is_empty() {
            let scopes = user.scopes.iter().map(str::to_owned).collect();
            item.insert("scopes".to_owned(), AttributeValue::Ss(scopes));
        }
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

    /// Shows every account to `visit`, in no order, as the pages of a scan come in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the table can't be read. A row that can't be read is shown to
    /// `visit` as its error.
    pub async fn each_user(&self, mut visit: impl FnMut(Result<User, UnreadableRow>)) -> Result<(), StoreError> {
        let mut items = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("sk = :user")
            .expression_attribute_values(":user", text(USER))
            .into_paginator()
            .items()
            .send();
        while let Some(item) = items.next().await {
            visit(read_user(&item.map_err(unavailable)?));
        }
        Ok(())
    }
}

/// A conditional write happened, or its condition didn't hold; anything else is a failure.
fn happened<T, E, R>(answer: Result<T, SdkError<E, R>>, condition_failed: fn(&E) -> bool) -> Result<bool, StoreError>
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(condition_failed) => Ok(false),
        Err(error) => Err(unavailable(error)),
    }
}

type Item = HashMap<String, AttributeValue>;

fn user_key(username: &Username) -> Item {
    HashMap::from([("pk".to_owned(), text(&format!("USER#{}", username.folded()))), ("sk".to_owned(), text(USER))])
}

fn key_key(id: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(KEYS)), ("sk".to_owned(), text(id))])
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: Timestamp) -> AttributeValue {
    AttributeValue::N(value.0.to_string())
}

fn read_user(item: &Item) -> Result<User, UnreadableRow> {
    let row = Row(item);
    Ok(User {
        username: row.read("username", |value| Username::parse(as_text(value)?).map_err(say))?,
        password_hash: row.read("password_hash", |value| PasswordHash::parse(as_text(value)?).map_err(say))?,
        scopes: match item.get("scopes") {
            None => Scopes::default(),
            Some(_) => row.read("scopes", |value| {
                let scopes = value.as_ss().map_err(|_| "is no set of strings")?;
                Scopes::from_tokens(scopes.iter().map(String::as_str)).map_err(say)
            })?,
        },
        status: row.read("status", |value| as_text(value)?.parse().map_err(say))?,
        created: row.read("created_at", as_timestamp)?,
        updated: row.read("updated_at", as_timestamp)?,
    })
}

fn read_key(item: &Item) -> Result<KeyRow, UnreadableRow> {
    let row = Row(item);
    let optional = |attribute| item.contains_key(attribute).then(|| row.read(attribute, as_timestamp)).transpose();
    Ok(KeyRow {
        id: row.read("sk", |value| as_text(value).map(str::to_owned))?,
        jwk: item.get("jwk").map(|_| row.read("jwk", |value| as_text(value).map(str::to_owned))).transpose()?,
        created: row.read("created_at", as_timestamp)?,
        retired: optional("retired_at")?.is_some(),
        expires: optional("expires_at")?,
    })
}

struct Row<'a>(&'a Item);

impl Row<'_> {
    fn read<T>(
        &self,
        attribute: &'static str,
        parse: impl FnOnce(&AttributeValue) -> Result<T, String>,
    ) -> Result<T, UnreadableRow> {
        let value = self.0.get(attribute).ok_or_else(|| "is missing".to_owned());
        value.and_then(parse).map_err(|problem| {
            let row = self.0.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
            UnreadableRow { row, attribute, problem }
        })
    }
}

fn say(problem: impl Display) -> String {
    problem.to_string()
}

fn as_text(value: &AttributeValue) -> Result<&str, String> {
    value.as_s().map(String::as_str).map_err(|_| "is no string".to_owned())
}

fn as_timestamp(value: &AttributeValue) -> Result<Timestamp, String> {
    let digits = value.as_n().map_err(|_| "is no number")?;
    digits.parse().map(Timestamp).map_err(|_| "is no whole number of seconds".to_owned())
}
