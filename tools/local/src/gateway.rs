//! The REST API over HTTP: route, authorizer, function, answer, as API Gateway does it where a
//! client or a function can tell.

mod authorization;
mod event;
mod handling;
mod policy;
mod refusal;
mod response;
mod routes;
mod sockets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderValue, Response};
use axum::serve::ListenerExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::authorization::{Authorization, Kept, identity};
use self::event::{Request, add_principal, authorizer_event, parse_query, proxy_event, request_headers};
use self::handling::Handling;
use self::policy::{Decision, evaluate};
use self::refusal::Refusal;
use self::response::proxy_response;
use self::routes::{Matched, Routes};
use crate::cloudformation::{Authorizer, GatewayResponse, Template, TemplateError};
use crate::lambda::{Call, Function, Invocation};
use crate::log::LogSink;

pub(crate) use self::sockets::Sockets;

/// The largest request body, in bytes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How much of a larger body is read before it's refused: a client that is cut off while it sends
/// doesn't see the answer.
const READ_LIMIT: usize = 2 * BODY_LIMIT;

/// The gateway for one API.
pub(crate) struct Gateway {
    stage: String,
    port: u16,
    /// How long it waits for a function.
    limit: Duration,
    routes: Routes,
    authorizers: BTreeMap<String, Authorizer>,
    worded: BTreeMap<String, GatewayResponse>,
    functions: Arc<BTreeMap<String, Arc<Function>>>,
    authorized: Kept,
    log: LogSink,
}

impl Gateway {
    /// The gateway for the template's API, whose URL has this port.
    ///
    /// # Errors
    /// The routes can't be told apart.
    pub(crate) fn new(
        template: Template,
        port: u16,
        limit: Duration,
        functions: Arc<BTreeMap<String, Arc<Function>>>,
        log: LogSink,
    ) -> Result<Self, TemplateError> {
        Ok(Self {
            routes: Routes::new(&template.routes)?,
            stage: template.stage,
            port,
            limit,
            authorizers: template.authorizers,
            worded: template.gateway_responses,
            functions,
            authorized: Kept::default(),
            log,
        })
    }

    /// Serves `listener` until the task is aborted.
    pub(crate) fn serve(self: &Arc<Self>, listener: TcpListener) -> JoinHandle<()> {
        let service = Router::new()
            .fallback(handle)
            .with_state(Arc::clone(self))
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        tokio::spawn(async move { drop(axum::serve(listener, service).await) })
    }

    /// The function's answer; `context` grows on the way, for the wording of a refusal.
    async fn answer(
        &self,
        request: &Request,
        context: &mut Value,
        handling: &mut Handling,
    ) -> Result<Response<Body>, Refusal> {
        if request.body.len() > BODY_LIMIT {
            return Err(Refusal::RequestTooLarge);
        }
        let matched = self.routes.find(&request.method, &request.path).ok_or(Refusal::MissingAuthenticationToken)?;
        *context = request.context(&self.stage, Some(&matched));
        if let Some(name) = &matched.target.authorizer {
            self.authorize(name, request, &matched, context, handling).await?;
        }
        let event = proxy_event(request, &matched, context);
        let call = self.invoke(&matched.target.function, request, &event, handling);
        let Ok(invocation) = tokio::time::timeout(self.limit, call).await else {
            return Err(Refusal::IntegrationTimeout);
        };
        match invocation {
            Invocation::Response(payload) => proxy_response(&payload).ok_or_else(|| {
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
        handling: &mut Handling,
    ) -> Result<(), Refusal> {
        let authorizer = self.authorizers.get(name).ok_or(Refusal::AuthorizerConfigurationError)?;
        let identity: Option<Vec<String>> =
            authorizer.identity.iter().map(|source| identity(source, request, context)).collect();
        let caller = (name.to_owned(), identity.ok_or(Refusal::Unauthorized)?);
        let authorization = if let Some(authorization) = self.authorized.find(&caller) {
            authorization
        } else {
            let event = authorizer_event(request, matched, context, &self.stage);
            let authorization = self.ask(&authorizer.function, request, &event, handling).await?;
            self.authorized.keep(caller, authorizer.reauthorize_every, &authorization);
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

    /// The authorizer's answer to the event.
    async fn ask(
        &self,
        authorizer: &str,
        request: &Request,
        event: &Value,
        handling: &mut Handling,
    ) -> Result<Authorization, Refusal> {
        match self.invoke(authorizer, request, event, handling).await {
            Invocation::Response(payload) => Authorization::read(&payload).ok_or_else(|| {
                self.log.line("gateway", &format!("{authorizer} gave a malformed answer"));
                Refusal::AuthorizerConfigurationError
            }),
            Invocation::Error(error) if error.error_message == "Unauthorized" => Err(Refusal::Unauthorized),
            _ => Err(Refusal::AuthorizerFailure),
        }
    }

    async fn invoke(&self, name: &str, request: &Request, event: &Value, handling: &mut Handling) -> Invocation {
        let Some(function) = self.functions.get(name) else { return Invocation::NotFound };
        let payload = Bytes::from(event.to_string());
        let call = Call { request_id: crate::random::uuid(), trace_id: request.trace_id.clone(), payload };
        handling.calls(name, &call.request_id);
        function.invoke(call).await
    }
}

async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut handling = Handling::new(gateway.log.clone(), head.method.as_str(), head.uri.path());
    let trace_id = head
        .headers
        .get("x-amzn-trace-id")
        .and_then(|value| value.to_str().ok())
        .map_or_else(crate::random::trace_id, str::to_owned);
    let received = crate::now();
    let (body, is_whole) = match axum::body::to_bytes(body, READ_LIMIT).await {
        Ok(body) => (body, true),
        Err(_) => (Bytes::new(), false),
    };
    let request = Request {
        id: crate::random::uuid(),
        extended_id: crate::random::extended_id(),
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
    let outcome = if is_whole {
        gateway.answer(&request, &mut context, &mut handling).await
    } else {
        Err(Refusal::RequestTooLarge)
    };
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
    handling.answer(response.status().as_u16());
    response
}
