//! The answers of a REQUEST authorizer, and the cache that keeps them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::event::{Principal, Request};
use super::refusal::look_up;
use crate::cloudformation::{IdentitySource, text};

/// An authorizer's answer.
#[derive(Clone, Debug)]
pub(super) struct Authorization {
    pub(super) principal: Principal,
    pub(super) policy: Value,
}

impl Authorization {
    /// Reads an answer; `None` where it's malformed.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(payload).ok()?;
        let mut context = BTreeMap::new();
        match answer.get("context") {
            None | Some(Value::Null) => {}
            Some(values) => {
                for (key, value) in values.as_object()? {
                    context.insert(key.clone(), text(value)?);
                }
            }
        }
        let policy = answer.get("policyDocument").filter(|policy| policy.is_object())?.clone();
        Some(Self { principal: Principal { id: answer["principalId"].as_str()?.to_owned(), context }, policy })
    }
}

/// The key of a kept result: the authorizer's name and the values of its identity sources.
pub(super) type Caller = (String, Vec<String>);

/// The value of an identity source; `None` where it's missing or empty.
pub(super) fn identity(source: &IdentitySource, request: &Request, context: &Value) -> Option<String> {
    let value = match source {
        IdentitySource::Header(name) => request.header(name).map(str::to_owned),
        IdentitySource::Context(path) => look_up(context, path),
    };
    value.filter(|value| !value.is_empty())
}

/// Results that are kept, with the moment when they lapse.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<HashMap<Caller, (Instant, Authorization)>>);

impl Kept {
    /// The result for a caller, if one is kept.
    pub(super) fn find(&self, caller: &Caller) -> Option<Authorization> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (until, _)| *until > Instant::now());
        kept.get(caller).map(|(_, authorization)| authorization.clone())
    }

    /// Keeps a result, unless for no time at all.
    pub(super) fn keep(&self, caller: Caller, for_how_long: Duration, authorization: &Authorization) {
        if !for_how_long.is_zero() {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(caller, (Instant::now() + for_how_long, authorization.clone()));
        }
    }
}
