//! The events that API Gateway makes of a request: for a proxied function, and for a REQUEST
//! authorizer.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::routes::Matched;
use crate::cloudformation::{ACCOUNT, API_ID, REGION};

/// Request headers that API Gateway doesn't pass to a function.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>
const DROPPED: [&str; 12] = [
    "connection",
    "content-md5",
    "expect",
    "max-forwards",
    "proxy-authenticate",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "www-authenticate",
];

/// A request as the gateway received it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) extended_id: String,
    pub(crate) trace_id: String,
    pub(crate) received: SystemTime,
    pub(crate) source_ip: IpAddr,
    /// `HTTP/1.1`.
    pub(crate) protocol: String,
    pub(crate) method: String,
    /// As sent: percent-encoded, without the stage.
    pub(crate) path: String,
    /// Decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    /// In order, with what API Gateway adds and without what it drops.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// The caller, as the authorizer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) id: String,
    pub(crate) context: BTreeMap<String, String>,
}

impl Request {
    /// The last value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The last value of a query parameter.
    pub(crate) fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The ARN that policies name this call by.
    pub(crate) fn method_arn(&self, stage: &str) -> String {
        let path = self.path.trim_start_matches('/');
        format!("arn:aws:execute-api:{REGION}:{ACCOUNT}:{API_ID}/{stage}/{}/{path}", self.method)
    }

    /// The event's `requestContext`; `$context` in a gateway response.
    pub(crate) fn context(&self, stage: &str, matched: Option<&Matched<'_>>) -> Value {
        let since_epoch = self.received.duration_since(UNIX_EPOCH).unwrap_or_default();
        let domain = self.header("host").unwrap_or_default();
        json!({
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": domain,
            "domainPrefix": domain.split(['.', ':']).next(),
            "extendedRequestId": self.extended_id,
            "httpMethod": self.method,
            "identity": {
                "accessKey": null,
                "accountId": null,
                "caller": null,
                "cognitoAuthenticationProvider": null,
                "cognitoAuthenticationType": null,
                "cognitoIdentityId": null,
                "cognitoIdentityPoolId": null,
                "principalOrgId": null,
                "sourceIp": self.source_ip.to_string(),
                "user": null,
                "userAgent": self.header("user-agent"),
                "userArn": null,
            },
            "path": format!("/{stage}{}", self.path),
            "protocol": self.protocol,
            "requestId": self.id,
            "requestTime": request_time(self.received),
            "requestTimeEpoch": u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            "resourceId": matched.map(|matched| &matched.resource.id),
            "resourcePath": matched.map(|matched| &matched.resource.path),
            "stage": stage,
        })
    }
}

/// The event for the function behind a route.
pub(crate) fn proxy_event(request: &Request, matched: &Matched<'_>, context: &Value) -> Value {
    let mut event = common_parts(request, matched, context);
    let (body, is_base64) = match std::str::from_utf8(&request.body) {
        Ok("") => (None, false),
        Ok(text) => (Some(text.to_owned()), false),
        Err(_) => (Some(STANDARD.encode(&request.body)), true),
    };
    event["body"] = body.into();
    event["isBase64Encoded"] = is_base64.into();
    for name in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters"] {
        // Where an authorizer finds an empty map, a function finds null.
        if event[name].as_object().is_some_and(Map::is_empty) {
            event[name] = Value::Null;
        }
    }
    event["stageVariables"] = Value::Null;
    event
}

/// The event for a REQUEST authorizer.
pub(crate) fn authorizer_event(request: &Request, matched: &Matched<'_>, context: &Value, stage: &str) -> Value {
    let mut event = common_parts(request, matched, context);
    event["type"] = "REQUEST".into();
    event["methodArn"] = request.method_arn(stage).into();
    event["stageVariables"] = json!({});
    event
}

/// Adds the authorizer's answer to a `requestContext`.
pub(crate) fn add_principal(context: &mut Value, principal: &Principal) {
    let mut authorizer = json!(principal.context);
    authorizer["principalId"] = principal.id.as_str().into();
    context["authorizer"] = authorizer;
}

fn common_parts(request: &Request, matched: &Matched<'_>, context: &Value) -> Value {
    let (headers, multi_value_headers) = single_and_multi(&request.headers);
    let (query, multi_value_query) = single_and_multi(&request.query);
    json!({
        "resource": matched.resource.path,
        "path": request.path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": multi_value_headers,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": multi_value_query,
        "pathParameters": matched.parameters,
        "requestContext": context,
    })
}

/// The last value of each name, and all of them.
fn single_and_multi(pairs: &[(String, String)]) -> (BTreeMap<&str, &str>, BTreeMap<&str, Vec<&str>>) {
    let single = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut multi: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in pairs {
        multi.entry(name).or_default().push(value);
    }
    (single, multi)
}

/// The headers that a function sees: the client's, and those that API Gateway adds.
pub(crate) fn request_headers(headers: &HeaderMap, source: IpAddr, port: u16, trace_id: &str) -> Vec<(String, String)> {
    let forwarded = headers.get_all("x-forwarded-for").iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let forwarded: Vec<_> = forwarded.chain([source.to_string().into()]).collect();
    let added = [
        ("x-amzn-trace-id", trace_id.to_owned()),
        ("x-forwarded-for", forwarded.join(", ")),
        ("x-forwarded-port", port.to_string()),
        ("x-forwarded-proto", "http".to_owned()),
    ];
    headers
        .iter()
        .filter(|(name, _)| !DROPPED.contains(&name.as_str()) && !added.iter().any(|(added, _)| name == added))
        .map(|(name, value)| (title_case(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .chain(added.iter().map(|(name, value)| (title_case(name), value.clone())))
        .collect()
}

/// `user-agent` to `User-Agent`. API Gateway keeps the client's own case, which hyper has lost by
/// now; this is the case that most HTTP/1.1 clients write.
fn title_case(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(usize::from(!word.is_empty()));
            first.to_ascii_uppercase() + rest
        })
        .collect::<Vec<_>>()
        .join("-")
}

/// Takes a query string apart, `+` and percent-encoding decoded.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Undoes percent-encoding; what isn't UTF-8 then is replaced.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `09/Apr/2015:12:34:56 +0000`, the format of Apache's log.
fn request_time(time: SystemTime) -> String {
    let date = httpdate::fmt_http_date(time);
    match date.split_whitespace().collect::<Vec<_>>()[..] {
        [_, day, month, year, time, _] => format!("{day}/{month}/{year}:{time} +0000"),
        _ => date,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use axum::http::{HeaderName, HeaderValue};

    use super::super::routes::Routes;
    use super::*;
    use crate::cloudformation::Route;

    fn headers(pairs: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        request_headers(
            &pairs.collect::<Vec<_>>().into_iter().fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            }),
            Ipv4Addr::LOCALHOST.into(),
            3000,
            "Root=1",
        )
    }

    fn request(path: &str, query: &str, pairs: &[(&'static str, &'static str)], body: &'static [u8]) -> Request {
        Request {
            id: "id".to_owned(),
            extended_id: "extended".to_owned(),
            trace_id: "Root=1".to_owned(),
            received: UNIX_EPOCH + Duration::from_millis(1_428_582_896_789),
            source_ip: Ipv4Addr::LOCALHOST.into(),
            protocol: "HTTP/1.1".to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: parse_query(query),
            headers: headers(pairs),
            body: Bytes::from_static(body),
        }
    }

    fn event(request: &Request) -> Value {
        let route = |path: &str| Route {
            path: path.to_owned(),
            method: "ANY".to_owned(),
            function: "echo".to_owned(),
            authorizer: None,
        };
        let routes = Routes::new(&[route("/"), route("/users/{username}")]).unwrap();
        let matched = routes.find("GET", &request.path).unwrap();
        let context = request.context("prod", Some(&matched));
        proxy_event(request, &matched, &context)
    }

    #[test]
    fn names_and_values_are_decoded() {
        let event = event(&request("/users/ann%40example.com", "a=1&a=2%2B2&b+c=&d", &[], b""));
        assert_eq!(event["path"], "/users/ann%40example.com");
        assert_eq!(event["resource"], "/users/{username}");
        assert_eq!(event["pathParameters"], json!({"username": "ann@example.com"}));
        assert_eq!(event["queryStringParameters"], json!({"a": "2+2", "b c": "", "d": ""}));
        assert_eq!(event["multiValueQueryStringParameters"], json!({"a": ["1", "2+2"], "b c": [""], "d": [""]}));
    }

    #[test]
    fn what_is_absent_is_null() {
        let event = event(&request("/", "", &[], b""));
        for name in ["body", "pathParameters", "queryStringParameters", "multiValueQueryStringParameters"] {
            assert!(event[name].is_null(), "{name}");
        }
        assert_eq!(event["isBase64Encoded"], false);
    }

    #[test]
    fn repeated_headers_keep_every_value() {
        let event = event(&request("/", "", &[("cookie", "a=1"), ("cookie", "b=2"), ("te", "gzip")], b""));
        assert_eq!(event["headers"]["Cookie"], "b=2");
        assert_eq!(event["multiValueHeaders"]["Cookie"], json!(["a=1", "b=2"]));
        assert!(event["headers"]["Te"].is_null());
    }

    #[test]
    fn the_client_is_added_to_the_forwarded_addresses() {
        let headers = headers(&[("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "https")]);
        assert!(headers.contains(&("X-Forwarded-For".to_owned(), "10.0.0.1, 127.0.0.1".to_owned())));
        assert!(headers.contains(&("X-Forwarded-Proto".to_owned(), "http".to_owned())));
    }

    #[test]
    fn a_body_is_text_unless_it_cannot_be() {
        for (body, expected, is_base64) in [(&b"caf\xc3\xa9"[..], "caf\u{e9}", false), (&b"\xff\xfe"[..], "//4=", true)]
        {
            let event = event(&request("/", "", &[("content-type", "text/plain")], body));
            assert_eq!((&event["body"], &event["isBase64Encoded"]), (&expected.into(), &is_base64.into()));
        }
    }

    #[test]
    fn the_context_tells_when_where_and_who() {
        let request = request("/", "", &[("host", "api.example.com"), ("user-agent", "curl")], b"");
        let context = &event(&request)["requestContext"];
        assert_eq!(context["requestTime"], "09/Apr/2015:12:34:56 +0000");
        assert_eq!(context["requestTimeEpoch"], 1_428_582_896_789_u64);
        assert_eq!(context["path"], "/prod/");
        assert_eq!((&context["domainName"], &context["domainPrefix"]), (&"api.example.com".into(), &"api".into()));
        assert_eq!(context["identity"]["sourceIp"], "127.0.0.1");
        assert_eq!(context["identity"]["userAgent"], "curl");
        assert_eq!(request.method_arn("prod"), "arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/");
    }
}
