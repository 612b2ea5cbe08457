//! The caller of a request: the authorizer finds it in the token, and a handler reads it from the context.

use std::collections::BTreeMap;

use lambda_http::{Request, RequestExt, request::RequestContext};
use serde_json::Value;

use crate::values::{access_token::Verified, scope::Scopes, session::SessionId, username::Username};

/// What the authorizer tells the gateway, and the gateway the handler: flat text by name, since a gateway refuses lists
/// and objects.
pub type Context = BTreeMap<&'static str, String>;

const USERNAME: &str = "username";
/// Separated by spaces.
const SCOPE: &str = "scope";
const SESSION: &str = "session";

/// The caller of a request that the authorizer let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account, its name as typed when it was made.
    pub username: Username,
    /// The scopes of the caller's token.
    pub scopes: Scopes,
    /// The session that the token belongs to.
    pub session: SessionId,
}

/// No authorizer has vouched for the request: a route without one, or a call that went around the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has no authorizer's context")]
pub struct Unauthenticated;

impl Caller {
    /// Reads the caller from the context that the authorizer gave to the gateway, in payload version
    /// 1.0 (REST API) or 2.0 (HTTP API). Nothing that the client sends takes part.
    ///
    /// # Errors
    /// [`Unauthenticated`] where the context is missing or incomplete.
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

    /// The context of a verified token, which [`Caller::of`] reads again behind the gateway.
    #[must_use]
    pub fn context(verified: &Verified) -> Context {
        BTreeMap::from([
            (USERNAME, verified.subject.as_str().to_owned()),
            (SCOPE, verified.scopes.to_string()),
            (SESSION, verified.session.as_str().to_owned()),
        ])
    }
}
