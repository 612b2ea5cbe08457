//! The server's metadata (RFC 8414), which OpenID Connect looks for at another address: one document for both.

use serde::Serialize;
use shared::{key::Algorithm, routes, scope::Scopes};

/// RFC 8414 section 2, what OpenID Connect Discovery 1.0 section 3 requires beyond it, and one member that both let an
/// implementation add: the algorithms of access tokens. There is no `authorization_endpoint` to name.
#[derive(Serialize)]
pub(crate) struct Metadata<'a> {
    issuer: &'a str,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    /// Required, and empty: there is no authorization endpoint.
    response_types_supported: [&'a str; 0],
    grant_types_supported: [&'a str; 2],
    token_endpoint_auth_methods_supported: [&'a str; 1],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'a str; 1],
    /// One user has one name for every client.
    subject_types_supported: [&'a str; 1],
    /// Required, and empty: there are no ID tokens.
    id_token_signing_alg_values_supported: [&'a str; 0],
    access_token_signing_alg_values_supported: Vec<&'a str>,
}

impl<'a> Metadata<'a> {
    pub(crate) fn of(issuer: &'a str, scopes: &'a Scopes, algorithms: Vec<Algorithm>) -> Self {
        let address = |route: routes::Route| format!("{issuer}{}", route.path);
        Self {
            issuer,
            token_endpoint: address(routes::LOGIN),
            jwks_uri: address(routes::KEY_SET),
            scopes_supported: scopes.iter().collect(),
            response_types_supported: [],
            grant_types_supported: ["password", "refresh_token"],
            token_endpoint_auth_methods_supported: ["none"],
            revocation_endpoint: address(routes::REVOKE),
            revocation_endpoint_auth_methods_supported: ["none"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: [],
            access_token_signing_alg_values_supported: algorithms.into_iter().map(Algorithm::name).collect(),
        }
    }
}
