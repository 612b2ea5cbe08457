//! The log: one JSON object a line, on standard output, which Lambda takes to `CloudWatch` as it is.
//!
//! Every call leaves one line, a [`CallRecord`]: which request it was, what it came to and how long it took. Lines with a
//! [`Metric`](super::Metric) are written in the embedded metric format, from which `CloudWatch` makes metrics. What goes wrong beside a
//! call is a line of `tracing`'s.

use std::{
    future::Future,
    io::Write,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    filter::Targets,
    fmt::{format::Writer, time::FormatTime},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    call_record::{CallRecord, Line},
    settings::{LOG_LEVEL, STACK_NAME, SettingError, Settings},
};

/// The log of a function.
#[derive(Clone, Debug)]
pub struct Log {
    function: &'static str,
    stack: String,
    level: LevelFilter,
}

impl Log {
    /// Starts the log of a function, whose package has this name. `LOG_LEVEL` is for its own lines and those of this
    /// crate; libraries only get through with warnings, because what they write at lower levels may hold requests and
    /// answers. `STACK_NAME` tells the metrics of several stacks in one account apart.
    ///
    /// # Errors
    /// [`SettingError`] for those two settings.
    pub fn start(settings: Settings, function: &'static str) -> Result<Self, SettingError> {
        let log = Self { function, stack: settings.get(&STACK_NAME)?, level: settings.get(&LOG_LEVEL)? };
        let targets = Targets::new()
            .with_default(LevelFilter::WARN.min(log.level))
            .with_target("shared", log.level)
            // A crate's name has no dashes.
            .with_target(function.replace('-', "_"), log.level)
            // The runtime repeats each error that a handler returns, in a form of its own.
            .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
        let lines =
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        // Fails only where a log runs already.
        let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
        Ok(log)
    }

    /// Makes a call, and writes its line.
    pub async fn call<T>(&self, request_id: &str, call: impl Future<Output = (T, CallRecord)>) -> T {
        let started = Instant::now();
        let (answer, record) = call.await;
        self.write(request_id, &record, started.elapsed());
        answer
    }

    /// Whether the level lets a line through. A metric is written at every level: alarms must not go blind because the
    /// log is short.
    fn writes(&self, record: &CallRecord) -> bool {
        record.level() <= self.level || !record.metrics().is_empty()
    }

    fn write(&self, request_id: &str, record: &CallRecord, latency: Duration) {
        if !self.writes(record) {
            return;
        }
        let mut line = self.line(request_id, record, latency);
        line.push(b'\n');
        // Nobody can be told that standard output is gone.
        let _ = std::io::stdout().lock().write_all(&line);
    }

    #[expect(clippy::disallowed_methods, reason = "a line's time is the machine's, as in tracing's own lines")]
    fn line(&self, request_id: &str, record: &CallRecord, latency: Duration) -> Vec<u8> {
        let mut time = String::with_capacity(32);
        // Writing to a string doesn't fail.
        let _ = tracing_subscriber::fmt::time::SystemTime.format_time(&mut Writer::new(&mut time));
        let line = Line {
            time: &time,
            milliseconds: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
            function: self.function,
            stack: &self.stack,
            request_id,
            latency,
            record,
        };
        let mut bytes = Vec::with_capacity(512);
        // Nor does writing text and numbers to a vector.
        let _ = serde_json::to_writer(&mut bytes, &line);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::lambda::{GatewayRequest, metric::Metric};

    fn log(level: LevelFilter) -> Log {
        Log { function: "login", stack: "gatehouse".to_owned(), level }
    }

    fn line(record: &CallRecord) -> Value {
        let line = log(LevelFilter::INFO).line("8476a536", record, Duration::from_micros(36_250));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_line_says_which_call_it_was_and_what_it_came_to() {
        let mut line = line(&CallRecord::new("signed_in").with("user", "jane").with("scope", "profile:read"));
        let time = line["timestamp"].take();
        assert!(time.as_str().is_some_and(|time| time.len() == 27 && time.ends_with('Z')), "{time}");
        assert_eq!(
            line,
            json!({
                "timestamp": null,
                "level": "INFO",
                "function": "login",
                "request_id": "8476a536",
                "outcome": "signed_in",
                "user": "jane",
                "scope": "profile:read",
                "latency_ms": 36.25,
            })
        );
    }

    #[test]
    fn a_line_says_the_gateways_request_and_the_address() {
        let request = GatewayRequest::new(Some("41b45ea3".to_owned()), Some("192.0.2.1".to_owned()));
        let line = line(&CallRecord::new("signed_in").of_request(request));
        assert_eq!(
            (&line["request_id"], &line["gateway_request_id"], &line["address"]),
            (&json!("8476a536"), &json!("41b45ea3"), &json!("192.0.2.1"))
        );
    }

    /// "Specification: Embedded metric format" in the `CloudWatch` user guide: metrics and dimensions are members of the
    /// root, and `_aws` names them.
    #[test]
    fn metrics_are_in_the_embedded_metric_format() {
        let record =
            CallRecord::new("signed_in").counting(Metric::SignIns).counting(Metric::KeyAge(Duration::from_hours(1)));
        let line = line(&record);
        let milliseconds = line["_aws"]["Timestamp"].as_u64().unwrap();
        assert!(milliseconds > 1_700_000_000_000, "{milliseconds}");
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"],
            json!([{
                "Namespace": "Gatehouse",
                "Dimensions": [["stack"]],
                "Metrics": [{ "Name": "SignIns", "Unit": "Count" }, { "Name": "KeyAge", "Unit": "Seconds" }],
            }])
        );
        assert_eq!(line["SignIns"], 1);
        assert_eq!(line["KeyAge"], 3600);
        assert_eq!(line["stack"], "gatehouse");
    }

    #[test]
    fn a_refusal_is_counted() {
        let line = line(&CallRecord::refused("throttled").with("limit", "account").counting(Metric::Throttles));
        assert_eq!((&line["outcome"], &line["reason"]), (&json!("refused"), &json!("throttled")));
        assert_eq!((&line["Refusals"], &line["Throttles"]), (&json!(1), &json!(1)));
    }

    #[test]
    fn the_level_leaves_out_lines_without_a_metric_only() {
        let (plain, counted) = (CallRecord::new("allowed"), CallRecord::refused("expired"));
        let failed = CallRecord::failed("failed", &std::fmt::Error);
        for (level, written) in [(LevelFilter::INFO, [true; 3]), (LevelFilter::ERROR, [false, true, true])] {
            assert_eq!([&plain, &counted, &failed].map(|record| log(level).writes(record)), written, "{level}");
        }
    }

    #[test]
    fn a_security_event_is_a_warning_at_least() {
        let throttled = line(&CallRecord::refused("throttled").security_event("guesses_throttled"));
        assert_eq!((&throttled["level"], &throttled["security_event"]), (&json!("WARN"), &json!("guesses_throttled")));
        let failed = line(&CallRecord::failed("failed", &std::fmt::Error).security_event("key_rotation_failed"));
        assert_eq!(failed["level"], "ERROR");
    }

    #[test]
    fn an_outage_is_an_error_that_counts() {
        let cause: crate::BoxError = "no route to host".into();
        let line = line(&CallRecord::unavailable(cause.as_ref()));
        assert_eq!((&line["level"], &line["outcome"]), (&json!("ERROR"), &json!("unavailable")));
        assert_eq!((&line["cause"], &line["Outages"]), (&json!("no route to host"), &json!(1)));
    }
}
