//! Who sent a request, as far as the gateway and the client say.

/// A client, as it was seen when it signed in or used its session: its address counts guesses, and both are shown to
/// the session's owner to recognise it by. Nothing else is decided on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The address that the gateway saw; no header of the client's takes part.
    pub address: Option<String>,
    /// The beginning of its `User-Agent`, without control characters.
    pub user_agent: Option<String>,
}
