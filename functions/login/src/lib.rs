//! `POST /login`, the token endpoint (RFC 6749 section 3.2), for the grant `password`.
//!
//! The grant is for first-party sign-in; OAuth 2.1 and RFC 9700 forbid it to third parties.

mod grant;
mod request;

use std::time::Duration;

use lambda_http::{
    Body, Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use rand::CryptoRng;
use serde::Serialize;
use shared::{
    http::{self, ErrorResponse},
    issuer::Issuer,
    key_source::{KeySource, SigningRing},
    log::causes,
    password::{Cost, PasswordHash},
    store::Store,
    time::Clock,
    token::Lifetime,
};
use tracing::{error, info};

pub use crate::grant::{LoginError, Rejection};

/// The token endpoint, with all that it needs.
pub struct Login<R> {
    store: Store,
    keys: KeySource<SigningRing>,
    issuer: Issuer,
    audience: String,
    lifetime: Lifetime,
    cost: Cost,
    /// What the password of an unknown user is verified against.
    decoy: PasswordHash,
    clock: Clock,
    rng: R,
}

/// The answer of RFC 6749 section 5.1.
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

impl<R: CryptoRng + Clone + Send + 'static> Login<R> {
    /// Puts the endpoint together; `cost` is that of new hashes and of the work for unknown users.
    #[expect(clippy::too_many_arguments, reason = "each is one setting or client that main made")]
    pub fn new(
        store: Store,
        keys: KeySource<SigningRing>,
        issuer: Issuer,
        audience: String,
        lifetime: Lifetime,
        cost: Cost,
        clock: Clock,
        mut rng: R,
    ) -> Self {
        let decoy = PasswordHash::decoy(cost, &mut rng);
        Self { store, keys, issuer, audience, lifetime, cost, decoy, clock, rng }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let request_id = http::request_id(&request).to_owned();
        match self.sign_in(&request).await {
            Ok(signed_in) => {
                info!(
                    request_id,
                    outcome = "signed_in",
                    user = %signed_in.username,
                    session = %signed_in.session,
                    scope = %signed_in.scopes,
                );
                let mut response = http::json(
                    StatusCode::OK,
                    &TokenResponse {
                        access_token: signed_in.token.expose(),
                        token_type: "bearer",
                        expires_in: Duration::from(self.lifetime).as_secs(),
                        scope: signed_in.scopes.to_string(),
                    },
                );
                // RFC 6749 section 5.1 asks for it beside Cache-Control.
                response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
                response
            }
            Err(refused) => {
                match &refused {
                    LoginError::Unavailable(cause) => {
                        error!(request_id, outcome = "unavailable", cause = causes(cause.as_ref()));
                    }
                    LoginError::Rejected(rejection) => {
                        info!(request_id, outcome = "rejected", reason = %rejection, user = rejection.user());
                    }
                    LoginError::Malformed(_) => info!(request_id, outcome = "malformed"),
                    LoginError::InvalidScope => info!(request_id, outcome = "invalid_scope"),
                }
                ErrorResponse::from(refused).into()
            }
        }
    }
}
