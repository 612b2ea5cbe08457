//! Lambda on one machine: functions as processes behind the Runtime API.

mod environment;
mod function;
mod instance;
mod runtime_api;

use axum::body::Bytes;
use tokio::sync::watch;

pub(crate) use function::Function;

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The function answered with this payload.
    Response(Bytes),
    /// The function reported an error.
    Error(FunctionError),
    /// The function took longer than its `Timeout`, and was ended.
    TimedOut,
    /// The function's process ended without an answer, or couldn't be started, for this reason.
    Crashed(String),
    /// As many calls as the template reserves are being handled, or the call has waited for its turn too long.
    Throttled,
    /// The payload is larger than Lambda takes.
    TooLarge,
    /// The template has no such function.
    NotFound,
}

/// An error as a function reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The name of the error's type.
    pub error_type: String,
    /// The error's text.
    pub error_message: String,
}

/// A payload for a function, and what the call is known by.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    pub(crate) payload: Bytes,
}

impl Call {
    /// A call that nobody else has made before.
    pub(crate) fn new(payload: Bytes) -> Self {
        Self { request_id: crate::random::uuid(), trace_id: crate::random::trace_id(), payload }
    }
}

/// Whether somebody waits for the answer of a call.
#[derive(Clone, Debug)]
struct Caller(watch::Sender<()>);

impl Caller {
    /// A caller that waits for as long as the receiver is there.
    fn new() -> (Self, watch::Receiver<()>) {
        let (sender, presence) = watch::channel(());
        (Self(sender), presence)
    }

    /// Whether nobody waits any more.
    fn has_gone(&self) -> bool {
        self.0.is_closed()
    }

    /// Resolves when nobody waits any more.
    async fn gone(&self) {
        self.0.closed().await;
    }
}
