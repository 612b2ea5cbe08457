//! The answers for an account that isn't made: the error for the client, and the record for the log.

use lambda_http::http::StatusCode;
use shared::{
    lambda::{ErrorResponse, Metric, Problem},
    use_cases::register::RegistrationError,
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
