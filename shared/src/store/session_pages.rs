//! An account's sessions, many at once: pages of them, and their removal.

use std::time::Duration;

use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use serde::Deserialize;
use tokio::{task::JoinSet, time::Instant};
use tracing::warn;

use super::{
    Store, StoreError, requests,
    rows::{self, Item, as_number, as_text, text, timestamp},
    sessions::{LifespanRow, partition, read_session, session_key},
    unavailable,
};
use crate::{
    causes,
    values::{
        session::{Session, SessionId},
        session_limit::{SessionAge, SessionLimit},
        time::Timestamp,
        username::Username,
    },
};

/// How many rows are read by one call, where not all of their attributes are.
const ROWS_AT_ONCE: usize = 250;
/// How long a function that starts waits for the table.
const CONNECTING: Duration = Duration::from_secs(1);
/// How many sessions are ended at the same time.
const AT_ONCE: usize = 16;

/// Some of an account's sessions, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionsPage {
    /// The sessions.
    pub sessions: Vec<Session>,
    /// The session after which the next page begins; `None` on the last page.
    pub next: Option<SessionId>,
}

/// What became of a removal of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// How many sessions were alive and have ended.
    pub ended: usize,
    /// Whether none is left. Where some are, the same call again goes on.
    pub is_complete: bool,
}

/// What of a session's row tells its age, beside its lifespan.
#[derive(Deserialize)]
struct AgeRow {
    #[serde(rename = "sk", with = "as_text")]
    id: SessionId,
    #[serde(rename = "last_used_at", deserialize_with = "as_number::time")]
    last_used: Timestamp,
}

/// What is read for it.
const AGE: &str = "pk, sk, last_used_at, ends_at, expires_at, ended_at";

impl Store {
    /// Opens so many connections to the table while a function starts, so that its first request need not: by asking at
    /// the same time for the sessions of no account, which all that know sessions may. It takes a second at most, and
    /// where it fails that request opens them itself.
    pub async fn connect(&self, connections: usize) {
        let mut asking = JoinSet::new();
        for _ in 0..connections {
            let nobodys = self.client.query().table_name(&self.table).key_condition_expression("pk = :pk");
            asking.spawn(nobodys.expression_attribute_values(":pk", text("SESSION#")).limit(1).send());
        }
        if tokio::time::timeout(CONNECTING, asking.join_all()).await.is_err() {
            warn!("the table did not answer while the function started");
        }
    }

    /// Up to `size` of the account's sessions, those that are over among them: the ones that come after `after` by
    /// their identifiers; read consistently. The last page may be empty.
    ///
    /// # Errors
    /// [`StoreError`] where the rows can't be read.
    pub async fn session_page(
        &self,
        username: &Username,
        after: Option<&SessionId>,
        size: usize,
    ) -> Result<SessionsPage, StoreError> {
        let (items, next) = self.query_sessions(username, after, size, None).await?;
        Ok(SessionsPage { sessions: items.into_iter().map(read_session).collect::<Result<_, _>>()?, next })
    }

    /// All of the account's sessions, in no order, those that are over among them: for programs that have the time.
    ///
    /// # Errors
    /// [`StoreError`] where the rows can't be read.
    pub async fn sessions(&self, username: &Username) -> Result<Vec<Session>, StoreError> {
        let (mut sessions, mut after) = (Vec::new(), None);
        loop {
            let page = self.session_page(username, after.as_ref(), ROWS_AT_ONCE).await?;
            sessions.extend(page.sessions);
            match page.next {
                None => return Ok(sessions),
                next => after = next,
            }
        }
    }

    /// Ends the account's sessions, but for `spared`; the sign-ins that come while this runs may stay. It begins nothing
    /// more once this time is over, but always ends some. What has ended before is left to the TTL.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read or written, and no session has ended. Where some have, the removal is
    /// incomplete, and the log says why.
    pub async fn remove_sessions(
        &self,
        username: &Username,
        spared: Option<&SessionId>,
        now: Timestamp,
        time: Duration,
    ) -> Result<Removal, StoreError> {
        let deadline = Instant::now() + time;
        let mut sent = Deletions::default();
        let mut after = None;
        loop {
            let (ages, next) = match self.session_ages(username, after.as_ref(), ROWS_AT_ONCE, now).await {
                Ok(page) => page,
                Err(error) => return sent.incomplete(error),
            };
            let ended = ages.into_iter().filter(|age| age.is_live && Some(&age.id) != spared);
            let deletions = ended.map(|age| self.deletion_of_live_session(username, &age.id, now));
            let all_sent = match sent.send(deletions, Some(deadline)).await {
                Ok(all_sent) => all_sent,
                Err(error) => return sent.incomplete(error),
            };
            after = next;
            if !all_sent || after.is_none() {
                return Ok(Removal { ended: sent.done, is_complete: all_sent });
            }
        }
    }

    /// Removes those of the account's sessions that are over the limit, for one that has just begun. Gives how many rows
    /// are gone. A session that is used meanwhile stays.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read or written.
    pub async fn make_room(
        &self,
        username: &Username,
        begun: &Session,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let (mut ages, mut after) = (Vec::new(), None);
        // A call reads 1 MB at most, and rows may be large.
        while let Some(rows) = limit.rows_to_count().checked_sub(ages.len()).filter(|rows| *rows > 0) {
            let (page, next) = self.session_ages(username, after.as_ref(), rows, now).await?;
            ages.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let begun = SessionAge { id: begun.id.clone(), last_used: begun.last_used, is_live: true };
        let deletions = limit.surplus(ages, &begun).into_iter().map(|age| {
            self.delete(session_key(username, &age.id))
                .condition_expression("last_used_at = :seen")
                .expression_attribute_values(":seen", timestamp(age.last_used))
        });
        let mut sent = Deletions::default();
        sent.send(deletions, None).await?;
        Ok(sent.done)
    }

    /// The ages of up to `size` sessions after `after`, and where to go on.
    async fn session_ages(
        &self,
        username: &Username,
        after: Option<&SessionId>,
        size: usize,
        now: Timestamp,
    ) -> Result<(Vec<SessionAge>, Option<SessionId>), StoreError> {
        let (items, next) = self.query_sessions(username, after, size, Some(AGE)).await?;
        let read = |item: Item| {
            let is_live = rows::read(item.clone(), LifespanRow::deserialize)?.is_live(now);
            let AgeRow { id, last_used } = rows::read(item, AgeRow::deserialize)?;
            Ok(SessionAge { id, last_used, is_live })
        };
        Ok((items.into_iter().map(read).collect::<Result<_, StoreError>>()?, next))
    }

    async fn query_sessions(
        &self,
        username: &Username,
        after: Option<&SessionId>,
        size: usize,
        attributes: Option<&str>,
    ) -> Result<(Vec<Item>, Option<SessionId>), StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(&partition(username)))
            .set_projection_expression(attributes.map(str::to_owned))
            .set_exclusive_start_key(after.map(|id| session_key(username, id)))
            .limit(i32::try_from(size).unwrap_or(i32::MAX))
            .consistent_read(true)
            .send()
            .await
            .map_err(unavailable)?;
        let next = answer.last_evaluated_key.map(|key| id_in_key(&key).ok_or_else(no_session)).transpose()?;
        Ok((answer.items.unwrap_or_default(), next))
    }
}

fn id_in_key(key: &Item) -> Option<SessionId> {
    SessionId::parse(key.get("sk")?.as_s().ok()?).ok()
}

fn no_session() -> StoreError {
    StoreError::Unavailable("a session's key names no session".into())
}

/// Conditional deletions, up to [`AT_ONCE`] at the same time.
#[derive(Default)]
struct Deletions {
    begun: usize,
    /// How many rows they have deleted.
    done: usize,
}

impl Deletions {
    /// Sends them until the deadline, but [`AT_ONCE`] in any case. `false`: not all were sent.
    async fn send(
        &mut self,
        deletions: impl Iterator<Item = DeleteItemFluentBuilder>,
        deadline: Option<Instant>,
    ) -> Result<bool, StoreError> {
        let mut deletions = deletions.peekable();
        let mut running = JoinSet::new();
        let mut failure = None;
        loop {
            while running.len() < AT_ONCE
                && failure.is_none()
                && (self.begun < AT_ONCE || deadline.is_none_or(|deadline| Instant::now() < deadline))
                && let Some(deletion) = deletions.next()
            {
                self.begun += 1;
                running.spawn(requests::delete(deletion));
            }
            match running.join_next().await.map(|outcome| outcome.map_err(unavailable).flatten()) {
                Some(Ok(was_there)) => self.done += usize::from(was_there),
                Some(Err(error)) => failure = Some(error),
                None => return failure.map_or(Ok(deletions.peek().is_none()), Err),
            }
        }
    }

    /// What is to be said of a removal that this stopped: nothing was done, or not all.
    fn incomplete(self, error: StoreError) -> Result<Removal, StoreError> {
        if self.done == 0 {
            return Err(error);
        }
        warn!(cause = causes(&error), ended = self.done, "not all sessions could be ended");
        Ok(Removal { ended: self.done, is_complete: false })
    }
}
