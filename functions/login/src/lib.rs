//! `POST /login`, the token endpoint (RFC 6749 section 3.2), for the grants `password` and `refresh_token`; and
//! `POST /revoke`, the revocation endpoint (RFC 7009), which is here because checking a refresh token takes the keys
//! that make them.
//!
//! The grant `password` is for first-party sign-in; OAuth 2.1 and RFC 9700 forbid it to third parties.

mod answer;
mod problem;
mod request;

use std::borrow::Cow;

use serde_json::json;
use shared::{
    BoxError,
    aws::{key_cache::KeyCache, key_readers::SigningRing},
    issuer::Issuer,
    lambda::{Answer, Call, Function, Metric, Problem, settings},
    origin::Origins,
    session::Policy,
    session_limit::SessionLimit,
    store::Store,
    use_cases::{authenticate::Authenticator, issue_tokens::TokenIssuer, refresh::Refresh, revoke, sign_in::SignIn},
};

use crate::request::{PasswordGrant, RefreshGrant, TokenRequest};

/// The handlers, with all that they need.
pub struct TokenEndpoint {
    /// Users and sessions.
    pub store: Store,
    /// Verifies passwords.
    pub authenticator: Authenticator,
    /// Makes tokens.
    pub tokens: TokenIssuer,
    /// How long sessions last.
    pub policy: Policy,
    /// How many sessions an account has.
    pub limit: SessionLimit,
    /// The tokens' issuer.
    pub issuer: Issuer,
    /// The origins whose pages may use cookies, beside the API's own.
    pub origins: Origins,
}

impl TokenEndpoint {
    /// The endpoint as the function's settings have it.
    ///
    /// # Errors
    /// A setting that is wrong, or missing.
    pub fn of(function: &Function) -> Result<Self, BoxError> {
        let (sdk, clock, random) = (function.sdk()?, function.clock(), function.random());
        let store = function.counting_store(&sdk)?;
        let ring = SigningRing::new(function.setting(&settings::SIGNING_KEYS)?, &sdk);
        let refresh = function.setting(&settings::SIGNING_KEY_REFRESH)?;
        let cost = function.setting(&settings::BCRYPT_COST)?;
        let failures = function.setting(&settings::FAILURES_PER_ADDRESS)?;
        Ok(Self {
            authenticator: Authenticator::new(store.clone(), cost, failures, clock.clone(), random),
            store,
            tokens: TokenIssuer {
                keys: KeyCache::new(ring, refresh.into(), clock.clone()),
                audience: function.setting(&settings::AUDIENCE)?,
                lifetime: function.setting(&settings::ACCESS_TOKEN_LIFETIME)?.into(),
                clock,
                random,
            },
            policy: Policy {
                lifetime: function.setting(&settings::SESSION_LIFETIME)?.into(),
                idle: function.setting(&settings::SESSION_IDLE_TIMEOUT)?.into(),
                grace: function.setting(&settings::REFRESH_GRACE_WINDOW)?.into(),
            },
            limit: function.setting(&settings::MAX_SESSIONS)?,
            issuer: function.optional(&settings::ISSUER)?.unwrap_or_default(),
            origins: function.optional(&settings::CORS_ORIGINS)?.unwrap_or_default(),
        })
    }

    /// `POST /login`.
    ///
    /// # Errors
    /// [`Problem`] says why there is no token.
    pub async fn grant(&self, call: Call) -> Result<Answer, Problem> {
        match TokenRequest::of(&call)? {
            TokenRequest::Password(grant) => self.sign_in(grant, &call).await,
            TokenRequest::Refresh(grant) => self.refresh(grant, &call).await,
        }
    }

    async fn sign_in(&self, PasswordGrant(request): PasswordGrant, call: &Call) -> Result<Answer, Problem> {
        let in_cookies = request.in_cookies;
        if in_cookies {
            // A page of another origin could sign a visitor in as somebody else.
            self.check_origin(call, false)?;
        }
        let sign_in = SignIn {
            store: &self.store,
            authenticator: &self.authenticator,
            tokens: &self.tokens,
            policy: &self.policy,
            limit: self.limit,
        };
        let (issuer, username) = (self.issuer(call)?, request.username.clone());
        let pair = sign_in.sign_in(request, &issuer, call.client()).await;
        let pair = pair.map_err(|error| problem::of_sign_in(error, &username))?;
        let answer = answer::of_tokens(&pair, in_cookies, "signed_in")?;
        Ok(answer.recorded(|record| record.counting(Metric::SignIns)))
    }

    async fn refresh(&self, grant: RefreshGrant, call: &Call) -> Result<Answer, Problem> {
        if grant.in_cookies {
            self.check_origin(call, grant.from_cookie)?;
        }
        let refresh = Refresh { store: &self.store, tokens: &self.tokens, policy: &self.policy };
        let client = call.client();
        match refresh.refresh(&grant.request, &self.issuer(call)?, &client).await {
            Ok(pair) => {
                let answer = answer::of_tokens(&pair, grant.in_cookies, "refreshed")?;
                let answer = answer.recorded(|record| record.counting(Metric::Refreshes));
                Ok(match &pair.shared_with {
                    Some(other) => answer.recorded(|record| answer::shared_token(record, &client, other)),
                    None => answer,
                })
            }
            Err(error) => Err(problem::of_refresh(error, refresh.owner(&grant.request.token).await)),
        }
    }

    /// `POST /revoke`.
    ///
    /// # Errors
    /// [`Problem`] where the request is malformed, or the session can't be reached.
    pub async fn revoke(&self, call: Call) -> Result<Answer, Problem> {
        let mut fields = call.fields()?;
        let token = fields.require("token")?;
        // Its form tells what it is; the hint may be wrong (RFC 7009 section 2.1).
        fields.take("token_type_hint")?;
        let ended = revoke::revoke(&self.store, &self.tokens, &token, call.issuer(&self.issuer).as_deref()).await?;
        Ok(match ended {
            None => Answer::ok(&json!({}), "nothing_to_revoke"),
            Some((username, session)) => Answer::ok(&json!({}), "revoked")
                .recorded(|record| record.with("user", &username).with("session", &session)),
        })
    }

    fn issuer(&self, call: &Call) -> Result<Cow<'_, str>, Problem> {
        call.issuer(&self.issuer).ok_or_else(problem::no_issuer)
    }

    /// Refuses a request that a page of another origin may have made a visitor's browser send.
    fn check_origin(&self, call: &Call, needs_proof: bool) -> Result<(), Problem> {
        let from = call.provenance();
        let own = call.own_addresses(&self.issuer);
        // Programs other than browsers have no visitor's cookies to send, and name no page.
        let harmless = from.is_silent() && !needs_proof;
        if harmless || self.origins.may_act(own.iter().flatten().map(AsRef::as_ref), from) {
            Ok(())
        } else {
            Err(problem::cross_origin())
        }
    }
}
