//! Live revocation: tokens of a session that has ended are refused before they expire.
//!
//! The state of a session is cached for a while, so that a busy session costs one read in that time and not one for
//! each request. The token of an ended session can still pass for that while, and for the moment that a write takes to
//! reach every replica of the table.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use shared::{
    access_token::Verified,
    session::SessionId,
    store::{Store, StoreError},
    time::Timestamp,
};

/// The most sessions that an instance keeps in mind: some megabytes.
const CAPACITY: usize = 10_000;

/// Looks whether sessions go on.
pub struct LiveRevocation {
    store: Store,
    staleness: Duration,
    known: Mutex<HashMap<SessionId, CachedState>>,
}

/// Whether a session went on when its row was read.
#[derive(Clone, Copy, Debug)]
struct CachedState {
    live: bool,
    read: Timestamp,
}

impl LiveRevocation {
    /// Nothing is known yet; later, what is known may be as old as `staleness`.
    #[must_use]
    pub fn new(store: Store, staleness: Duration) -> Self {
        Self { store, staleness, known: Mutex::default() }
    }

    /// Whether the session of a valid token goes on.
    ///
    /// # Errors
    /// [`StoreError`] where nothing recent enough is known and the row can't be read.
    pub(crate) async fn is_live(&self, verified: &Verified, now: Timestamp) -> Result<bool, StoreError> {
        let session = &verified.session;
        if let Some(known) = self.lock().get(session).filter(|known| now < known.read.after(self.staleness)) {
            return Ok(known.live);
        }
        let read = |consistent| self.store.is_session_live(&verified.subject, session, consistent, now);
        // A replica may not have the row of a session yet that has just begun.
        let live = read(false).await? || read(true).await?;
        self.remember(session.clone(), CachedState { live, read: now });
        Ok(live)
    }

    fn remember(&self, session: SessionId, known: CachedState) {
        let mut all = self.lock();
        if all.len() >= CAPACITY {
            all.retain(|_, older| known.read < older.read.after(self.staleness));
        }
        // More sessions at once than there is room for: they are read anew.
        if all.len() >= CAPACITY {
            all.clear();
        }
        all.insert(session, known);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, CachedState>> {
        // No code panics with the lock held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
