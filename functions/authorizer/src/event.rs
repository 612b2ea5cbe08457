//! The gateway's events and the answers to them, as far as they matter here.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html> and
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize};
use shared::{identity, token::Verified};

/// A `REQUEST` authorizer's event, of a REST API or of an HTTP API in payload version 1.0 or 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    version: Option<String>,
    /// What a REST API wants a policy for: `arn:…:execute-api:region:account:api/stage/METHOD/path`.
    method_arn: Option<String>,
    #[serde(default, deserialize_with = "null_is_none")]
    pub(crate) headers: HashMap<String, String>,
    #[serde(default, deserialize_with = "null_is_none")]
    pub(crate) multi_value_headers: HashMap<String, Vec<String>>,
    #[serde(default, deserialize_with = "null_is_none")]
    request_context: RequestContext,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    domain_name: Option<String>,
    stage: Option<String>,
}

fn null_is_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Which form of answer the gateway takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A policy.
    Rest,
    /// The simple answer.
    Http,
}

impl Event {
    pub(crate) fn payload(&self) -> Payload {
        if self.version.as_deref() == Some("2.0") { Payload::Http } else { Payload::Rest }
    }

    /// What an allowing answer is for; `None` where a policy would be needed and the event doesn't say for
    /// which API and stage.
    pub(crate) fn target(&self) -> Option<Target> {
        match self.payload() {
            Payload::Http => Some(Target::Request),
            Payload::Rest => {
                let mut parts = self.method_arn.as_deref()?.splitn(3, '/');
                let (api, stage) = (parts.next()?, parts.next()?);
                let api_is_whole = api.split(':').nth(2) == Some("execute-api") && !api.ends_with(':');
                (api_is_whole && !stage.is_empty() && parts.next().is_some())
                    .then(|| Target::Stage(format!("{api}/{stage}/*")))
            }
        }
    }

    pub(crate) fn domain_and_stage(&self) -> (Option<&str>, Option<&str>) {
        (self.request_context.domain_name.as_deref(), self.request_context.stage.as_deref())
    }
}

/// What an answer allows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The request that was asked for, and no other.
    Request,
    /// Every method of this API's stage, as an ARN: the gateway may keep a policy and ask it again for
    /// another route, so it must be right for all of them.
    Stage(String),
}

/// The answer to an event.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// A REST API's: a policy and what the handler gets to know.
    #[serde(rename_all = "camelCase")]
    Policy {
        /// Who calls, for the access log.
        principal_id: String,
        /// What it allows.
        policy_document: PolicyDocument,
        /// What the handler gets to know. Never a list or an object: the gateway refuses those.
        context: HashMap<&'static str, String>,
    },
    /// An HTTP API's.
    #[serde(rename_all = "camelCase")]
    Simple {
        /// Whether the request may pass.
        is_authorized: bool,
        /// What the handler gets to know; an empty object, never `null`, where nothing.
        context: HashMap<&'static str, String>,
    },
}

/// An IAM policy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: String,
}

impl Answer {
    pub(crate) fn allow(target: Target, verified: &Verified) -> Self {
        let context = HashMap::from([
            (identity::USERNAME, verified.subject.to_string()),
            (identity::SCOPE, verified.scopes.to_string()),
            (identity::SESSION, verified.session.to_string()),
        ]);
        match target {
            Target::Request => Self::Simple { is_authorized: true, context },
            Target::Stage(resource) => Self::Policy {
                principal_id: verified.subject.to_string(),
                policy_document: PolicyDocument {
                    version: "2012-10-17",
                    statement: [Statement { action: "execute-api:Invoke", effect: "Allow", resource }],
                },
                context,
            },
        }
    }

    pub(crate) fn refuse() -> Self {
        Self::Simple { is_authorized: false, context: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(event: &serde_json::Value) -> Option<Target> {
        serde_json::from_value::<Event>(event.clone()).unwrap().target()
    }

    #[test]
    fn a_policy_is_for_the_stage_of_the_request() {
        for (arn, stage) in [
            (
                "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/protected",
                "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/*",
            ),
            ("arn:aws-cn:execute-api:cn-north-1:1:a/v1/POST/a/b", "arn:aws-cn:execute-api:cn-north-1:1:a/v1/*"),
            ("arn:aws:execute-api:eu-west-1:1:a/prod/GET/", "arn:aws:execute-api:eu-west-1:1:a/prod/*"),
        ] {
            let event = json!({ "type": "REQUEST", "methodArn": arn });
            assert_eq!(target(&event), Some(Target::Stage(stage.to_owned())));
        }
    }

    #[test]
    fn without_an_api_and_a_stage_there_is_no_policy() {
        for arn in [
            "",
            "*",
            "arn:aws:execute-api:eu-west-1:1:a",
            "arn:aws:execute-api:eu-west-1:1:a/prod",
            "arn:aws:lambda:eu-west-1:1:a/prod/GET/x",
            "arn:aws:execute-api:eu-west-1:1:/prod/GET/",
            "a//b/c",
        ] {
            assert_eq!(target(&json!({ "methodArn": arn })), None, "{arn}");
        }
        assert_eq!(target(&json!({})), None);
        assert_eq!(target(&json!({ "version": "1.0" })), None);
    }

    #[test]
    fn payload_2_0_gets_the_simple_answer() {
        let event = json!({ "version": "2.0", "type": "REQUEST", "routeArn": "arn:aws:execute-api:eu-west-1:1:a/$default/GET/x" });
        assert_eq!(target(&event), Some(Target::Request));
        let refused = serde_json::to_value(Answer::refuse()).unwrap();
        assert_eq!(refused, json!({ "isAuthorized": false, "context": {} }));
    }
}
