//! One's own sessions: listing them, and ending one, the others or all.

use std::time::Duration;

use super::Unavailable;
use crate::{
    store::{Removal, SessionsPage, Store},
    values::{session::SessionId, time::Timestamp, username::Username},
};

/// How long the removal of an account's sessions goes on before it leaves the rest to the next call. A call of the
/// table that is under way then may take 3 seconds more; the functions' timeouts in template.yaml are longer by that
/// and by all that they do beside it.
pub const REMOVAL_TIME: Duration = Duration::from_secs(5);

/// How many rows of sessions are read at a time for a page of those that go on.
const ROWS: usize = 200;
/// How often that is done before a page stays shorter than asked for.
const READS: usize = 100;

/// Which of an account's sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsToEnd {
    /// The one that the request came from.
    This,
    /// All others.
    Others,
    /// Every one.
    All,
}

/// Up to `size` of the account's sessions that go on, those that come after `after` by their identifiers. Within the page
/// the last used is first. A session that goes on from the first page to the last is on exactly one of them.
///
/// # Errors
/// [`Unavailable`] where they can't be read.
pub async fn live_sessions(
    store: &Store,
    username: &Username,
    (mut after, size): (Option<SessionId>, usize),
    now: Timestamp,
) -> Result<SessionsPage, Unavailable> {
    let mut sessions = Vec::new();
    for _ in 0..READS {
        let page = store.session_page(username, after.as_ref(), ROWS).await?;
        sessions.extend(page.sessions.into_iter().filter(|session| session.is_live(now)));
        after = page.next;
        // More than asked for are needed to know whether there is another page.
        if after.is_none() || sessions.len() > size {
            break;
        }
    }
    if sessions.len() > size {
        sessions.truncate(size);
        after = sessions.last().map(|session| session.id.clone());
    }
    sessions
        .sort_by(|one, other| other.last_used.cmp(&one.last_used).then_with(|| one.id.as_str().cmp(other.id.as_str())));
    Ok(SessionsPage { sessions, next: after })
}

/// Ends sessions of the account, seen from the session `this`, as many as it can in this time. Where some are left, the
/// caller's own is one of them: the same call again goes on.
///
/// # Errors
/// [`Unavailable`] where they can't be reached, and none has ended.
pub async fn end_sessions(
    store: &Store,
    (username, this): (&Username, &SessionId),
    which: SessionsToEnd,
    now: Timestamp,
    time: Duration,
) -> Result<Removal, Unavailable> {
    let mut removal = Removal { ended: 0, is_complete: true };
    if which != SessionsToEnd::This {
        removal = store.remove_sessions(username, Some(this), now, time).await?;
    }
    // The caller's own comes last: where something is left or fails before it, the caller can still try again.
    if which != SessionsToEnd::Others && removal.is_complete {
        removal.ended += usize::from(store.remove_session(username, this, now).await?);
    }
    Ok(removal)
}
