//! The rows of sessions.

use std::time::Duration;

use aws_sdk_dynamodb::{operation::delete_item::builders::DeleteItemFluentBuilder, types::ReturnValue};
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, UnreadableRow,
    requests::{self, Write},
    rows::{self, Item, as_number, as_set, as_text, number, text, timestamp},
    unavailable,
};
use crate::values::{
    client::Client,
    scope::Scopes,
    session::{Session, SessionId},
    time::Timestamp,
    username::Username,
};

/// A session's row. Its `pk` is `SESSION#` and the username in lower case. All times are seconds since 1970.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Session")]
struct SessionRow {
    /// S: the session's identifier.
    #[serde(rename = "sk", with = "as_text")]
    id: SessionId,
    /// N: which refresh token is to be used next.
    #[serde(deserialize_with = "as_number::count")]
    counter: u64,
    /// SS: what the sign-in was granted; absent where that is nothing.
    #[serde(default, with = "as_set", skip_serializing_if = "Scopes::is_empty")]
    scopes: Scopes,
    /// S: as the client called itself.
    #[serde(deserialize_with = "as_text::string")]
    client_id: String,
    /// N: the account's, at the sign-in.
    #[serde(deserialize_with = "as_number::count")]
    password_version: u64,
    /// N: when the sign-in was.
    #[serde(rename = "created_at", deserialize_with = "as_number::time")]
    created: Timestamp,
    /// N: when the counter was moved last.
    #[serde(rename = "last_used_at", deserialize_with = "as_number::time")]
    last_used: Timestamp,
    /// N: when it ends without another refresh.
    #[serde(rename = "expires_at", deserialize_with = "as_number::time")]
    expires: Timestamp,
    /// N: when it ends, whatever happens.
    #[serde(rename = "ends_at", deserialize_with = "as_number::time")]
    ends: Timestamp,
    /// N: when it was ended before that; absent where it wasn't.
    #[serde(
        rename = "ended_at",
        default,
        deserialize_with = "as_number::optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    ended: Option<Timestamp>,
    /// S: the client's, when the session was last used; absent where unknown.
    #[serde(
        getter = "address",
        default,
        deserialize_with = "as_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    address: Option<String>,
    /// S: the client's, when the session was last used; absent where unknown.
    #[serde(
        getter = "user_agent",
        default,
        deserialize_with = "as_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    user_agent: Option<String>,
}

#[expect(clippy::ref_option, reason = "the getter of a field of that type")]
fn address(session: &Session) -> &Option<String> {
    &session.client.address
}

#[expect(clippy::ref_option, reason = "the getter of a field of that type")]
fn user_agent(session: &Session) -> &Option<String> {
    &session.client.user_agent
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id,
            counter: row.counter,
            scopes: row.scopes,
            client_id: row.client_id,
            password_version: row.password_version,
            created: row.created,
            last_used: row.last_used,
            expires: row.expires,
            ends: row.ends,
            ended: row.ended,
            client: Client { address: row.address, user_agent: row.user_agent },
        }
    }
}

/// What of a session's row tells whether the session goes on.
#[derive(Deserialize)]
pub(super) struct LifespanRow {
    #[serde(rename = "ends_at", deserialize_with = "as_number::time")]
    ends: Timestamp,
    #[serde(rename = "expires_at", deserialize_with = "as_number::time")]
    expires: Timestamp,
    #[serde(rename = "ended_at", default, deserialize_with = "as_number::optional_time")]
    ended: Option<Timestamp>,
}

impl LifespanRow {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.ends.min(self.expires)
    }
}

/// An attempt to move a session on with a refresh token.
#[derive(Clone, Debug)]
pub struct RefreshAttempt<'a> {
    /// The counter's value that the token is for.
    pub counter: u64,
    /// What the session must have been granted; nothing, where the client asks for all of it.
    pub scopes: Option<&'a Scopes>,
    /// How long the session goes on without another refresh.
    pub idle: Duration,
    /// Who presents the token.
    pub client: &'a Client,
}

/// What a refresh did to its session.
#[derive(Clone, Debug)]
pub enum RefreshOutcome {
    /// The counter has moved on; the session as it is now.
    Advanced(Session),
    /// Nothing has changed; the session as it is, if there is one.
    Unchanged(Option<Session>),
}

impl Store {
    /// Adds the session of a sign-in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the row can't be written.
    pub async fn add_session(&self, username: &Username, session: &Session) -> Result<(), StoreError> {
        let key = session_key(username, &session.id);
        let row = rows::write(key, |serializer| SessionRow::serialize(session, serializer))?;
        // A row of that name can only be this very one, put by an attempt whose answer was lost: nobody draws an
        // identifier twice.
        requests::put(self.put_new(row)).await.map(drop)
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
        attempt: &RefreshAttempt<'_>,
        now: Timestamp,
    ) -> Result<RefreshOutcome, StoreError> {
        let mut set = "SET #counter = #counter + :one, last_used_at = :now, expires_at = :expires".to_owned();
        let mut remove = String::new();
        let mut condition = "#counter = :counter AND expires_at > :now AND ends_at > :now \
                             AND attribute_not_exists(ended_at)"
            .to_owned();
        let mut update = self
            .update(session_key(username, session))
            // `counter` is a reserved word.
            .expression_attribute_names("#counter", "counter")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", timestamp(now))
            .expression_attribute_values(":expires", timestamp(now.after(attempt.idle)))
            .expression_attribute_values(":counter", number(attempt.counter));
        for (name, hint) in [("address", &attempt.client.address), ("user_agent", &attempt.client.user_agent)] {
            if let Some(hint) = hint {
                set = set + ", " + name + " = :" + name;
                update = update.expression_attribute_values(format!(":{name}"), text(hint));
            } else {
                remove.push_str(if remove.is_empty() { " REMOVE " } else { ", " });
                remove.push_str(name);
            }
        }
        for (position, scope) in attempt.scopes.into_iter().flat_map(Scopes::iter).enumerate() {
            let name = format!(":scope{position}");
            condition = condition + " AND contains(scopes, " + &name + ")";
            update = update.expression_attribute_values(name, text(scope));
        }
        let update =
            update.update_expression(set + &remove).condition_expression(condition).return_values(ReturnValue::AllNew);
        match requests::update_or_find(update).await? {
            Write::Done(output) => match output.attributes.map(read_session).transpose()? {
                Some(session) => Ok(RefreshOutcome::Advanced(session)),
                None => Err(StoreError::Unavailable("the update gave no row back".into())),
            },
            Write::Refused(row) => Ok(RefreshOutcome::Unchanged(row.map(read_session).transpose()?)),
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
        let update = self
            .update(session_key(username, session))
            .update_expression("SET ended_at = :now, expires_at = :now")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(ended_at)")
            .expression_attribute_values(":now", timestamp(now));
        requests::update(update).await
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
        let get = self
            .get(session_key(username, session))
            .projection_expression("pk, ends_at, expires_at, ended_at")
            .consistent_read(consistent);
        let Some(item) = get.send().await.map_err(unavailable)?.item else { return Ok(false) };
        Ok(rows::read(item, LifespanRow::deserialize)?.is_live(now))
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
        requests::delete(self.deletion_of_live_session(username, session, now)).await
    }

    pub(super) fn deletion_of_live_session(
        &self,
        username: &Username,
        session: &SessionId,
        now: Timestamp,
    ) -> DeleteItemFluentBuilder {
        self.delete(session_key(username, session))
            .condition_expression("expires_at > :now AND ends_at > :now AND attribute_not_exists(ended_at)")
            .expression_attribute_values(":now", timestamp(now))
    }
}

pub(super) fn partition(username: &Username) -> String {
    format!("SESSION#{}", username.folded())
}

pub(super) fn session_key(username: &Username, session: &SessionId) -> Item {
    rows::key(&partition(username), session.as_str())
}

pub(super) fn read_session(item: Item) -> Result<Session, UnreadableRow> {
    rows::read(item, SessionRow::deserialize)
}
