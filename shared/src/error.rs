//! The cause of a failure, whatever its type, and how the log writes it.

use std::error::Error;

/// The cause of a failure, of any type.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An error and its causes in one line, for the log.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}
