//! Why an account isn't made or changed, and what the client is told of it.

use std::time::Duration;

use lambda_http::http::StatusCode;
use shared::{
    BoxError,
    http::ErrorResponse,
    identity::Unauthenticated,
    log::{Entry, Metric},
    throttle::Throttled,
};

/// Why a request isn't answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no such route, or registration is off.
    #[error("not_found")]
    NotFound,
    #[error("unauthenticated")]
    Unauthenticated(#[from] Unauthenticated),
    #[error("malformed")]
    Malformed(ErrorResponse),
    /// Another account has the name. Who registers has to be told.
    #[error("username_taken")]
    Taken,
    /// The password isn't the account's, or the account is disabled or gone. The client isn't told more than that.
    #[error("wrong_password")]
    WrongPassword,
    /// The access token is valid, and its session has ended.
    #[error("session_over")]
    SessionOver,
    /// Too many passwords were tried; this one was not looked at.
    #[error("throttled")]
    Throttled(Throttled),
    /// Too many accounts were made from the address.
    #[error("too_many_registrations")]
    TooManyRegistrations(Duration),
    /// The password is the new one, and other sessions may go on.
    #[error("sessions_left")]
    SessionsLeft(#[source] BoxError),
    #[error("unavailable")]
    Unavailable(#[source] BoxError),
}

impl Refusal {
    /// What the log says of it.
    pub(crate) fn entry(&self) -> Entry {
        let throttled = |limit: &str| Entry::refused(self).with("limit", limit).counting(Metric::Throttles);
        match self {
            Self::Unavailable(cause) => Entry::unavailable(cause.as_ref()),
            // The password is changed, whatever became of the sessions.
            Self::SessionsLeft(cause) => Entry::failed("sessions_left", cause.as_ref()).counting(Metric::Outages),
            Self::Throttled(guesses) => throttled(&guesses.limit.to_string()).security_event("guesses_throttled"),
            Self::TooManyRegistrations(_) => throttled("registrations"),
            _ => Entry::refused(self),
        }
    }
}

impl From<ErrorResponse> for Refusal {
    fn from(response: ErrorResponse) -> Self {
        Self::Malformed(response)
    }
}

impl From<Refusal> for ErrorResponse {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such route"),
            Refusal::Unauthenticated(unauthenticated) => unauthenticated.into(),
            Refusal::Malformed(response) => response,
            Refusal::Taken => Self::new(StatusCode::CONFLICT, "username_taken", "Another account has this username"),
            // Not 401: the access token is valid, and clients throw theirs away at a 401.
            Refusal::WrongPassword => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_grant", "current_password is not the account's password")
            }
            Refusal::SessionOver => Unauthenticated.into(),
            Refusal::Throttled(throttled) => Self::slow_down(throttled.wait),
            Refusal::TooManyRegistrations(wait) => Self::slow_down(wait),
            Refusal::SessionsLeft(_) => Self::unavailable().saying(
                "The password is changed, but other sessions may go on: POST /logout with sessions=others ends them",
            ),
            Refusal::Unavailable(_) => Self::unavailable(),
        }
    }
}

pub(crate) fn unavailable(cause: impl Into<BoxError>) -> Refusal {
    Refusal::Unavailable(cause.into())
}
