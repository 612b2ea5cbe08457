//! A session as its owner sees it.

use serde::Serialize;
use shared::{lambda::Caller, session::Session, time::Timestamp};

/// A session as its owner sees it. Times are seconds since 1970.
#[derive(Serialize)]
pub(crate) struct SessionView<'a> {
    id: &'a str,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    client_id: &'a str,
    scope: String,
    address: Option<&'a str>,
    user_agent: Option<&'a str>,
    /// Whether the access token of this request belongs to the session.
    current: bool,
}

impl<'a> SessionView<'a> {
    pub(crate) fn of(session: &'a Session, caller: &Caller) -> Self {
        Self {
            id: session.id.as_str(),
            created_at: session.created,
            last_used_at: session.last_used,
            expires_at: session.until(),
            client_id: &session.client_id,
            scope: session.scopes.to_string(),
            address: session.client.address.as_deref(),
            user_agent: session.client.user_agent.as_deref(),
            current: session.id == caller.session,
        }
    }
}
