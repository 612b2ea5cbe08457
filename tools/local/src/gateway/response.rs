//! Makes a response of a function's answer.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::cloudformation::text;

/// Response headers of a function that API Gateway sends under another name.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>
const REMAPPED: [&str; 8] =
    ["authorization", "connection", "content-md5", "date", "max-forwards", "server", "user-agent", "www-authenticate"];
/// Response headers of a function that API Gateway doesn't send.
const DROPPED: [&str; 9] =
    ["content-length", "expect", "host", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "via"];

/// Turns a function's answer into a response; `None` where it's malformed.
///
/// A body in base64 is sent as it is: API Gateway decodes it only for an API with binary media types.
pub(super) fn proxy_response(payload: &[u8]) -> Option<Response<Body>> {
    let answer: Value = serde_json::from_slice(payload).ok()?;
    let answer = answer.as_object()?;
    let status = match answer.get("statusCode")? {
        Value::String(status) => status.parse().ok()?,
        status => u16::try_from(status.as_u64()?).ok()?,
    };
    let status = StatusCode::from_u16(status).ok().filter(|status| (200..600).contains(&status.as_u16()))?;
    let headers = response_headers(answer.get("headers"), answer.get("multiValueHeaders"))?;
    let body = match answer.get("body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(body)) => body.clone(),
        Some(_) => return None,
    };
    match answer.get("isBase64Encoded") {
        None | Some(Value::Null | Value::Bool(_)) => {}
        Some(_) => return None,
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some(response)
}

/// Merges the two maps: where both have a name, the list counts. Renames what API Gateway renames.
fn response_headers(single: Option<&Value>, multi: Option<&Value>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in entries(single)? {
        let name = sent_name(name)?;
        headers.extend(name.zip(Some(header_value(value)?)));
    }
    for (name, values) in entries(multi)? {
        let Some(name) = sent_name(name)? else { continue };
        headers.remove(&name);
        for value in values.as_array()? {
            headers.append(name.clone(), header_value(value)?);
        }
    }
    headers.entry("content-type").or_insert(HeaderValue::from_static("application/json"));
    Some(headers)
}

fn entries(map: Option<&Value>) -> Option<Vec<(&String, &Value)>> {
    match map {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(map) => Some(map.as_object()?.iter().collect()),
    }
}

/// The name a header goes by; `Some(None)` where it isn't sent.
#[expect(clippy::option_option, reason = "a name may be malformed, and a header may be dropped")]
fn sent_name(name: &str) -> Option<Option<HeaderName>> {
    let lower = name.to_ascii_lowercase();
    if DROPPED.contains(&lower.as_str()) {
        return Some(None);
    }
    let sent = if REMAPPED.contains(&lower.as_str()) { format!("x-amzn-remapped-{lower}") } else { lower };
    Some(Some(HeaderName::try_from(sent).ok()?))
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    HeaderValue::try_from(text(value)?).ok()
}
