//! The answers for an account that isn't changed: the error for the client, and the record for the log.

use lambda_http::http::StatusCode;
use shared::{
    lambda::{CallRecord, ErrorResponse, Problem},
    use_cases::administer_users::AdministrationError,
};

pub(crate) fn of_administration(error: AdministrationError) -> Problem {
    match error {
        // The token is valid. To its holder it is one without the scope.
        AdministrationError::NoAdministrator(reason) => Problem {
            record: CallRecord::refused(reason.code()).security_event("removed_administrator"),
            ..Problem::insufficient_scope()
        },
        AdministrationError::OwnAccount => Problem::refused(
            ErrorResponse::new(
                StatusCode::CONFLICT,
                "own_account",
                "Nobody disables, deletes or demotes their own account here: the admin tool can, or another administrator",
            ),
            "own_account",
        ),
        AdministrationError::NoSuchUser => Problem::not_found("There is no such user"),
        AdministrationError::Unavailable(unavailable) => unavailable.into(),
    }
}
