//! The gateway's events and the answers to them, as far as they matter here.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html> and
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use shared::{
    access_token::Verified,
    lambda::{
        GatewayRequest,
        caller::{Caller, Context},
    },
    origin::Provenance,
};

use crate::routes::Requested;

/// A `REQUEST` authorizer's event, of a REST API or of an HTTP API in payload version 1.0 or 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct Event<'a> {
    version: Option<Text<'a>>,
    /// The ARN that a REST API wants a policy for: `arn:…:execute-api:region:account:api/stage/METHOD/path`.
    method_arn: Option<Text<'a>>,
    /// The method, as a REST API has it.
    http_method: Option<Text<'a>>,
    /// The path of the route, as the template writes it and a REST API has it.
    resource: Option<Text<'a>>,
    /// The path of the request, as a REST API has it.
    path: Option<Text<'a>>,
    /// The route, as an HTTP API has it: `GET /users/{username}`, or `$default`.
    route_key: Option<Text<'a>>,
    /// The path of the request, as an HTTP API has it.
    raw_path: Option<Text<'a>>,
    #[serde(default, deserialize_with = "null_is_none")]
    headers: Headers<Text<'a>>,
    #[serde(default, deserialize_with = "null_is_none")]
    multi_value_headers: Headers<Vec<Text<'a>>>,
    /// The cookies, as payload 2.0 has them.
    #[serde(default, deserialize_with = "null_is_none")]
    cookies: Vec<Text<'a>>,
    #[serde(default, deserialize_with = "null_is_none")]
    request_context: RequestContext<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct RequestContext<'a> {
    domain_name: Option<Text<'a>>,
    stage: Option<Text<'a>>,
    request_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "null_is_none")]
    identity: Identity<'a>,
    #[serde(default, deserialize_with = "null_is_none")]
    http: HttpContext<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Identity<'a> {
    /// The address that the request came from, as a REST API has it.
    source_ip: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct HttpContext<'a> {
    /// The method, as an HTTP API has it.
    method: Option<Text<'a>>,
    /// The address that the request came from, as an HTTP API has it.
    source_ip: Option<Text<'a>>,
}

/// A text of the event, borrowed from it unless there is an escape in it.
#[derive(Debug, PartialEq, Eq)]
struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Borrowed<'a> {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowed(PhantomData))
    }
}

/// A header that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Authorization,
    Cookie,
    Origin,
    SecFetchSite,
}

impl Name {
    const ALL: [Self; 4] = [Self::Authorization, Self::Cookie, Self::Origin, Self::SecFetchSite];

    fn text(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::Origin => "origin",
            Self::SecFetchSite => "sec-fetch-site",
        }
    }
}

/// The headers that are looked at, in whatever case their names came. The gateway sends some thirty: of the others nothing
/// is kept, since copying them would take as long as all the rest.
struct Headers<V>(Vec<(Name, V)>);

impl<V> Headers<V> {
    fn values(&self, name: Name) -> impl Iterator<Item = &V> + Clone {
        self.0.iter().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }
}

impl<V> Default for Headers<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Headers<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Headers<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers<V>, A::Error> {
                let mut headers = Headers::default();
                while let Some(KnownName(name)) = map.next_key()? {
                    match name {
                        Some(name) => headers.0.push((name, map.next_value()?)),
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// The name of a header, where it is one that is looked at.
struct KnownName(Option<Name>);

impl<'de> Deserialize<'de> for KnownName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = KnownName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header's name")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<KnownName, E> {
                Ok(KnownName(Name::ALL.into_iter().find(|name| name.text().eq_ignore_ascii_case(text))))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A header that a request should have at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header<'a> {
    Absent,
    Single(&'a str),
    Repeated,
}

impl<'a> Header<'a> {
    /// The value; of a repeated header the empty text, which is never a right value.
    pub(crate) fn value(self) -> Option<&'a str> {
        match self {
            Self::Absent => None,
            Self::Single(value) => Some(value),
            Self::Repeated => Some(""),
        }
    }
}

fn null_is_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The form of answer that the gateway takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A policy.
    Rest,
    /// The simple answer.
    Http,
}

impl Event<'_> {
    pub(crate) fn payload(&self) -> Payload {
        if self.version.as_deref() == Some("2.0") { Payload::Http } else { Payload::Rest }
    }

    /// Which request of the gateway's it is for.
    pub(crate) fn gateway_request(&self) -> GatewayRequest {
        let RequestContext { request_id, identity, http, .. } = &self.request_context;
        let owned = |text: &Option<Text<'_>>| text.as_deref().map(str::to_owned);
        GatewayRequest::new(owned(request_id), owned(&identity.source_ip).or_else(|| owned(&http.source_ip)))
    }

    /// What the answer is about; `None` where a policy would be needed and the event doesn't say for which request of
    /// which API and stage.
    pub(crate) fn target(&self) -> Option<Target<'_>> {
        match self.payload() {
            Payload::Http => Some(Target::Unnamed),
            Payload::Rest => {
                let arn = self.method_arn.as_deref()?;
                let mut parts = arn.splitn(3, '/');
                let (api, stage) = (parts.next()?, parts.next()?);
                let api_is_whole = api.split(':').nth(2) == Some("execute-api") && !api.ends_with(':');
                (api_is_whole && !stage.is_empty() && parts.next().is_some()).then_some(Target::Arn(arn))
            }
        }
    }

    /// The header of this name, whatever case the client has sent it in.
    ///
    /// A REST API sends each header twice, as its last value and as the list of all.
    pub(crate) fn header(&self, name: Name) -> Header<'_> {
        let mut single = self.headers.values(name).map(Deref::deref);
        let mut multiple = self.multi_value_headers.values(name).flatten().map(Deref::deref);
        match ((single.next(), single.next()), (multiple.next(), multiple.next())) {
            ((None, _), (None, _)) => Header::Absent,
            ((Some(value), None), (None, _)) | ((None, _), (Some(value), None)) => Header::Single(value),
            ((Some(one), None), (Some(other), None)) if one == other => Header::Single(one),
            _ => Header::Repeated,
        }
    }

    /// The request's cookies, each text holding one or more of them.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &str> {
        let multiple = self.multi_value_headers.values(Name::Cookie).flatten();
        // The single form is the last of the others.
        let is_last = multiple.clone().next().is_some();
        let single = self.headers.values(Name::Cookie).filter(move |_| !is_last);
        self.cookies.iter().chain(single).chain(multiple).map(Deref::deref)
    }

    /// Whether the method only reads (RFC 9110 section 9.2.1). Without a method it counts as one that may write.
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self.method(), Some("GET" | "HEAD" | "OPTIONS"))
    }

    fn method(&self) -> Option<&str> {
        self.http_method.as_deref().or(self.request_context.http.method.as_deref())
    }

    /// The request, as far as routes are matched by it.
    pub(crate) fn requested(&self) -> Requested<'_> {
        let (route, path) = match self.payload() {
            Payload::Rest => (self.resource.as_deref(), self.path.as_deref()),
            Payload::Http => {
                let route = self.route_key.as_deref().and_then(|key| key.split_once(' '));
                (route.map(|(_, path)| path), self.raw_path.as_deref())
            }
        };
        Requested { method: self.method(), route, path }
    }

    /// The page that made the request, as the request's headers name it.
    pub(crate) fn provenance(&self) -> Provenance<'_> {
        Provenance { origin: self.header(Name::Origin).value(), fetch_site: self.header(Name::SecFetchSite).value() }
    }

    pub(crate) fn domain_and_stage(&self) -> (Option<&str>, Option<&str>) {
        (self.request_context.domain_name.as_deref(), self.request_context.stage.as_deref())
    }
}

/// What an answer is about: the request that was asked for, and no other. A gateway that keeps an answer keeps it for
/// the token, the method and the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A REST API's request, by the ARN that its policy is for.
    Arn(&'a str),
    /// An HTTP API's, whose answer doesn't name it.
    Unnamed,
}

impl Target<'_> {
    /// Whether a policy can allow it and nothing else. In a policy's resource `*` and `?` stand for other characters, and
    /// `${` begins a variable, wherever a client wrote them.
    pub(crate) fn can_be_named(self) -> bool {
        match self {
            Self::Arn(arn) => !arn.contains(['*', '?']) && !arn.contains("${"),
            Self::Unnamed => true,
        }
    }
}

/// The answer to an event.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// A REST API's: a policy and what the handler gets to know.
    #[serde(rename_all = "camelCase")]
    Policy {
        /// The caller's name, for the access log.
        principal_id: String,
        /// The policy.
        policy_document: PolicyDocument,
        /// The context for the handler. Its values are text: the gateway refuses lists and objects.
        context: Context,
    },
    /// An HTTP API's.
    #[serde(rename_all = "camelCase")]
    Simple {
        /// Whether the request may pass.
        is_authorized: bool,
        /// The context for the handler; an empty object, never `null`, in a refusal.
        context: Context,
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
    resource: [String; 1],
}

impl Answer {
    /// Lets the holder of a token through.
    pub(crate) fn allow(target: Target<'_>, verified: &Verified) -> Self {
        match target {
            Target::Arn(arn) => Self::policy(verified, "Allow", arn),
            Target::Unnamed => Self::Simple { is_authorized: true, context: Caller::context(verified) },
        }
    }

    /// Refuses the holder of a token.
    pub(crate) fn forbid(target: Target<'_>, verified: &Verified) -> Self {
        match target {
            Target::Arn(arn) => Self::policy(verified, "Deny", arn),
            Target::Unnamed => Self::refuse(),
        }
    }

    /// Refuses a request that has no valid token, which an HTTP API takes for an answer.
    pub(crate) fn refuse() -> Self {
        Self::Simple { is_authorized: false, context: Context::new() }
    }

    fn policy(verified: &Verified, effect: &'static str, arn: &str) -> Self {
        let statement = Statement { action: "execute-api:Invoke", effect, resource: [arn.to_owned()] };
        Self::Policy {
            principal_id: verified.subject.as_str().to_owned(),
            policy_document: PolicyDocument { version: "2012-10-17", statement: [statement] },
            context: Caller::context(verified),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Tests may leak: an event borrows from its text.
    fn event(value: &serde_json::Value) -> Event<'static> {
        serde_json::from_str(value.to_string().leak()).unwrap()
    }

    #[test]
    fn texts_are_borrowed_unless_they_are_escaped() {
        let text = r#"{"httpMethod":"GET","path":"/caf\u00e9","headers":{"Origin":"https:\/\/a.example"}}"#;
        let event: Event<'_> = serde_json::from_slice(text.as_bytes()).unwrap();
        assert!(matches!(event.http_method, Some(Text(Cow::Borrowed("GET")))));
        assert_eq!(event.path.as_deref(), Some("/café"));
        assert_eq!(event.provenance().origin, Some("https://a.example"));
    }

    #[test]
    fn only_methods_that_read_are_safe_in_either_payload() {
        for (method, safe) in [("GET", true), ("HEAD", true), ("OPTIONS", true), ("POST", false), ("get", false)] {
            assert_eq!(event(&json!({ "httpMethod": method })).is_safe(), safe, "{method}");
            assert_eq!(event(&json!({ "requestContext": { "http": { "method": method } } })).is_safe(), safe);
        }
        assert!(!event(&json!({})).is_safe());
    }

    #[test]
    fn a_repeated_origin_is_none_that_is_allowed() {
        let repeated = event(&json!({ "multiValueHeaders": { "Origin": ["https://a.example", "https://a.example"] } }));
        assert_eq!(repeated.provenance().origin, Some(""));
        let single = event(&json!({ "headers": { "ORIGIN": "https://a.example" } }));
        assert_eq!(single.provenance().origin, Some("https://a.example"));
        assert!(event(&json!({})).provenance().is_silent());
    }

    #[test]
    fn what_is_asked_for_is_read_from_either_payload() {
        let rest = json!({
            "resource": "/users/{name}", "path": "/users/ann", "httpMethod": "GET", "routeKey": "$default", "rawPath": "/x",
        });
        let http = json!({
            "version": "2.0", "routeKey": "ANY /users/{name}", "rawPath": "/users/ann", "resource": "/x", "path": "/x",
            "requestContext": { "http": { "method": "GET" } },
        });
        for event in [event(&rest), event(&http)] {
            let requested = event.requested();
            assert_eq!(requested.method, Some("GET"));
            assert_eq!((requested.route, requested.path), (Some("/users/{name}"), Some("/users/ann")));
        }
        let default = event(&json!({ "version": "2.0", "routeKey": "$default", "rawPath": "/users/ann" }));
        assert_eq!((default.requested().route, default.requested().path), (None, Some("/users/ann")));
        let nothing = event(&json!({ "version": "2.0" }));
        assert_eq!(
            (nothing.requested().method, nothing.requested().route, nothing.requested().path),
            (None, None, None)
        );
    }

    #[test]
    fn the_gateways_request_is_read_from_either_payload() {
        let expected = GatewayRequest::new(Some("41b45ea3".to_owned()), Some("192.0.2.1".to_owned()));
        for context in [
            json!({ "requestId": "41b45ea3", "identity": { "sourceIp": "192.0.2.1", "userAgent": null } }),
            json!({ "requestId": "41b45ea3", "http": { "sourceIp": "192.0.2.1", "method": "GET" } }),
        ] {
            assert_eq!(event(&json!({ "requestContext": context })).gateway_request(), expected);
        }
        assert_eq!(event(&json!({})).gateway_request(), GatewayRequest::default());
    }

    #[test]
    fn a_policy_is_for_the_request_that_was_asked() {
        for arn in [
            "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/protected",
            "arn:aws-cn:execute-api:cn-north-1:1:a/v1/POST/a/b",
            "arn:aws:execute-api:eu-west-1:1:a/prod/GET/",
            "arn:aws:execute-api:eu-west-1:1:a/$default/GET/a%2Ab/$metadata",
        ] {
            let event = event(&json!({ "type": "REQUEST", "methodArn": arn }));
            assert_eq!(event.target(), Some(Target::Arn(arn)));
            assert!(Target::Arn(arn).can_be_named(), "{arn}");
        }
    }

    #[test]
    fn what_a_policy_takes_for_more_than_itself_is_not_named() {
        for path in ["*", "users/*", "users/ann?", "a*b", "users/${aws:username}"] {
            let arn = format!("arn:aws:execute-api:eu-west-1:1:a/prod/GET/{path}");
            assert!(!Target::Arn(&arn).can_be_named(), "{arn}");
        }
        assert!(Target::Unnamed.can_be_named());
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
            assert_eq!(event(&json!({ "methodArn": arn })).target(), None, "{arn}");
        }
        assert_eq!(event(&json!({})).target(), None);
        assert_eq!(event(&json!({ "version": "1.0" })).target(), None);
    }

    #[test]
    fn payload_2_0_gets_the_simple_answer() {
        let arn = "arn:aws:execute-api:eu-west-1:1:a/$default/GET/x";
        let event = event(&json!({ "version": "2.0", "type": "REQUEST", "routeArn": arn }));
        assert_eq!(event.target(), Some(Target::Unnamed));
        let refused = serde_json::to_value(Answer::refuse()).unwrap();
        assert_eq!(refused, json!({ "isAuthorized": false, "context": {} }));
    }
}
