//! A request on its way to a handler, and what a handler may ask of it.

use std::borrow::Cow;

use lambda_http::{
    Request, RequestExt,
    http::{HeaderName, header},
    request::RequestContext,
};
use percent_encoding::percent_decode_str;

use super::{
    body::{Fields, Malformed},
    caller::{Caller, Unauthenticated},
    gateway_request::address_of,
    router::parameter_in_path,
};
use crate::{
    routes::Route,
    values::{client::Client, cookie, issuer::Issuer, origin::Provenance},
};

/// A request for one of a function's routes.
pub struct Call {
    request: Request,
    route: Route,
    caller: Option<Caller>,
}

impl Call {
    pub(super) fn new(request: Request, route: Route, caller: Option<Caller>) -> Self {
        Self { request, route, caller }
    }

    /// The caller. The router has refused requests without one, except on routes that are for anyone.
    ///
    /// # Errors
    /// [`Unauthenticated`] where the route is for anyone.
    pub fn caller(&self) -> Result<&Caller, Unauthenticated> {
        self.caller.as_ref().ok_or(Unauthenticated)
    }

    /// The route that the request is for.
    #[must_use]
    pub fn route(&self) -> Route {
        self.route
    }

    /// A parameter of the path: the gateway's word for it or, where a gateway names no route, what stands in the path.
    /// Percent-encoding is undone; `None` where it isn't UTF-8.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let given = self.request.path_parameters_ref().and_then(|parameters| parameters.first(name));
        let text = given.or_else(|| parameter_in_path(self.route.path, self.request.raw_http_path(), name))?;
        percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
    }

    /// A parameter of the query, which may be given once.
    ///
    /// # Errors
    /// [`Malformed`] where it is repeated.
    pub fn query(&self, name: &str) -> Result<Option<String>, Malformed> {
        let values = self.request.query_string_parameters_ref().and_then(|query| query.all(name)).unwrap_or_default();
        match values.as_slice() {
            [] => Ok(None),
            [value] => Ok(Some((*value).to_owned())),
            _ => Err(Malformed::field(name, "is repeated")),
        }
    }

    /// The fields of the body.
    ///
    /// # Errors
    /// [`Malformed`], as [`Fields::of`].
    pub fn fields(&self) -> Result<Fields, Malformed> {
        Fields::of(&self.request)
    }

    /// The fields of the body, where there is a body.
    ///
    /// # Errors
    /// [`Malformed`], as [`Fields::of`].
    pub fn fields_if_any(&self) -> Result<Option<Fields>, Malformed> {
        if self.request.body().is_empty() { Ok(None) } else { self.fields().map(Some) }
    }

    /// The value of a cookie of ours that the request carries.
    ///
    /// # Errors
    /// [`Malformed`] where it carries several of that name.
    pub fn cookie(&self, name: &str) -> Result<Option<&str>, Malformed> {
        let headers = self.request.headers().get_all(header::COOKIE).iter();
        cookie::find(headers.filter_map(|value| value.to_str().ok()), name)
            .map_err(|repeated| Malformed::field("Cookie", &repeated))
    }

    /// The client that sent the request, as far as the gateway and the client say.
    #[must_use]
    pub fn client(&self) -> Client {
        /// Longer ones than this are of no use to the person who reads them.
        const USER_AGENT_CHARACTERS: usize = 200;
        let user_agent = self
            .header(header::USER_AGENT)
            .map(|text| text.chars().filter(|char| !char.is_control()).take(USER_AGENT_CHARACTERS).collect::<String>())
            .filter(|text| !text.is_empty());
        Client { address: address_of(&self.request), user_agent }
    }

    /// The page that made the request, as the request's headers name it.
    #[must_use]
    pub fn provenance(&self) -> Provenance<'_> {
        Provenance {
            origin: self.header(header::ORIGIN),
            fetch_site: self.header(HeaderName::from_static("sec-fetch-site")),
        }
    }

    /// The issuer of tokens for this request; `None` where neither the setting nor the gateway says it.
    #[must_use]
    pub fn issuer<'a>(&self, issuer: &'a Issuer) -> Option<Cow<'a, str>> {
        let (domain, stage) = self.domain_and_stage();
        issuer.for_request(domain, stage)
    }

    /// The addresses that this API goes by, for this request: the issuer's and the domain's.
    #[must_use]
    pub fn own_addresses<'a>(&self, issuer: &'a Issuer) -> [Option<Cow<'a, str>>; 2] {
        let (domain, stage) = self.domain_and_stage();
        issuer.own_addresses(domain, stage)
    }

    fn domain_and_stage(&self) -> (Option<&str>, Option<&str>) {
        match self.request.request_context_ref() {
            Some(RequestContext::ApiGatewayV1(context)) => (context.domain_name.as_deref(), context.stage.as_deref()),
            Some(RequestContext::ApiGatewayV2(context)) => (context.domain_name.as_deref(), context.stage.as_deref()),
            _ => (None, None),
        }
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }
}
