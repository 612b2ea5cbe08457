//! One's own sessions: listing them, and ending one, the others or all.

use super::Unavailable;
use crate::{
    store::Store,
    values::{
        session::{Session, SessionId},
        time::Timestamp,
        username::Username,
    },
};

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

/// The account's sessions that go on, the last used first.
///
/// # Errors
/// [`Unavailable`] where they can't be read.
pub async fn live_sessions(store: &Store, username: &Username, now: Timestamp) -> Result<Vec<Session>, Unavailable> {
    let mut sessions = store.sessions(username).await?;
    sessions.retain(|session| session.is_live(now));
    sessions
        .sort_by(|one, other| other.last_used.cmp(&one.last_used).then_with(|| one.id.as_str().cmp(other.id.as_str())));
    Ok(sessions)
}

/// Ends sessions of the account, seen from the session `this`; gives how many.
///
/// # Errors
/// [`Unavailable`] where they can't be reached; some may have ended by then.
pub async fn end_sessions(
    store: &Store,
    (username, this): (&Username, &SessionId),
    which: SessionsToEnd,
    now: Timestamp,
) -> Result<usize, Unavailable> {
    let mut ended = 0;
    if which != SessionsToEnd::This {
        ended += store.remove_sessions(username, Some(this), now).await?;
    }
    // The caller's own comes last: where something fails before it, the caller can still try again.
    if which != SessionsToEnd::Others {
        ended += usize::from(store.remove_session(username, this, now).await?);
    }
    Ok(ended)
}
