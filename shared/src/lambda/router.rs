//! Finds the handler of a request, and does what all handlers have in common: access, log and CORS.

use std::{convert::Infallible, future::Future, pin::Pin};

use lambda_http::{
    Adapter, Body, LambdaEvent, Request, RequestExt, Response, Service,
    http::{HeaderMap, Method, header},
    lambda_runtime,
    request::{LambdaRequest, RequestContext},
    service_fn,
};

use super::{Answer, Call, CallRecord, Caller, GatewayRequest, Problem, cors::Cors, log::Log, security_headers};
use crate::routes::{Access, Route};

type Handler<'a> = Box<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send + 'a>> + 'a>;

/// The routes of a function behind API Gateway, each with its handler.
///
/// The gateway's own word for a route (`resource` of a REST API, `routeKey` of an HTTP API) decides; only where it names
/// none (`$default`, or a resource for any path) does the path. A handler sees a request only where its route lets the
/// caller through: without the authorizer's context the answer is 401, without the route's scope 403, whatever the
/// gateway let pass. `OPTIONS` is answered for every path, as a preflight.
#[derive(Default)]
pub struct Router<'a> {
    routes: Vec<(Route, Handler<'a>)>,
}

impl<'a> Router<'a> {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a route with this handler.
    #[must_use]
    pub fn route<H, F>(mut self, route: Route, handler: H) -> Self
    where
        H: Fn(Call) -> F + 'a,
        F: Future<Output = Result<Answer, Problem>> + Send + 'a,
    {
        self.routes.push((route, Box::new(move |call| Box::pin(handler(call)))));
        self
    }

    /// Serves requests until the Lambda runtime ends: each goes to its handler, its record to the log, and each answer
    /// gets the headers that every answer has, and those that let pages of listed origins read it.
    pub(super) async fn serve(self, log: &Log, cors: &Cors) -> Result<(), lambda_http::Error> {
        let router = &self;
        let mut adapter = Adapter::from(service_fn(move |request: Request| {
            let request_id =
                request.lambda_context_ref().map_or_else(String::new, |context| context.request_id.clone());
            let origin = request.headers().get(header::ORIGIN).cloned();
            let answer = router.answer(request);
            async move {
                let mut response = log.call(&request_id, answer).await;
                security_headers::set(response.headers_mut());
                cors.allow(origin.as_ref(), response.headers_mut());
                Ok::<_, Infallible>(response)
            }
        }));
        lambda_runtime::run(service_fn(move |mut event: LambdaEvent<LambdaRequest>| {
            keep_resource(&mut event.payload);
            forget_address(&mut event.payload);
            adapter.call(event)
        }))
        .await
    }

    /// Answers one request, and records the call. The handler is chosen at once; the answer itself is
    /// the future.
    pub fn answer(&self, request: Request) -> impl Future<Output = (Response<Body>, CallRecord)> + Send + 'a {
        let (caller, gateway_request) = (Caller::of(&request), GatewayRequest::of(&request));
        let outcome = self
            .handler(&request, &caller)
            .map(|handler| handler.map(|(route, handler)| handler(Call::new(request, *route, caller.clone().ok()))));
        async move {
            let answer = match outcome {
                Ok(Some(answer)) => answer.await,
                Ok(None) => Ok(Answer { response: Cors::preflight(), record: CallRecord::new("preflight") }),
                Err(problem) => Err(problem),
            };
            let (response, record) = match answer {
                Ok(Answer { response, record }) => (response, record),
                Err(Problem { response, record }) => (response.into(), record),
            };
            let record = record.of_request(gateway_request);
            (response, if let Ok(caller) = &caller { record.by(caller) } else { record })
        }
    }

    /// The handler of a request, where its route is there and open to the caller; `None` for a preflight.
    fn handler(
        &self,
        request: &Request,
        caller: &Result<Caller, super::caller::Unauthenticated>,
    ) -> Result<Option<&(Route, Handler<'a>)>, Problem> {
        if request.method() == Method::OPTIONS {
            return Ok(None);
        }
        let named = named_by_gateway(request);
        let routes = self.routes.iter().map(|(route, _)| route);
        let found = find(routes, request.method().as_str(), named, request.raw_http_path());
        let found = &self.routes[found.ok_or_else(|| Problem::not_found("There is no such route"))?];
        match (found.0.access, caller) {
            (Access::Anyone, _) | (Access::SignedIn, Ok(_)) => Ok(Some(found)),
            (Access::Scope(needed), Ok(caller)) if caller.scopes.contains_all(needed) => Ok(Some(found)),
            (Access::Scope(_), Ok(_)) => Err(Problem::insufficient_scope()),
            (_, Err(unauthenticated)) => Err((*unauthenticated).into()),
        }
    }
}

/// The path of the route that the gateway has found, as the template writes it; `None` where it has found none in
/// particular.
fn named_by_gateway(request: &Request) -> Option<&str> {
    let named = match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => context.resource_path.as_deref(),
        RequestContext::ApiGatewayV2(context) => context.route_key.as_deref()?.split_once(' ').map(|(_, path)| path),
        _ => None,
    };
    named.filter(|path| path.starts_with('/') && !path.ends_with("+}"))
}

/// The position of the route that a request is for.
fn find<'r>(routes: impl Iterator<Item = &'r Route>, method: &str, named: Option<&str>, path: &str) -> Option<usize> {
    let mut candidates = routes.enumerate().filter(|(_, route)| route.method == method);
    match named {
        Some(named) => candidates.find(|(_, route)| same_pattern(route.path, named)).map(|(at, _)| at),
        // Of several the one that says most of the path: `/users/{username}` before `/{id}`.
        None => candidates
            .filter(|(_, route)| segments_in_path(route.path, path).is_some())
            .max_by_key(|(_, route)| literals(route.path))
            .map(|(at, _)| at),
    }
}

fn segments(path: &str) -> impl DoubleEndedIterator<Item = &str> + Clone {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

fn literals(pattern: &str) -> usize {
    segments(pattern).filter(|segment| !is_parameter(segment)).count()
}

/// Whether two patterns are one, whatever their parameters are called.
fn same_pattern(one: &str, other: &str) -> bool {
    let same = |(one, other): (&str, &str)| one == other || (is_parameter(one) && is_parameter(other));
    segments(one).count() == segments(other).count() && segments(one).zip(segments(other)).all(same)
}

/// The segments of the path's end that a pattern fits: a stage or a custom domain may put something of its own in front.
/// A pattern without segments fits a path without segments only.
fn segments_in_path<'p>(pattern: &str, path: &'p str) -> Option<impl Iterator<Item = &'p str>> {
    let (length, all) = (segments(pattern).count(), segments(path).count());
    let end = segments(path).skip(all.checked_sub(length)?);
    let fits = segments(pattern).zip(end.clone()).all(|(pattern, found)| is_parameter(pattern) || pattern == found);
    (fits && (length > 0 || all == 0)).then_some(end)
}

/// The text in the path that stands in the place of a parameter.
pub(super) fn parameter_in_path<'p>(pattern: &str, path: &'p str, name: &str) -> Option<&'p str> {
    let is_named = |segment: &str| segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(name);
    segments(pattern)
        .zip(segments_in_path(pattern, path)?)
        .find(|(pattern, _)| is_named(pattern))
        .map(|(_, found)| found)
}

/// Keeps a REST API's `resource`, the top-level member that is documented, where `lambda_http` leaves it out.
fn keep_resource(request: &mut LambdaRequest) {
    if let LambdaRequest::ApiGatewayV1(event) = request
        && let Some(resource) = event.resource.take()
    {
        event.request_context.resource_path = Some(resource);
    }
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
    use crate::routes;

    fn found(method: &str, named: Option<&str>, path: &str) -> Option<&'static str> {
        find(routes::ALL.iter(), method, named, path).map(|at| routes::ALL[at].path)
    }

    #[test]
    fn the_gateways_word_decides_whatever_the_path() {
        for path in ["/revoke", "/revoke/", "//revoke", "/prod/revoke", "/%72evoke", "/login", "/"] {
            assert_eq!(found("POST", Some("/revoke"), path), Some("/revoke"), "{path}");
        }
        assert_eq!(found("DELETE", Some("/sessions/{session}"), "/x"), Some("/sessions/{id}"));
        assert_eq!(found("POST", Some("/unknown"), "/login"), None);
        assert_eq!(found("GET", Some("/revoke"), "/revoke"), None);
    }

    #[test]
    fn without_a_word_of_the_gateway_the_paths_end_decides() {
        for path in ["/sessions/abc", "/sessions/abc/", "/prod/sessions/abc", "//sessions//abc"] {
            assert_eq!(found("DELETE", None, path), Some("/sessions/{id}"), "{path}");
            assert_eq!(parameter_in_path("/sessions/{id}", path, "id"), Some("abc"), "{path}");
        }
        assert_eq!(found("GET", None, "/"), Some("/"));
        assert_eq!(found("GET", None, "/api/users"), Some("/users"));
        assert_eq!(found("GET", None, "/users/users"), Some("/users/{username}"));
        for path in ["/xlogin", "/login/x", "", "/", "/Login"] {
            assert_eq!(found("POST", None, path), None, "{path}");
        }
    }
}
