//! The log: one JSON object a line, on standard output, which Lambda takes to `CloudWatch` as it is.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts the log of a function, whose crate has this name. `level` is for its own events and those of this crate;
/// libraries only get through with warnings, because what they write at lower levels may hold requests and
/// answers.
pub fn start(level: LevelFilter, function: &'static str) {
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets([("shared", level), (function, level)])
        // The runtime repeats each error that a handler returns, in a form of its own.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // Fails only where a log runs already.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}

/// An error and its causes in one line, for the log.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}
