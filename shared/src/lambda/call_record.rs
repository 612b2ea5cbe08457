//! The record of a call: one line in the log.

use std::{error::Error, fmt::Display, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeMap};
use tracing::Level;

use super::{
    caller::Caller,
    gateway_request::GatewayRequest,
    metric::{self, Metric},
};
use crate::{causes, values::guessing::Network};

/// The outcome of a call, with the members of its line.
#[derive(Debug)]
#[must_use]
pub struct CallRecord {
    level: Level,
    outcome: &'static str,
    request: GatewayRequest,
    /// In the order in which they are written.
    fields: Vec<(&'static str, String)>,
    metrics: Vec<Metric>,
}

impl CallRecord {
    /// A call with this outcome, one of a small number of words.
    pub fn new(outcome: &'static str) -> Self {
        Self {
            level: Level::INFO,
            outcome,
            request: GatewayRequest::default(),
            fields: Vec::new(),
            metrics: Vec::new(),
        }
    }

    /// A call that failed: somebody has to look after it.
    pub fn failed(outcome: &'static str, cause: &dyn Error) -> Self {
        Self { level: Level::ERROR, ..Self::new(outcome).with("cause", &causes(cause)) }
    }

    /// A call that got no answer because something that it needs is down.
    pub fn unavailable(cause: &dyn Error) -> Self {
        Self::failed("unavailable", cause).counting(Metric::Outages)
    }

    /// A call whose caller was told no, for this reason, one of a small number of words.
    pub fn refused(reason: &'static str) -> Self {
        Self::new("refused").with("reason", reason).counting(Metric::Refusals)
    }

    /// The same with another member. Never a secret, and nothing that a client made up.
    pub fn with(mut self, name: &'static str, value: &(impl Display + ?Sized)) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    /// The same with another member, where there is one.
    pub fn with_any(self, name: &'static str, value: Option<&(impl Display + ?Sized)>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same as the call of this caller, unless the record names a user already: one line has one.
    pub fn by(self, caller: &Caller) -> Self {
        if self.fields.iter().any(|(name, _)| *name == "user") {
            return self;
        }
        self.with("user", &caller.username).with("session", &caller.session)
    }

    /// The same as a call for this request of the gateway's.
    pub fn of_request(self, request: GatewayRequest) -> Self {
        Self { request, ..self }
    }

    /// The same as something to look at: an attack, or keys that aren't as they should be.
    pub fn security_event(self, name: &'static str) -> Self {
        let level = self.level.min(Level::WARN);
        Self { level, ..self.with("security_event", name) }
    }

    /// The same as the failure that was the last one of a network's budget, if it was.
    pub fn spending(self, budget_of: Option<Network>) -> Self {
        match budget_of {
            Some(network) => self.security_event("sign_ins_stuffed").with("network", &network),
            None => self,
        }
    }

    /// The same with a metric.
    pub fn counting(mut self, metric: Metric) -> Self {
        self.metrics.push(metric);
        self
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }
}

/// A record with what is known of every call.
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    /// The time once more, since 1970.
    pub(super) milliseconds: u128,
    pub(super) function: &'static str,
    pub(super) stack: &'a str,
    pub(super) request_id: &'a str,
    pub(super) latency: Duration,
    pub(super) record: &'a CallRecord,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let CallRecord { level, outcome, request, fields, metrics } = self.record;
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("timestamp", self.time)?;
        line.serialize_entry("level", level.as_str())?;
        line.serialize_entry("function", self.function)?;
        line.serialize_entry("request_id", self.request_id)?;
        for (name, value) in [("gateway_request_id", request.id()), ("address", request.address())] {
            if let Some(value) = value {
                line.serialize_entry(name, value)?;
            }
        }
        line.serialize_entry("outcome", outcome)?;
        for (name, value) in fields {
            line.serialize_entry(name, value)?;
        }
        // To the microsecond.
        line.serialize_entry("latency_ms", &((self.latency.as_secs_f64() * 1e6).round() / 1e3))?;
        if !metrics.is_empty() {
            line.serialize_entry("stack", self.stack)?;
            for metric in metrics {
                line.serialize_entry(metric.name(), &metric.value())?;
            }
            line.serialize_entry("_aws", &metric::Metadata::of(metrics, self.milliseconds))?;
        }
        line.end()
    }
}
