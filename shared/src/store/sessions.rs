//! The rows of sessions.
//!
//! | attribute | type | holds |
//! |---|---|---|
//! | `pk` | S | `SESSION#` and the username in lower case |
//! | `sk` | S | the session's identifier |
//! | `counter` | N | which refresh token is to be used next |
//! | `scopes` | SS | what the sign-in was granted; absent where nothing |
//! | `client_id` | S | as the client called itself |
//! | `password_version` | N | of the account, at the sign-in |
//! | `created_at`, `last_used_at` | N | seconds since 1970 |
//! | `ends_at` | N | when it ends, whatever happens |
//! | `expires_at` | N | when it ends without another refresh |
//! | `ended_at` | N | when it was ended before that; absent where it wasn't |
//! | `address`, `user_agent` | S | the client's, when it was last used; absent where unknown |

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    operation::{delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use tokio::task::JoinSet;

use super::{
    Item, Row, Store, StoreError, UnreadableRow, as_count, as_scopes, as_text, as_timestamp, count, happened, number,
    say, scopes, text, unavailable,
};
use crate::{
    client::Client,
    scope::Scopes,
    session::{Session, SessionId},
    time::Timestamp,
    username::Username,
};

/// How many sessions are ended at the same time.
const AT_ONCE: usize = 16;

/// One use of a refresh token.
#[derive(Clone, Debug)]
pub struct Use<'a> {
    /// The counter's value that the token is for.
    pub counter: u64,
    /// The account's, as it is now.
    pub password_version: u64,
    /// What the session must have been granted; nothing, where the client asks for all of it.
    pub scopes: Option<&'a Scopes>,
    /// How long the session goes on without another refresh.
    pub idle: Duration,
    /// Who uses it.
    pub client: &'a Client,
}

/// What came of the use of a refresh token.
#[derive(Clone, Debug)]
pub enum Advance {
    /// The counter has moved on; the session as it is now.
    Moved(Session),
    /// Nothing has changed; the session as it is, if there is one.
    Stayed(Option<Session>),
}

impl Store {
    /// Adds the session of a sign-in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn add_session(&self, username: &Username, session: &Session) -> Result<(), StoreError> {
        let mut item = session_key(username, &session.id);
        item.extend([
            ("counter".to_owned(), count(session.counter)),
            ("client_id".to_owned(), text(&session.client_id)),
            ("password_version".to_owned(), count(session.password_version)),
            ("created_at".to_owned(), number(session.created)),
            ("last_used_at".to_owned(), number(session.last_used)),
            ("ends_at".to_owned(), number(session.ends)),
            ("expires_at".to_owned(), number(session.expires)),
        ]);
        item.extend(scopes(&session.scopes).map(|scopes| ("scopes".to_owned(), scopes)));
        for (name, hint) in [("address", &session.client.address), ("user_agent", &session.client.user_agent)] {
            item.extend(hint.as_deref().map(|hint| (name.to_owned(), text(hint))));
        }
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        // A row of that name can only be this very one, put by an attempt whose answer was lost: nobody draws an
        // identifier twice.
        happened(answer, PutItemError::is_conditional_check_failed_exception).map(drop)
    }

    /// Moves a session's counter on, if it stands where the token says and the session is alive. One update does
    /// it, so that of any number of tokens that are presented at once, one moves it.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be written or read.
    pub async fn advance_session(
        &self,
        username: &Username,
        session: &SessionId,
        with: &Use<'_>,
        now: Timestamp,
    ) -> Result<Advance, StoreError> {
        let mut set = "SET #counter = #counter + :one, last_used_at = :now, expires_at = :expires".to_owned();
        let mut remove = String::new();
        let mut condition = "#counter = :counter AND password_version = :version AND expires_at > :now \
                             AND ends_at > :now AND attribute_not_exists(ended_at)"
            .to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(session_key(username, session)))
            // `counter` is a reserved word.
            .expression_attribute_names("#counter", "counter")
            .expression_attribute_values(":one", count(1))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires", number(now.after(with.idle)))
            .expression_attribute_values(":counter", count(with.counter))
            .expression_attribute_values(":version", count(with.password_version));
        for (name, hint) in [("address", &with.client.address), ("user_agent", &with.client.user_agent)] {
            if let Some(hint) = hint {
                set = set + ", " + name + " = :" + name;
                update = update.expression_attribute_values(format!(":{name}"), text(hint));
            } else {
                remove.push_str(if remove.is_empty() { " REMOVE " } else { ", " });
                remove.push_str(name);
            }
        }
        for (position, scope) in with.scopes.into_iter().flat_map(Scopes::iter).enumerate() {
            let name = format!(":scope{position}");
            condition = condition + " AND contains(scopes, " + &name + ")";
            update = update.expression_attribute_values(name, text(scope));
        }
        let answer = update
            .update_expression(set + &remove)
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let read = |item: Option<&Item>| item.filter(|item| !item.is_empty()).map(read_session).transpose();
        match answer {
            Ok(answer) => match read(answer.attributes())? {
                Some(session) => Ok(Advance::Moved(session)),
                None => Err(StoreError::Unavailable("the update gave no row back".into())),
            },
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Advance::Stayed(read(failed.item())?))
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    /// Ends a session and leaves its row to the TTL: nothing can bring it back. Does nothing where there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn end_session(
        &self,
        username: &Username,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(session_key(username, session)))
            .update_expression("SET ended_at = :now, expires_at = :now")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(ended_at)")
            .expression_attribute_values(":now", number(now))
            .send()
            .await;
        happened(answer, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// The account's sessions, in no order, those that are over among them; read consistently.
    ///
    /// # Errors
    /// [`StoreError`] where the rows can't be read.
    pub async fn sessions(&self, username: &Username) -> Result<Vec<Session>, StoreError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :sessions")
            .expression_attribute_values(":sessions", text(&partition(username)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut sessions = Vec::new();
        while let Some(item) = items.next().await {
            sessions.push(read_session(&item.map_err(unavailable)?)?);
        }
        Ok(sessions)
    }

    /// Whether a session goes on, by the few attributes that tell. `consistent` asks for what every write so far
    /// has left; without it, the answer may be older by a moment, and costs half.
    ///
    /// # Errors
    /// [`StoreError`] where the row can't be read.
    pub async fn is_session_live(
        &self,
        username: &Username,
        session: &SessionId,
        consistent: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(session_key(username, session)))
            .projection_expression("pk, ends_at, expires_at, ended_at")
            .consistent_read(consistent)
            .send()
            .await
            .map_err(unavailable)?;
        let Some(item) = &answer.item else { return Ok(false) };
        let row = Row(item);
        let ends = row.read("ends_at", as_timestamp)?.min(row.read("expires_at", as_timestamp)?);
        Ok(!item.contains_key("ended_at") && now < ends)
    }

    /// Removes a session. `false`: the account has none of that name that is alive.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn remove_session(
        &self,
        username: &Username,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(session_key(username, session)))
            .condition_expression("expires_at > :now AND ends_at > :now AND attribute_not_exists(ended_at)")
            .expression_attribute_values(":now", number(now))
            .send()
            .await;
        happened(answer, DeleteItemError::is_conditional_check_failed_exception)
    }

    /// Removes the account's sessions, but for `spared`; the sign-ins that come while this runs may stay. Gives the
    /// number of those that were alive.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read or written; some sessions may be gone by then.
    pub async fn remove_sessions(
        &self,
        username: &Username,
        spared: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut left: Vec<SessionId> = self.sessions(username).await?.into_iter().map(|session| session.id).collect();
        left.retain(|id| Some(id) != spared);
        let mut removals = JoinSet::new();
        let mut removed = 0;
        loop {
            while removals.len() < AT_ONCE
                && let Some(id) = left.pop()
            {
                let (store, username) = (self.clone(), username.clone());
                removals.spawn(async move { store.remove_session(&username, &id, now).await });
            }
            match removals.join_next().await {
                Some(outcome) => removed += usize::from(outcome.map_err(unavailable)??),
                None => return Ok(removed),
            }
        }
    }
}

fn partition(username: &Username) -> String {
    format!("SESSION#{}", username.folded())
}

pub(super) fn session_key(username: &Username, session: &SessionId) -> Item {
    HashMap::from([("pk".to_owned(), text(&partition(username))), ("sk".to_owned(), text(session.as_str()))])
}

fn read_session(item: &Item) -> Result<Session, UnreadableRow> {
    let row = Row(item);
    let owned = |value: &AttributeValue| as_text(value).map(str::to_owned);
    Ok(Session {
        id: row.read("sk", |value| SessionId::parse(as_text(value)?).map_err(say))?,
        counter: row.read("counter", as_count)?,
        scopes: row.optional("scopes", as_scopes)?.unwrap_or_default(),
        client_id: row.read("client_id", owned)?,
        password_version: row.read("password_version", as_count)?,
        created: row.read("created_at", as_timestamp)?,
        last_used: row.read("last_used_at", as_timestamp)?,
        expires: row.read("expires_at", as_timestamp)?,
        ends: row.read("ends_at", as_timestamp)?,
        ended: row.optional("ended_at", as_timestamp)?,
        client: Client { address: row.optional("address", owned)?, user_agent: row.optional("user_agent", owned)? },
    })
}
