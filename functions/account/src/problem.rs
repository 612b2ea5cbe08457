//! The answers for a password that isn't changed: the error for the client, and the record for the log.

use lambda_http::http::StatusCode;
use shared::{
    lambda::{CallRecord, ErrorResponse, Metric, Problem},
    use_cases::{authenticate::AuthenticationError, change_password::PasswordChangeError},
};

pub(crate) fn of_password_change(error: PasswordChangeError) -> Problem {
    match error {
        PasswordChangeError::Authentication(AuthenticationError::Throttled(throttled)) => throttled.into(),
        PasswordChangeError::Authentication(AuthenticationError::Unavailable(unavailable))
        | PasswordChangeError::Unavailable(unavailable) => unavailable.into(),
        PasswordChangeError::Authentication(AuthenticationError::Rejected { spent, .. }) => {
            wrong_password().recorded(|record| record.spending(spent))
        }
        PasswordChangeError::AccountChanged => wrong_password(),
        // The same request again would be refused: the password is changed, whatever became of the sessions.
        PasswordChangeError::SessionsLeft(cause) => Problem {
            response: ErrorResponse::unavailable().saying(
                "The password is changed, but sessions may go on: sign in with it, and end them with POST /logout",
            ),
            record: CallRecord::failed("sessions_left", &cause).counting(Metric::Outages),
        },
    }
}

fn wrong_password() -> Problem {
    // Not 401: the access token is valid, and clients throw theirs away at a 401.
    let response =
        ErrorResponse::new(StatusCode::BAD_REQUEST, "invalid_grant", "current_password is not the account's password");
    Problem::refused(response, "wrong_password")
}
