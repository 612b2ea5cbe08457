//! `POST /login`, the token endpoint (RFC 6749 section 3.2), for the grants `password` and `refresh_token`; and
//! `POST /revoke`, the revocation endpoint (RFC 7009), which is here because checking a refresh token takes the keys
//! that make them.
//!
//! The grant `password` is for first-party sign-in; OAuth 2.1 and RFC 9700 forbid it to third parties.

mod answer;
mod error;
mod password_grant;
mod refresh_grant;
mod request;
mod revoke;
mod throttle;

use std::{borrow::Cow, sync::Arc};

use lambda_http::{Body, Request, RequestExt, Response, http::StatusCode};
use rand::CryptoRng;
use serde_json::json;
use shared::{
    http::{self, ErrorResponse},
    issuer::Issuer,
    key::{SigningKey, SigningKeys},
    key_source::{KeySource, KeysUnavailable, SigningRing},
    log::{Entry, Metric},
    origin::Origins,
    password::{Cost, PasswordHash},
    session::{Policy, Session},
    store::Store,
    time::{Clock, Timestamp},
    token::{self, AccessToken, Grant, Lifetime},
};

pub use crate::error::{LoginError, NotRefreshed, Rejection, Reuse};
use crate::{error::unavailable, request::TokenRequest};

/// The token endpoint, with all that it needs.
pub struct Login<R> {
    /// Users and sessions.
    pub store: Store,
    /// The keys that tokens are made with.
    pub keys: KeySource<SigningRing>,
    /// Who issues the tokens.
    pub issuer: Issuer,
    /// For whom access tokens are.
    pub audience: String,
    /// How long access tokens are valid.
    pub lifetime: Lifetime,
    /// How long sessions last.
    pub sessions: Policy,
    /// The origins whose pages may use cookies, beside the API's own.
    pub origins: Origins,
    /// The cost of new hashes, and of the work for unknown users.
    pub cost: Cost,
    /// What the password of an unknown user is verified against; of this cost.
    pub decoy: PasswordHash,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub rng: R,
}

impl<R: CryptoRng + Clone + Send + 'static> Login<R> {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> (Response<Body>, Entry) {
        // By its end: a custom domain may put something of its own in front of the path.
        if request.raw_http_path().ends_with("/revoke") {
            answer(self.revoke(&request).await.map(|entry| (http::json(StatusCode::OK, &json!({})), entry)))
        } else {
            self.grant(&request).await
        }
    }

    async fn grant(&self, request: &Request) -> (Response<Body>, Entry) {
        let (outcome, metric, granted) = match TokenRequest::of(request) {
            Ok(TokenRequest::Password(asked)) => ("signed_in", Metric::SignIns, self.sign_in(&asked, request).await),
            Ok(TokenRequest::Refresh(asked)) => ("refreshed", Metric::Refreshes, self.refresh(&asked, request).await),
            Err(malformed) => return answer(Err(malformed.into())),
        };
        let granted = granted.and_then(|granted| Ok((granted.response()?, granted.entry(outcome))));
        let (response, entry) = answer(granted);
        (response, entry.counting(metric))
    }

    fn issuer(&self, request: &Request) -> Result<Cow<'_, str>, LoginError> {
        let (domain, stage) = http::domain_and_stage(request);
        let issuer = self.issuer.for_request(domain, stage);
        issuer.ok_or_else(|| unavailable("ISSUER is not set, and the request doesn't say its domain"))
    }

    /// The ring, with a key that signs now.
    async fn ring(&self) -> Result<Arc<SigningKeys>, LoginError> {
        let mut ring = self.keys.keys().await.map_err(unavailable)?;
        if ring.signing((self.clock)()).is_none() {
            // Before the first rotation the ring is empty.
            ring = self.keys.look_again().await.map_err(unavailable)?.unwrap_or(ring);
        }
        Ok(ring)
    }

    /// Signs an access token for the session, which it doesn't outlive.
    fn access_token(
        &self,
        granted: &Grant<'_>,
        session: &Session,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<AccessToken, LoginError> {
        let lifetime = granted.lifetime.min(now.until(session.ends));
        let grant = Grant { lifetime, ..granted.clone() };
        token::issue(&grant, key, now, &mut self.rng.clone()).map_err(unavailable)
    }

    /// Refuses a request that a page of another origin may have made a visitor's browser send.
    fn check_origin(&self, request: &Request, needs_proof: bool) -> Result<(), LoginError> {
        let from = http::provenance(request);
        let (domain, stage) = http::domain_and_stage(request);
        let own = [self.issuer.for_request(domain, stage), domain.map(|domain| format!("https://{domain}").into())];
        // A program that is no browser has no visitor's cookies to send, and says nothing of a page.
        let harmless = from.is_silent() && !needs_proof;
        if harmless || self.origins.may_act(own.iter().flatten().map(AsRef::as_ref), from) {
            Ok(())
        } else {
            Err(LoginError::CrossOrigin)
        }
    }
}

fn signing(ring: &SigningKeys, now: Timestamp) -> Result<&SigningKey, LoginError> {
    ring.signing(now).ok_or(KeysUnavailable::None).map_err(unavailable)
}

fn answer(outcome: Result<(Response<Body>, Entry), LoginError>) -> (Response<Body>, Entry) {
    outcome.unwrap_or_else(|refused| {
        let entry = refused.entry();
        (ErrorResponse::from(refused).into(), entry)
    })
}
