//! The answers that API Gateway gives by itself: its kinds of refusal, and how the template words them.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::event::Request;
use crate::cloudformation::{GatewayResponse, text};

/// Why the gateway answers in the place of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The policy doesn't allow the call.
    ImplicitDeny,
    /// The policy denies the call.
    ExplicitDeny,
    /// The authorizer's answer makes no sense.
    AuthorizerConfigurationError,
    /// The authorizer failed.
    AuthorizerFailure,
    /// The function couldn't be called.
    IntegrationFailure,
    /// The function took longer than the gateway waits.
    IntegrationTimeout,
    /// The function failed, or its answer makes no sense. API Gateway has no type for this: the
    /// template can only word it as `DEFAULT_5XX`.
    BadGateway,
    /// The API has no such path or method. The name is AWS's: it takes such a call for one that
    /// should have been signed.
    MissingAuthenticationToken,
    /// The body is too large.
    RequestTooLarge,
    /// There are no credentials, or the authorizer doesn't accept them.
    Unauthorized,
}

impl Refusal {
    /// Response type, default status, `x-amzn-ErrorType` and message.
    fn defaults(self) -> (&'static str, StatusCode, &'static str, Option<&'static str>) {
        const INTERNAL: &str = "InternalServerErrorException";
        let forbidden = "User is not authorized to access this resource";
        match self {
            Self::ImplicitDeny => ("ACCESS_DENIED", StatusCode::FORBIDDEN, "AccessDeniedException", Some(forbidden)),
            Self::ExplicitDeny => (
                "ACCESS_DENIED",
                StatusCode::FORBIDDEN,
                "AccessDeniedException",
                Some("User is not authorized to access this resource with an explicit deny"),
            ),
            Self::AuthorizerConfigurationError => (
                "AUTHORIZER_CONFIGURATION_ERROR",
                StatusCode::INTERNAL_SERVER_ERROR,
                "AuthorizerConfigurationException",
                None,
            ),
            Self::AuthorizerFailure => {
                ("AUTHORIZER_FAILURE", StatusCode::INTERNAL_SERVER_ERROR, "AuthorizerFailureException", None)
            }
            // AWS documents 504 for the type, but it answers 500 when Lambda throttles.
            Self::IntegrationFailure => {
                ("INTEGRATION_FAILURE", StatusCode::INTERNAL_SERVER_ERROR, INTERNAL, Some("Internal server error"))
            }
            Self::IntegrationTimeout => {
                ("INTEGRATION_TIMEOUT", StatusCode::GATEWAY_TIMEOUT, INTERNAL, Some("Endpoint request timed out"))
            }
            Self::BadGateway => ("DEFAULT_5XX", StatusCode::BAD_GATEWAY, INTERNAL, Some("Internal server error")),
            Self::MissingAuthenticationToken => (
                "MISSING_AUTHENTICATION_TOKEN",
                StatusCode::FORBIDDEN,
                "MissingAuthenticationTokenException",
                Some("Missing Authentication Token"),
            ),
            Self::RequestTooLarge => (
                "REQUEST_TOO_LARGE",
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestTooLargeException",
                Some("Request Too Long"),
            ),
            Self::Unauthorized => {
                ("UNAUTHORIZED", StatusCode::UNAUTHORIZED, "UnauthorizedException", Some("Unauthorized"))
            }
        }
    }

    /// Words the refusal as the template says: by the response for its type, else by the default for
    /// its class, else as AWS does.
    pub(crate) fn response(
        self,
        worded: &BTreeMap<String, GatewayResponse>,
        request: &Request,
        context: &Value,
    ) -> Response<Body> {
        let (name, status, error_type, message) = self.defaults();
        let class = if status.is_client_error() { "DEFAULT_4XX" } else { "DEFAULT_5XX" };
        let (own, fallback) = (worded.get(name), worded.get(class));
        let status = own
            .and_then(|own| own.status)
            .or_else(|| fallback.and_then(|fallback| fallback.status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(status);
        let unworded = GatewayResponse::default();
        let wording = own.or(fallback).unwrap_or(&unworded);

        let mut context = context.clone();
        context["error"] = serde_json::json!({
            "message": message,
            "messageString": message.map_or("null".to_owned(), |message| format!("\"{message}\"")),
            "responseType": name,
        });
        let (content_type, body) = match wording.templates.get_key_value("application/json") {
            Some((content_type, template)) => (content_type.as_str(), render(template, &context)),
            None => match wording.templates.first_key_value() {
                Some((content_type, template)) => (content_type.as_str(), render(template, &context)),
                None => ("application/json", render(r#"{"message":$context.error.messageString}"#, &context)),
            },
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = [("content-type", content_type.to_owned()), ("x-amzn-errortype", error_type.to_owned())];
        let mapped = wording
            .headers
            .iter()
            .filter_map(|(name, expression)| Some((name.as_str(), map(expression, request, &context)?)));
        for (name, value) in headers.into_iter().chain(mapped) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Puts the values of `$context.…` into a template; what has no value leaves nothing.
fn render(template: &str, context: &Value) -> String {
    let mut output = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        output.push_str(before);
        let is_braced = after.starts_with('{');
        let variable = after.trim_start_matches('{');
        // A full stop that ends the path is text.
        let end = variable.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).unwrap_or(variable.len());
        let path = variable[..end].trim_end_matches('.');
        output.push_str(&look_up(context, path.strip_prefix("context.").unwrap_or(path)).unwrap_or_default());
        rest = &variable[path.len()..];
        if is_braced {
            rest = rest.strip_prefix('}').unwrap_or(rest);
        }
    }
    output + rest
}

/// The value of a mapping expression for a header.
fn map(expression: &str, request: &Request, context: &Value) -> Option<String> {
    if let Some(literal) = expression.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(literal.to_owned());
    }
    match expression.split_once('.')? {
        ("context", path) => look_up(context, path),
        ("method", path) => match path.strip_prefix("request.")?.split_once('.')? {
            ("header", name) => request.header(name).map(str::to_owned),
            ("querystring", name) => request.query_parameter(name).map(str::to_owned),
            _ => None,
        },
        _ => None,
    }
}

/// A scalar in `$context`, `identity.sourceIp` for one.
pub(crate) fn look_up(context: &Value, path: &str) -> Option<String> {
    let value = path.split('.').fold(context, |value, key| &value[key]);
    text(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_take_values_from_the_context() {
        let context = json!({"requestId": "7", "error": {"messageString": "\"no\""}, "authorizer": {"level": 3}});
        for (template, rendered) in [
            (r#"{"error":$context.error.messageString}"#, r#"{"error":"no"}"#),
            ("${context.requestId}.$context.authorizer.level.", "7.3."),
            ("[$context.nothing]", "[]"),
            ("as it is", "as it is"),
        ] {
            assert_eq!(render(template, &context), rendered, "{template}");
        }
    }
}
