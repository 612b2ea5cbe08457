//! Why there is no token, and what the client is told of it.

use lambda_http::http::StatusCode;
use shared::{
    BoxError,
    http::ErrorResponse,
    log::{Entry, Metric},
    session::SessionId,
    throttle::Throttled,
    username::Username,
};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The request is malformed.
    #[error("the request is malformed")]
    Malformed(ErrorResponse),
    /// The credentials don't open an account. The client isn't told more than that.
    #[error(transparent)]
    Rejected(Rejection),
    /// Too many passwords were tried; this one was not looked at.
    #[error(transparent)]
    Throttled(Throttled),
    /// The refresh token gives no other. The client isn't told more than that.
    #[error(transparent)]
    NotRefreshed(NotRefreshed),
    /// A refresh token was used before, and its session has ended for that. The client isn't told more than for another
    /// refusal.
    #[error("reused")]
    Reused(Box<Reuse>),
    /// A page of another origin may have made the browser send it.
    #[error("the request may come from a page of another origin")]
    CrossOrigin,
    /// The user or the session has not every scope that was asked for.
    #[error("a scope was asked for that can't be had")]
    InvalidScope,
    /// Something that the answer needs is down.
    #[error("no answer is possible now")]
    Unavailable(#[source] BoxError),
}

/// Why credentials don't open an account: for the log only.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// No account has the name. It isn't kept: people type passwords into the wrong field.
    #[error("unknown_user")]
    UnknownUser,
    /// The account's row can't be read.
    #[error("unreadable_user")]
    UnreadableUser,
    /// The password is not the account's.
    #[error("wrong_password")]
    WrongPassword(Username),
    /// The account is disabled, whatever the password.
    #[error("disabled_user")]
    DisabledUser(Username),
}

impl Rejection {
    /// The account's name, where there is one.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::UnknownUser | Self::UnreadableUser => None,
            Self::WrongPassword(username) | Self::DisabledUser(username) => Some(username.as_str()),
        }
    }
}

/// A refresh token that was used again: by a thief, or by the owner after a thief. For the log only.
#[derive(Debug)]
pub struct Reuse {
    /// Whose it is.
    pub user: Username,
    /// The session that has ended.
    pub session: SessionId,
    /// Where it was used now.
    pub address: Option<String>,
}

/// Why a refresh token gives no other: for the log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRefreshed {
    /// No key of ours has made it.
    #[error("not_ours")]
    NotOurs,
    /// Its session is not there, ended, or has expired.
    #[error("session_over")]
    SessionOver,
    /// Its account is not there, or disabled.
    #[error("user_gone")]
    UserGone,
    /// The account has another password since.
    #[error("password_changed")]
    PasswordChanged,
}

impl LoginError {
    /// What the log says of it.
    pub(crate) fn entry(&self) -> Entry {
        match self {
            Self::Malformed(_) => Entry::refused("malformed"),
            Self::Rejected(rejection) => Entry::refused(rejection).with_any("user", rejection.user()),
            // No name: nobody has looked whether it is one, or a password in the wrong field.
            Self::Throttled(throttled) => Entry::refused("throttled")
                .with("limit", &throttled.limit)
                .security_event("guesses_throttled")
                .counting(Metric::Throttles),
            Self::Reused(reuse) => Entry::refused("reused")
                .security_event("refresh_token_reused")
                .with("user", &reuse.user)
                .with("session", &reuse.session)
                .with_any("address", reuse.address.as_ref())
                .counting(Metric::RefreshTokenReuse),
            Self::NotRefreshed(reason) => Entry::refused(reason),
            Self::CrossOrigin => Entry::refused("cross_origin"),
            Self::InvalidScope => Entry::refused("invalid_scope"),
            Self::Unavailable(cause) => Entry::unavailable(cause.as_ref()),
        }
    }
}

impl From<ErrorResponse> for LoginError {
    fn from(response: ErrorResponse) -> Self {
        Self::Malformed(response)
    }
}

impl From<LoginError> for ErrorResponse {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Malformed(response) => response,
            LoginError::Rejected(_) => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid_grant", "Invalid credentials").with_challenge("Bearer")
            }
            LoginError::Throttled(throttled) => Self::slow_down(throttled.wait),
            LoginError::NotRefreshed(_) | LoginError::Reused(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_grant",
                "The refresh token is not valid, or no longer: sign in again",
            ),
            LoginError::CrossOrigin => Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid_grant",
                "With cookies, the request must come from a page of this origin or of an allowed one",
            )
            .with_challenge("Bearer"),
            LoginError::InvalidScope => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_scope", "scope names something that this user may not do")
            }
            LoginError::Unavailable(_) => Self::unavailable(),
        }
    }
}

pub(crate) fn unavailable(cause: impl Into<BoxError>) -> LoginError {
    LoginError::Unavailable(cause.into())
}
