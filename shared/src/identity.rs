//! Who calls: what the authorizer found, as a handler behind it reads it.

use lambda_http::{Request, RequestExt, http::StatusCode, request::RequestContext};
use serde_json::Value;

use crate::{http::ErrorResponse, scope::Scopes, session::SessionId, username::Username};

/// The authorizer's context has the username under this name.
pub const USERNAME: &str = "username";
/// The authorizer's context has the token's scopes under this name, separated by spaces.
pub const SCOPE: &str = "scope";
/// The authorizer's context has the session under this name.
pub const SESSION: &str = "session";

/// The caller of a request that the authorizer let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account, its name as typed when it was made.
    pub username: Username,
    /// What the caller's token allows.
    pub scopes: Scopes,
    /// The session that the token belongs to.
    pub session: SessionId,
}

/// No authorizer has vouched for the request: a route without one, or a call that went around the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has no authorizer's context")]
pub struct Unauthenticated;

/// The caller's token is valid and doesn't reach as far as this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token lacks a scope")]
pub struct InsufficientScope;

impl Identity {
    /// Reads the caller from the context that the authorizer gave to the gateway, in payload version
    /// 1.0 (REST API) or 2.0 (HTTP API). Nothing that the client sends takes part.
    ///
    /// # Errors
    /// [`Unauthenticated`] where there is no context or it isn't whole. As a response it is a 401.
    pub fn of(request: &Request) -> Result<Self, Unauthenticated> {
        let authorizer = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV1(context)) => Some(&context.authorizer),
            Some(RequestContext::ApiGatewayV2(context)) => context.authorizer.as_ref(),
            _ => None,
        };
        let fields = &authorizer.ok_or(Unauthenticated)?.fields;
        let field = |name| fields.get(name).and_then(Value::as_str).ok_or(Unauthenticated);
        Ok(Self {
            username: Username::parse(field(USERNAME)?).map_err(|_| Unauthenticated)?,
            scopes: Scopes::parse(field(SCOPE)?).map_err(|_| Unauthenticated)?,
            session: SessionId::parse(field(SESSION)?).map_err(|_| Unauthenticated)?,
        })
    }

    /// Checks that the caller's token has this scope, which the gateway has checked too where `ROUTE_SCOPES` says so.
    ///
    /// # Errors
    /// [`InsufficientScope`] where it hasn't. As a response it is a 403.
    pub fn require(&self, scope: &str) -> Result<(), InsufficientScope> {
        if self.scopes.contains(scope) { Ok(()) } else { Err(InsufficientScope) }
    }
}

impl From<InsufficientScope> for ErrorResponse {
    fn from(_: InsufficientScope) -> Self {
        ErrorResponse::new(StatusCode::FORBIDDEN, "insufficient_scope", "The access token does not allow this")
            .with_challenge("Bearer error=\"insufficient_scope\"")
    }
}

impl From<Unauthenticated> for ErrorResponse {
    fn from(_: Unauthenticated) -> Self {
        ErrorResponse::new(StatusCode::UNAUTHORIZED, "invalid_token", "Sign in, and send the access token")
            .with_challenge("Bearer error=\"invalid_token\"")
    }
}
