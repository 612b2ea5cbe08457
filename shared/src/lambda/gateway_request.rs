//! Which request of the gateway's a call is for.

use lambda_http::{Request, RequestExt, request::RequestContext};

/// The longest identifier that is taken, in bytes. API Gateway's own are UUIDs, or shorter.
const ID_BYTES: usize = 64;

/// A request as the gateway knows it, for every line of the log that is about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayRequest {
    id: Option<String>,
    address: Option<String>,
}

impl GatewayRequest {
    /// A request with this `requestId` and `sourceIp`, as the gateway's event has them.
    ///
    /// A client of a REST API can choose the identifier, by the header `x-amzn-RequestId`: what doesn't look like one
    /// of API Gateway's is left out.
    #[must_use]
    pub fn new(id: Option<String>, address: Option<String>) -> Self {
        let is_identifier = |id: &String| {
            (1..=ID_BYTES).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
        };
        Self { id: id.filter(is_identifier), address }
    }

    pub(super) fn of(request: &Request) -> Self {
        let id = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV1(context)) => context.request_id.clone(),
            Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
            _ => None,
        };
        Self::new(id, address_of(request))
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
}

/// The address that the gateway saw; no header of the client's takes part.
pub(super) fn address_of(request: &Request) -> Option<String> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.clone(),
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_look_like_an_identifier_is_left_out() {
        for id in ["41b45ea3-70b5-11e6-b7bd-69b5aaebc7d9", "JKJaXmPLvHcESHA="] {
            assert_eq!(GatewayRequest::new(Some(id.to_owned()), None).id(), Some(id));
        }
        for id in [String::new(), "a password".to_owned(), "{\"a\":1}".to_owned(), "a.b.c".to_owned(), "x".repeat(65)] {
            assert_eq!(GatewayRequest::new(Some(id), None), GatewayRequest::default());
        }
    }
}
