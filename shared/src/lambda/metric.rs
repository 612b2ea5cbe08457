//! Metrics, in the embedded metric format ("Specification: Embedded metric format" in the `CloudWatch` user guide).

use std::time::Duration;

use serde::Serialize;

/// A metric of a line. Its one dimension is the stack, so that each is one custom metric: `CloudWatch` bills every
/// combination of a metric and the values of its dimensions as one. What else there is to know of a call (its outcome,
/// the reason, the function) is in its line, and Logs Insights counts by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Somebody has signed in.
    SignIns,
    /// A sign-in with a name and a password that don't open an account.
    FailedSignIns,
    /// A session was refreshed.
    Refreshes,
    /// A refresh token was used again, and its session was ended.
    RefreshTokenReuse,
    /// A call whose caller was told no.
    Refusals,
    /// A guess or a registration was refused because there were too many before it.
    Throttles,
    /// A call got no answer because something that it needs is down.
    Outages,
    /// The age of the key that signs.
    KeyAge(Duration),
}

impl Metric {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SignIns => "SignIns",
            Self::FailedSignIns => "FailedSignIns",
            Self::Refreshes => "Refreshes",
            Self::RefreshTokenReuse => "RefreshTokenReuse",
            Self::Refusals => "Refusals",
            Self::Throttles => "Throttles",
            Self::Outages => "Outages",
            Self::KeyAge(_) => "KeyAge",
        }
    }

    pub(super) fn value(self) -> u64 {
        match self {
            Self::KeyAge(age) => age.as_secs(),
            _ => 1,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::KeyAge(_) => "Seconds",
            _ => "Count",
        }
    }
}

/// The member `_aws` for a line's metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metadata {
    timestamp: u128,
    #[serde(rename = "CloudWatchMetrics")]
    metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    /// Sets of members of the line.
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Metadata {
    pub(super) fn of(metrics: &[Metric], timestamp: u128) -> Self {
        let define = |metric: &Metric| Definition { name: metric.name(), unit: metric.unit() };
        let metrics = metrics.iter().map(define).collect();
        Self { timestamp, metrics: [Directive { namespace: "Gatehouse", dimensions: [["stack"]], metrics }] }
    }
}
