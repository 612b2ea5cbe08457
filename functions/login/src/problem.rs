//! The answers for a request that gets no token: the error for the client, and the record for the log.

use lambda_http::http::StatusCode;
use shared::{
    cookie::TooLong,
    lambda::{ErrorResponse, Metric, Problem, body::Malformed},
    session::SessionId,
    use_cases::{
        Unavailable,
        authenticate::{AuthenticationError, Rejection},
        refresh::{RefreshError, Reuse},
        sign_in::SignInError,
    },
    username::Username,
};

/// The name is said of users who have shown their password; of others only where it is known to be an account's.
pub(crate) fn of_sign_in(error: SignInError, username: &Username) -> Problem {
    let signed_in = |problem: Problem| problem.recorded(|record| record.with("user", username));
    match error {
        SignInError::Authentication(AuthenticationError::Rejected { rejection, spent }) => {
            rejected(&rejection).recorded(|record| record.spending(spent).counting(Metric::FailedSignIns))
        }
        SignInError::Authentication(AuthenticationError::Throttled(throttled)) => throttled.into(),
        SignInError::Authentication(AuthenticationError::Unavailable(unavailable))
        | SignInError::Unavailable(unavailable) => unavailable.into(),
        SignInError::InvalidScope => signed_in(invalid_scope()),
        SignInError::TooLongForCookies(too_long) => signed_in(too_long_for_cookies(too_long)),
    }
}

/// The owner is whose token it is and of which session, where a key of ours has made it.
pub(crate) fn of_refresh(error: RefreshError, owner: Option<(Username, SessionId)>) -> Problem {
    let problem = match error {
        RefreshError::Refused(refusal) => Problem::refused(not_refreshed(), refusal.code()),
        RefreshError::Reused(reuse) => return reused(&reuse),
        RefreshError::InvalidScope => invalid_scope(),
        RefreshError::Unavailable(unavailable) => unavailable.into(),
    };
    match owner {
        Some((user, session)) => problem.recorded(|record| record.with("user", &user).with("session", &session)),
        None => problem,
    }
}

/// A page of another origin may have made a browser send the request.
pub(crate) fn cross_origin() -> Problem {
    let response = ErrorResponse::new(
        StatusCode::UNAUTHORIZED,
        "invalid_grant",
        "With cookies, the request must come from a page of this origin or of an allowed one",
    );
    Problem::refused(response.with_challenge("Bearer"), "cross_origin")
}

/// Neither the setting nor the gateway says who issues the tokens.
pub(crate) fn no_issuer() -> Problem {
    Unavailable("ISSUER is not set, and the request doesn't say its domain".into()).into()
}

pub(crate) fn too_long_for_cookies(too_long: TooLong) -> Problem {
    Malformed::new(too_long.to_string()).into()
}

/// The same answer for every reason: none tells whether there is an account of the name.
fn rejected(rejection: &Rejection) -> Problem {
    let response = ErrorResponse::new(StatusCode::UNAUTHORIZED, "invalid_grant", "Invalid credentials");
    Problem::refused(response.with_challenge("Bearer"), rejection.code())
        .recorded(|record| record.with_any("user", rejection.user()))
}

fn reused(reuse: &Reuse) -> Problem {
    Problem::refused(not_refreshed(), "reused").recorded(|record| {
        record
            .security_event("refresh_token_reused")
            .with("user", &reuse.user)
            .with("session", &reuse.session)
            .with_any("other_address", reuse.other_address.as_ref())
            .counting(Metric::RefreshTokenReuse)
    })
}

fn not_refreshed() -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::BAD_REQUEST,
        "invalid_grant",
        "The refresh token is not valid, or no longer: sign in again",
    )
}

fn invalid_scope() -> Problem {
    let response =
        ErrorResponse::new(StatusCode::BAD_REQUEST, "invalid_scope", "scope names something that this user may not do");
    Problem::refused(response, "invalid_scope")
}
