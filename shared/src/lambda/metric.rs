//! Metrics, in the embedded metric format ("Specification: Embedded metric format" in the `CloudWatch` user guide).

use std::time::Duration;

use serde::Serialize;

/// A metric of a line. Each combination of a metric and the values of its dimensions is one custom metric,
/// and costs as one: no dimension is of a user's or a client's making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A request for the grant `password`, by outcome.
    SignIns,
    /// A sign-in with a name and a password that don't open an account.
    FailedSignIns,
    /// A request for the grant `refresh_token`, by outcome.
    Refreshes,
    /// A refresh token was used again, and its session was ended.
    RefreshTokenReuse,
    /// A call whose caller was told no, by function and reason.
    Refusals,
    /// A guess or a registration was refused because there were too many before it; also by limit.
    Throttles,
    /// A call got no answer because something that it needs is down; also by function.
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

    /// Sets of members of the line. `CloudWatch` adds nothing up over dimensions: where a sum is of use, it is a set of
    /// its own.
    fn dimensions(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::SignIns | Self::Refreshes => &[&["stack", "outcome"]],
            Self::FailedSignIns | Self::RefreshTokenReuse | Self::KeyAge(_) => &[&["stack"]],
            Self::Refusals => &[&["stack", "function", "reason"]],
            Self::Throttles => &[&["stack"], &["stack", "limit"]],
            Self::Outages => &[&["stack"], &["stack", "function"]],
        }
    }
}

/// The member `_aws` for a line's metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metadata {
    timestamp: u128,
    #[serde(rename = "CloudWatchMetrics")]
    metrics: Vec<Directive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: [Definition; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Metadata {
    pub(super) fn of(metrics: &[Metric], timestamp: u128) -> Self {
        let directive = |metric: &Metric| Directive {
            namespace: "Gatehouse",
            dimensions: metric.dimensions(),
            metrics: [Definition { name: metric.name(), unit: metric.unit() }],
        };
        Self { timestamp, metrics: metrics.iter().map(directive).collect() }
    }
}
