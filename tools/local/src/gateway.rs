//! The REST API over HTTP: route, authorizer, function, answer, as API Gateway does it where a
//! client or a function can tell.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::event::{
    Principal, Request, add_principal, authorizer_event, is_binary, parse_query, proxy_event, request_headers,
};
use crate::function::{Call, Function, Invocation};
use crate::logs::LogSink;
use crate::policy::{Decision, evaluate};
use crate::refusal::{Refusal, look_up};
use crate::routes::{Matched, Routes};
use crate::template::{Authorizer, GatewayResponse, IdentitySource, Template};

/// The largest request body, in bytes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How much of a larger one is read before it's refused: a client that is cut off while it sends
/// doesn't see the answer.
const READ_LIMIT: usize = 2 * BODY_LIMIT;

/// Response headers of a function that API Gateway sends under another name.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>
const REMAPPED: [&str; 8] =
    ["authorization", "connection", "content-md5", "date", "max-forwards", "server", "user-agent", "www-authenticate"];
/// Response headers of a function that API Gateway doesn't send.
const DROPPED: [&str; 9] =
    ["content-length", "expect", "host", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "via"];

/// The gateway for one API.
pub(crate) struct Gateway {
    stage: String,
    port: u16,
    binary_media_types: Vec<String>,
    routes: Routes,
    authorizers: BTreeMap<String, Authorizer>,
    worded: BTreeMap<String, GatewayResponse>,
    functions: Arc<BTreeMap<String, Arc<Function>>>,
    /// Results that are kept, with the moment when they lapse.
    authorized: Mutex<HashMap<Caller, (Instant, Authorization)>>,
    log: LogSink,
}

/// Whom a kept result is for: the authorizer's name and the values of its identity sources.
type Caller = (String, Vec<String>);

/// An authorizer's answer.
#[derive(Clone, Debug)]
struct Authorization {
    principal: Principal,
    policy: Value,
}

impl Gateway {
    pub(crate) fn new(
        template: Template,
        routes: Routes,
        port: u16,
        functions: Arc<BTreeMap<String, Arc<Function>>>,
        log: LogSink,
    ) -> Self {
        Self {
            stage: template.stage,
            port,
            binary_media_types: template.binary_media_types,
            routes,
            authorizers: template.authorizers,
            worded: template.gateway_responses,
            functions,
            authorized: Mutex::default(),
            log,
        }
    }

    /// Serves `listener` until the task is aborted.
    pub(crate) fn serve(self, listener: TcpListener) -> JoinHandle<()> {
        let service = Router::new()
            .fallback(handle)
            .with_state(Arc::new(self))
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        tokio::spawn(async move { drop(axum::serve(listener, service).await) })
    }

    /// The function's answer; `context` grows on the way, for the wording of a refusal.
    async fn answer(&self, request: &Request, context: &mut Value) -> Result<Response<Body>, Refusal> {
        if request.body.len() > BODY_LIMIT {
            return Err(Refusal::RequestTooLarge);
        }
        let matched = self.routes.find(&request.method, &request.path).ok_or(Refusal::MissingAuthenticationToken)?;
        *context = request.context(&self.stage, Some(&matched));
        if let Some(name) = &matched.target.authorizer {
            self.authorize(name, request, &matched, context).await?;
        }
        let event = proxy_event(request, &matched, context, &self.binary_media_types);
        let call = self.invoke(&matched.target.function, request, &event);
        let Ok(invocation) = tokio::time::timeout(matched.target.limit, call).await else {
            return Err(Refusal::IntegrationTimeout);
        };
        match invocation {
            Invocation::Response(payload) => self.proxy_response(&payload, request).ok_or_else(|| {
                self.log.line("gateway", &format!("{} gave a malformed answer", matched.target.function));
                Refusal::BadGateway
            }),
            Invocation::Throttled | Invocation::NotFound => Err(Refusal::IntegrationFailure),
            Invocation::TooLarge => Err(Refusal::RequestTooLarge),
            Invocation::Error(_) | Invocation::TimedOut | Invocation::Crashed(_) => Err(Refusal::BadGateway),
        }
    }

    async fn authorize(
        &self,
        name: &str,
        request: &Request,
        matched: &Matched<'_>,
        context: &mut Value,
    ) -> Result<(), Refusal> {
        let authorizer = self.authorizers.get(name).ok_or(Refusal::AuthorizerConfigurationError)?;
        let identity: Option<Vec<String>> =
            authorizer.identity.iter().map(|source| identity(source, request, context)).collect();
        let key = (name.to_owned(), identity.ok_or(Refusal::Unauthorized)?);
        let authorization = if let Some(authorization) = self.remembered(&key) {
            authorization
        } else {
            let event = authorizer_event(request, matched, context, &self.stage);
            let authorization = self.ask(&authorizer.function, request, &event).await?;
            self.remember(key, authorizer.reauthorize_every, &authorization);
            authorization
        };
        add_principal(context, &authorization.principal);
        match evaluate(&authorization.policy, &request.method_arn(&self.stage)) {
            Ok(Decision::Allow) => Ok(()),
            Ok(Decision::ExplicitDeny) => Err(Refusal::ExplicitDeny),
            Ok(Decision::ImplicitDeny) => Err(Refusal::ImplicitDeny),
            Err(error) => {
                self.log.line("gateway", &error.to_string());
                Err(Refusal::AuthorizerConfigurationError)
            }
        }
    }

    /// What the authorizer says of the event.
    async fn ask(&self, authorizer: &str, request: &Request, event: &Value) -> Result<Authorization, Refusal> {
        match self.invoke(authorizer, request, event).await {
            Invocation::Response(payload) => authorization(&payload).ok_or_else(|| {
                self.log.line("gateway", &format!("{authorizer} gave a malformed answer"));
                Refusal::AuthorizerConfigurationError
            }),
            Invocation::Error(error) if error.error_message == "Unauthorized" => Err(Refusal::Unauthorized),
            _ => Err(Refusal::AuthorizerFailure),
        }
    }

    fn remembered(&self, key: &Caller) -> Option<Authorization> {
        let mut authorized = self.authorized.lock().unwrap_or_else(PoisonError::into_inner);
        authorized.retain(|_, (until, _)| *until > Instant::now());
        authorized.get(key).map(|(_, authorization)| authorization.clone())
    }

    fn remember(&self, key: Caller, for_how_long: Duration, authorization: &Authorization) {
        if !for_how_long.is_zero() {
            let mut authorized = self.authorized.lock().unwrap_or_else(PoisonError::into_inner);
            authorized.insert(key, (Instant::now() + for_how_long, authorization.clone()));
        }
    }

    async fn invoke(&self, function: &str, request: &Request, event: &Value) -> Invocation {
        let Some(function) = self.functions.get(function) else { return Invocation::NotFound };
        let payload = Bytes::from(event.to_string());
        let call = Call { request_id: crate::random_uuid(), trace_id: request.trace_id.clone(), payload };
        function.invoke(call).await
    }

    /// Turns a function's answer into a response; `None` where it's malformed.
    fn proxy_response(&self, payload: &[u8], request: &Request) -> Option<Response<Body>> {
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
        let is_base64 = match answer.get("isBase64Encoded") {
            None | Some(Value::Null) => false,
            Some(flag) => flag.as_bool()?,
        };
        // API Gateway decodes a body only for a client that accepts one of the API's binary types.
        let body = if is_base64 && is_binary(request.header("accept"), &self.binary_media_types) {
            Bytes::from(STANDARD.decode(body).ok()?)
        } else {
            Bytes::from(body)
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Some(response)
    }
}

async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Response<Body> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let trace_id = head
        .headers
        .get("x-amzn-trace-id")
        .and_then(|value| value.to_str().ok())
        .map_or_else(crate::random_trace_id, str::to_owned);
    let received = crate::now();
    let (body, is_whole) = match axum::body::to_bytes(body, READ_LIMIT).await {
        Ok(body) => (body, true),
        Err(_) => (Bytes::new(), false),
    };
    let request = Request {
        id: crate::random_uuid(),
        extended_id: crate::random_extended_id(),
        received,
        source_ip: client.ip().to_canonical(),
        protocol: format!("{:?}", head.version),
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: parse_query(head.uri.query().unwrap_or_default()),
        headers: request_headers(&head.headers, client.ip().to_canonical(), gateway.port, &trace_id),
        trace_id,
        body,
    };
    let mut context = request.context(&gateway.stage, None);
    let outcome = if is_whole { gateway.answer(&request, &mut context).await } else { Err(Refusal::RequestTooLarge) };
    let mut response = outcome.unwrap_or_else(|refusal| refusal.response(&gateway.worded, &request, &context));
    for (name, value) in [
        ("x-amzn-requestid", &request.id),
        ("x-amz-apigw-id", &request.extended_id),
        ("x-amzn-trace-id", &request.trace_id),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    // Without the query: it may carry what nobody should read.
    let (method, path, status) = (&request.method, &request.path, response.status().as_u16());
    gateway.log.line("gateway", &format!("{method} {path} {status} {} ms", began.elapsed().as_millis()));
    response
}

/// The value of an identity source; `None` where it's missing or empty.
fn identity(source: &IdentitySource, request: &Request, context: &Value) -> Option<String> {
    let value = match source {
        IdentitySource::Header(name) => request.header(name).map(str::to_owned),
        IdentitySource::Query(name) => request.query_parameter(name).map(str::to_owned),
        IdentitySource::Context(path) => look_up(context, path),
    };
    value.filter(|value| !value.is_empty())
}

/// Reads an authorizer's answer; `None` where it's malformed.
fn authorization(payload: &[u8]) -> Option<Authorization> {
    let answer: Value = serde_json::from_slice(payload).ok()?;
    let mut context = BTreeMap::new();
    match answer.get("context") {
        None | Some(Value::Null) => {}
        Some(values) => {
            for (key, value) in values.as_object()? {
                context.insert(key.clone(), crate::intrinsics::text(value)?);
            }
        }
    }
    let policy = answer.get("policyDocument").filter(|policy| policy.is_object())?.clone();
    Some(Authorization { principal: Principal { id: answer["principalId"].as_str()?.to_owned(), context }, policy })
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
    HeaderValue::try_from(crate::intrinsics::text(value)?).ok()
}
