//! What others may know of this API: its routes, its public keys (RFC 7517) and its metadata (RFC 8414); and
//! the answers to preflight requests of all routes.

use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use shared::{
    BoxError,
    http::{self, Cors, ErrorResponse},
    issuer::Issuer,
    key::Algorithm,
    key_source::{KeySource, PublishedKeys},
    log::Entry,
    scope::Scopes,
    store::KeyRow,
};

/// How long others may keep the key set and the metadata. With the 5 minutes that an instance keeps the rows, that
/// is less than the 10 minutes for which a key is published before it signs.
const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=240");

/// The public face, with all that it needs.
pub struct Discovery {
    /// The published keys.
    pub keys: KeySource<PublishedKeys>,
    /// Who issues the tokens; all addresses in the metadata begin with it.
    pub issuer: Issuer,
    /// What the next token is signed with.
    pub algorithm: Algorithm,
    /// The scopes that the metadata names.
    pub scopes: Scopes,
}

impl Discovery {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> (Response<Body>, Entry) {
        // By its end: a custom domain may put something of its own in front of the path.
        let path = request.raw_http_path();
        let (outcome, answer) = if request.method() == Method::OPTIONS {
            ("preflight", Ok(Cors::preflight()))
        } else if path.ends_with("/.well-known/jwks.json") {
            ("key_set", self.key_set().await)
        } else if path.ends_with("/.well-known/oauth-authorization-server") {
            ("metadata", self.metadata(&request).await)
        } else {
            ("welcome", Ok(welcome()))
        };
        match answer {
            Ok(response) => (response, Entry::new(outcome)),
            Err(cause) => (ErrorResponse::unavailable().into(), Entry::unavailable(cause.as_ref())),
        }
    }

    /// The public halves of all keys that verify now, the newest first. With HS256 there is none.
    async fn key_set(&self) -> Result<Response<Body>, BoxError> {
        let rows = self.keys.keys().await?;
        let keys: Vec<&RawValue> = rows.iter().filter_map(public_half).collect();
        Ok(public(&json!({ "keys": keys })))
    }

    async fn metadata(&self, request: &Request) -> Result<Response<Body>, BoxError> {
        let (domain, stage) = http::domain_and_stage(request);
        let issuer = self.issuer.for_request(domain, stage);
        let issuer = issuer.ok_or("ISSUER is not set, and the request doesn't say its domain")?;
        let rows = self.keys.keys().await?;
        let mut algorithms = vec![self.algorithm];
        for algorithm in rows.iter().filter_map(KeyRow::algorithm) {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        let scopes: Vec<&str> = self.scopes.iter().collect();
        Ok(public(&Metadata {
            token_endpoint: format!("{issuer}/login"),
            jwks_uri: format!("{issuer}/.well-known/jwks.json"),
            issuer: &issuer,
            scopes_supported: scopes,
            response_types_supported: [],
            grant_types_supported: ["password", "refresh_token"],
            token_endpoint_auth_methods_supported: ["none"],
            revocation_endpoint: format!("{issuer}/revoke"),
            revocation_endpoint_auth_methods_supported: ["none"],
            access_token_signing_alg_values_supported: algorithms.into_iter().map(Algorithm::name).collect(),
        }))
    }
}

/// RFC 8414 section 2, and one member that it lets an implementation add: the algorithms of access tokens.
#[derive(Serialize)]
struct Metadata<'a> {
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
    access_token_signing_alg_values_supported: Vec<&'a str>,
}

fn public_half(row: &KeyRow) -> Option<&RawValue> {
    row.jwk.as_deref().and_then(|jwk| serde_json::from_str(jwk).ok())
}

fn public(body: &impl Serialize) -> Response<Body> {
    let mut response = http::json(StatusCode::OK, body);
    response.headers_mut().insert(header::CACHE_CONTROL, PUBLIC);
    response
}

fn welcome() -> Response<Body> {
    let route = |method, path, description| json!({ "method": method, "path": path, "description": description });
    http::json(
        StatusCode::OK,
        &json!({
            "name": "Gatehouse",
            "description": "JWT authentication for AWS Lambda",
            "version": env!("CARGO_PKG_VERSION"),
            "routes": [
                route("GET", "/", "This page"),
                route("POST", "/login", "Takes username and password, or a refresh token, as a form or as JSON; gives tokens"),
                route("POST", "/revoke", "Ends the session of a token"),
                route("POST", "/logout", "Ends the caller's session, the others, or all"),
                route("GET", "/sessions", "Lists the caller's sessions"),
                route("DELETE", "/sessions/{id}", "Ends one of the caller's sessions"),
                route("POST", "/register", "Makes an account of username and password, where registration is on"),
                route("POST", "/password", "Gives the caller's account another password"),
                route("GET", "/users", "Lists users, page by page; needs the scope users:read"),
                route("GET", "/users/{username}", "Shows a user; needs the scope users:read"),
                route("PATCH", "/users/{username}", "Sets a user's status or scopes; needs the scope users:write"),
                route("DELETE", "/users/{username}", "Deletes a user; needs the scope users:write"),
                route("GET", "/protected", "Greets the holder of an access token"),
                route("GET", "/.well-known/jwks.json", "The public keys that access tokens are verified with"),
                route("GET", "/.well-known/oauth-authorization-server", "What OAuth clients need to know of this API"),
            ],
        }),
    )
}
