//! The answers for an account that isn't made or changed: the error for the client, and the record for the log.

use lambda_http::http::StatusCode;
use shared::{
    lambda::{CallRecord, ErrorResponse, Metric, Problem, caller::Unauthenticated},
    use_cases::{authenticate::AuthenticationError, change_password::PasswordChangeError, register::RegistrationError},
};

pub(crate) fn of_registration(error: RegistrationError) -> Problem {
    match error {
        RegistrationError::Taken => Problem::refused(username_taken(), "username_taken"),
        // The log alone tells the two apart.
        RegistrationError::Reserved => Problem::refused(username_taken(), "username_reserved"),
        RegistrationError::TooMany(wait) => Problem::refused(ErrorResponse::slow_down(wait), "too_many_registrations")
            .recorded(|record| record.with("limit", "registrations").counting(Metric::Throttles)),
        RegistrationError::Unavailable(unavailable) => unavailable.into(),
    }
}

fn username_taken() -> ErrorResponse {
    ErrorResponse::new(StatusCode::CONFLICT, "username_taken", "Another account has this username")
}

pub(crate) fn of_password_change(error: PasswordChangeError) -> Problem {
    match error {
        PasswordChangeError::Authentication(AuthenticationError::Throttled(throttled)) => throttled.into(),
        PasswordChangeError::Authentication(AuthenticationError::Unavailable(unavailable))
        | PasswordChangeError::Unavailable(unavailable) => unavailable.into(),
        PasswordChangeError::Authentication(AuthenticationError::Rejected(_)) | PasswordChangeError::AccountChanged => {
            // Not 401: the access token is valid, and clients throw theirs away at a 401.
            let response = ErrorResponse::new(
                StatusCode::BAD_REQUEST,
                "invalid_grant",
                "current_password is not the account's password",
            );
            Problem::refused(response, "wrong_password")
        }
        PasswordChangeError::SessionOver => {
            Problem { record: CallRecord::refused("session_over"), ..Unauthenticated.into() }
        }
        // The password is changed, whatever became of the sessions.
        PasswordChangeError::SessionsLeft(cause) => Problem {
            response: ErrorResponse::unavailable().saying(
                "The password is changed, but other sessions may go on: POST /logout with sessions=others ends them",
            ),
            record: CallRecord::failed("sessions_left", &cause).counting(Metric::Outages),
        },
    }
}
