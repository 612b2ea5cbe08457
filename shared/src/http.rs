//! The HTTP contract: the one error shape, JSON answers, and cross-origin requests.

use std::{borrow::Cow, convert::Infallible, future::Future, time::Duration};

use lambda_http::{
    Adapter, Body, LambdaEvent, Request, RequestExt, Response, Service,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    lambda_runtime,
    request::{LambdaRequest, RequestContext},
    service_fn,
};
use serde::Serialize;

use crate::{
    cookie,
    log::{Entry, Log},
    origin::{Origins, Provenance},
    session::ClientHints,
};

/// Seconds after which a client may try again when something of ours is down.
const RETRY_AFTER: u64 = 5;

/// An answer in the one error shape (RFC 6749 section 5.2): `{"error":"…","error_description":"…"}`.
#[derive(Debug)]
pub struct ErrorResponse {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    challenge: Option<&'static str>,
    /// In seconds.
    retry_after: Option<u64>,
}

impl ErrorResponse {
    /// An error with a code of RFC 6749 or 6750 and a description for people.
    #[must_use]
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error, description: description.into(), challenge: None, retry_after: None }
    }

    /// 400: the request is malformed; the description names the field.
    #[must_use]
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// 503: something that the answer needs is down. The cause belongs in the log, not here.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            retry_after: Some(RETRY_AFTER),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "Try again in a few seconds")
        }
    }

    /// 429: the client may try again after that long, a whole number of seconds.
    #[must_use]
    pub fn slow_down(wait: Duration) -> Self {
        Self {
            retry_after: Some(wait.as_secs()),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "slow_down",
                "Too many attempts; Retry-After says when to try again",
            )
        }
    }

    /// The same with another description.
    #[must_use]
    pub fn saying(self, description: &'static str) -> Self {
        Self { description: description.into(), ..self }
    }

    /// The same with a `WWW-Authenticate` header. The gateway renames it to
    /// `x-amzn-Remapped-WWW-Authenticate`.
    #[must_use]
    pub fn with_challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }
}

impl From<ErrorResponse> for Response<Body> {
    fn from(error: ErrorResponse) -> Self {
        #[derive(Serialize)]
        struct Shape<'a> {
            error: &'a str,
            error_description: &'a str,
        }
        let mut response = json(error.status, &Shape { error: error.error, error_description: &error.description });
        let headers = response.headers_mut();
        if let Some(challenge) = error.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = error.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An answer in JSON that no cache keeps.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let Ok(text) = serde_json::to_string(body) else {
        // No type of ours fails to serialise; if one did, this is the answer that says so.
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The domain and the stage that the gateway took the request on.
#[must_use]
pub fn domain_and_stage(request: &Request) -> (Option<&str>, Option<&str>) {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => (context.domain_name.as_deref(), context.stage.as_deref()),
        Some(RequestContext::ApiGatewayV2(context)) => (context.domain_name.as_deref(), context.stage.as_deref()),
        _ => (None, None),
    }
}

/// The identifier that Lambda gave to this call.
#[must_use]
pub fn request_id(request: &Request) -> &str {
    request.lambda_context_ref().map_or("", |context| context.request_id.as_str())
}

/// Who sent the request, as far as the gateway and the client say.
#[must_use]
pub fn client_hints(request: &Request) -> ClientHints {
    /// Longer ones than this are of no use to the person who reads them.
    const USER_AGENT_CHARACTERS: usize = 200;
    let user_agent = header_text(request, header::USER_AGENT)
        .map(|text| text.chars().filter(|char| !char.is_control()).take(USER_AGENT_CHARACTERS).collect::<String>())
        .filter(|text| !text.is_empty());
    ClientHints { address: client_address(request).map(str::to_owned), user_agent }
}

/// The address that the request came from, as the gateway saw it; no header of the client's takes part.
#[must_use]
pub fn client_address(request: &Request) -> Option<&str> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.as_deref(),
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        _ => None,
    }
}

/// A header's value, where it is text.
#[must_use]
pub fn header_text(request: &Request, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Where the request says that it comes from.
#[must_use]
pub fn provenance(request: &Request) -> Provenance<'_> {
    Provenance {
        origin: header_text(request, header::ORIGIN),
        fetch_site: header_text(request, HeaderName::from_static("sec-fetch-site")),
    }
}

/// The value of a cookie of ours that the request carries.
///
/// # Errors
/// [`cookie::Repeated`] where it carries several of that name.
pub fn cookie<'a>(request: &'a Request, name: &str) -> Result<Option<&'a str>, cookie::Repeated> {
    cookie::find(request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()), name)
}

/// Lets pages of the listed origins read our answers, with cookies or without (Fetch standard, "CORS protocol").
#[derive(Clone, Debug, Default)]
pub struct Cors(pub Origins);

impl Cors {
    /// Lets a page of a listed origin read the response; any other origin gets no header at all.
    pub fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // A shared cache must not serve one origin's answer to another.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| origin.to_str().is_ok_and(|origin| self.0.contains(origin))) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
        }
    }

    /// The answer to a preflight request: what a page of a listed origin may send.
    #[must_use]
    pub fn preflight() -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Runs a function behind API Gateway: each request goes to `handler`, what it came to goes to the log, and each answer
/// gets the headers that let pages of `origins` read it. Returns only where the Lambda runtime ends.
///
/// # Errors
/// The Lambda runtime's.
pub async fn run<H, F>(log: Log, origins: Origins, handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(Request) -> F,
    F: Future<Output = (Response<Body>, Entry)> + Send,
{
    let (log, cors, handler) = (&log, &Cors(origins), &handler);
    let mut adapter = Adapter::from(service_fn(move |request: Request| {
        let (request_id, origin) = (request_id(&request).to_owned(), request.headers().get(header::ORIGIN).cloned());
        let answer = handler(request);
        async move {
            let mut response = log.call(&request_id, answer).await;
            cors.allow(origin.as_ref(), response.headers_mut());
            Ok::<_, Infallible>(response)
        }
    }));
    lambda_runtime::run(service_fn(move |mut event: LambdaEvent<LambdaRequest>| {
        forget_address(&mut event.payload);
        adapter.call(event)
    }))
    .await
}

/// Removes what `lambda_http` builds a request's URI from, where it could make none: it panics then, and a client
/// could send such headers. No handler of ours looks at the URI.
fn forget_address(request: &mut LambdaRequest) {
    let forget = |headers: &mut HeaderMap, domain: &mut Option<String>| {
        headers.remove(header::HOST);
        headers.remove("x-forwarded-proto");
        // API Gateway sets the domain; a gateway on a laptop may take it from the client.
        domain.take_if(|domain| {
            domain.is_empty() || !domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte))
        });
    };
    match request {
        LambdaRequest::ApiGatewayV1(event) => {
            forget(&mut event.headers, &mut event.request_context.domain_name);
            forget(&mut event.multi_value_headers, &mut event.request_context.domain_name);
        }
        LambdaRequest::ApiGatewayV2(event) => forget(&mut event.headers, &mut event.request_context.domain_name),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &Cors, origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        cors.allow(Some(&HeaderValue::from_static(origin)), &mut headers);
        headers
    }

    #[test]
    fn an_error_has_the_one_shape() {
        let response = Response::from(ErrorResponse::unavailable().with_challenge("Bearer"));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let Body::Text(body) = response.body() else { panic!("no text") };
        assert_eq!(body, r#"{"error":"temporarily_unavailable","error_description":"Try again in a few seconds"}"#);
    }

    #[test]
    fn only_a_listed_origin_is_allowed() {
        let cors = Cors("https://app.example.com, http://localhost:5173".parse().unwrap());
        for origin in ["https://app.example.com", "http://localhost:5173"] {
            let headers = allowed(&cors, origin);
            assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
            assert_eq!(headers[header::ACCESS_CONTROL_EXPOSE_HEADERS], "Retry-After");
        }
        for origin in ["https://evil.example", "https://app.example.com.evil.example", "null", "http://app.example.com"]
        {
            let headers = allowed(&cors, origin);
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{origin}");
            assert_eq!(headers[header::VARY], "Origin");
        }
        assert!(allowed(&Cors::default(), "https://app.example.com").is_empty());
    }
}
