//! The Lambda authorizer: a request with a bearer token (RFC 6750) in, who calls out.
//!
//! One binary answers both kinds of gateway, told apart by the event:
//!
//! | event | valid token | refused | outage |
//! |---|---|---|---|
//! | REST API, `REQUEST` | a policy for this request alone | the error `Unauthorized` | another error |
//! | HTTP API, payload 2.0 | `isAuthorized: true` | `isAuthorized: false` | another error |
//!
//! Where the request is for a route that the token's scopes don't reach ([`RouteScopes`]), the policy denies it, and the
//! simple answer is `false`.
//!
//! A token in a cookie counts as one in the header, but for methods that change something: those must come from a page
//! of the API's own origin or of one of the setting's, because a browser sends cookies whoever made it do so.
//!
//! The gateway makes 401 of the error message `Unauthorized`, and a failure of any other error.

mod credential;
mod event;
mod revocation;
mod routes;

use lambda_runtime::Diagnostic;
use shared::{
    access_token::{self, Refusal, Verified},
    aws::{
        key_cache::{KeyCache, KeysUnavailable},
        key_readers::VerifyingRing,
    },
    issuer::Issuer,
    key::VerifyingKeys,
    lambda::CallRecord,
    origin::Origins,
    store::StoreError,
    time::Clock,
};

use crate::{
    credential::{Credential, CredentialError},
    event::{Event, Payload, Target},
};
pub use crate::{
    event::{Answer, PolicyDocument},
    revocation::LiveRevocation,
    routes::{InvalidRouteScopes, Problem, RouteScopes},
};

/// The authorizer, with all that it needs.
pub struct Authorizer {
    /// The keys that tokens are verified with.
    pub keys: KeyCache<VerifyingRing>,
    /// The only issuer that is accepted.
    pub issuer: Issuer,
    /// The only audience that is accepted.
    pub audience: String,
    /// The origins whose pages may act with cookies, beside the API's own.
    pub origins: Origins,
    /// The scopes that routes need beside a valid token.
    pub routes: RouteScopes,
    /// Whether tokens of sessions that have ended are refused; `None` lets them live until they expire.
    pub revocation: Option<LiveRevocation>,
    /// The time.
    pub clock: Clock,
}

/// Why a request isn't let through although its event is sound: for the log only.
#[derive(Debug, thiserror::Error)]
enum Denial {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Token(#[from] Refusal),
    /// A page of another origin may have made the browser send the cookie.
    #[error("the cookie may have been sent by a page of another origin")]
    CrossOrigin,
    /// The session has ended.
    #[error("the session has ended")]
    SessionOver,
}

impl Denial {
    /// The word for the log.
    fn code(&self) -> &'static str {
        match self {
            Self::Credential(error) => error.code(),
            Self::Token(refusal) => refusal.code(),
            Self::CrossOrigin => "cross_origin",
            Self::SessionOver => "session_over",
        }
    }
}

/// Why nothing can be said of a request: never an allow, never a 401.
#[derive(Debug, thiserror::Error)]
enum Outage {
    #[error("the event is not UTF-8")]
    Utf8,
    #[error("the event is none of a REQUEST authorizer (line {line}, column {column})")]
    Event { line: usize, column: usize },
    #[error("methodArn names no API and stage")]
    MethodArn,
    #[error("ISSUER is not set, and the event doesn't say its domain")]
    Issuer,
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    #[error("whether the session goes on can't be found out")]
    Session(#[from] StoreError),
}

/// The error that the gateway gets instead of an answer.
#[derive(Debug)]
pub enum AuthorizerError {
    /// The credential is missing or invalid. The gateway answers 401 to exactly this message.
    Unauthorized,
    /// Nothing can be said of any credential.
    Unavailable,
}

impl From<AuthorizerError> for Diagnostic {
    fn from(error: AuthorizerError) -> Self {
        let message = match error {
            AuthorizerError::Unauthorized => "Unauthorized",
            AuthorizerError::Unavailable => "Unavailable",
        };
        Self { error_type: message.to_owned(), error_message: message.to_owned() }
    }
}

impl Authorizer {
    /// Answers one event, and records the call. The event comes as it was sent, so that it is read once, what matters of
    /// it is borrowed, and no error of a reader's can quote a header of it.
    pub async fn handle(&self, event: &[u8]) -> (Result<Answer, AuthorizerError>, CallRecord) {
        // Once for all texts in it.
        let Ok(event) = str::from_utf8(event) else { return unavailable(&Outage::Utf8) };
        let event: Event<'_> = match serde_json::from_str(event) {
            Ok(event) => event,
            Err(error) => return unavailable(&Outage::Event { line: error.line(), column: error.column() }),
        };
        let request = event.gateway_request();
        let (answer, record) = self.decide(&event).await.unwrap_or_else(|outage| unavailable(&outage));
        (answer, record.of_request(request))
    }

    async fn decide(&self, event: &Event<'_>) -> Result<(Result<Answer, AuthorizerError>, CallRecord), Outage> {
        let target = event.target().ok_or(Outage::MethodArn)?;
        let verified = match self.verify(event).await? {
            Ok(verified) => verified,
            Err(denial) => return Ok(refused(event, &denial)),
        };
        let (answer, record) = match self.is_live(&verified).await {
            Ok(true) => self.reach(event, target, &verified),
            Ok(false) => refused(event, &Denial::SessionOver),
            Err(outage) => unavailable(&outage),
        };
        Ok((answer, record.with("user", &verified.subject).with("session", &verified.session)))
    }

    /// Whether a valid token reaches what was asked for.
    fn reach(
        &self,
        event: &Event<'_>,
        target: Target<'_>,
        verified: &Verified,
    ) -> (Result<Answer, AuthorizerError>, CallRecord) {
        let forbid = |reason| (Ok(Answer::forbid(target, verified)), CallRecord::refused(reason));
        if !self.routes.are_reached(event.requested(), &verified.scopes) {
            forbid("insufficient_scope")
        } else if !target.can_be_named() {
            forbid("wildcard_in_path")
        } else {
            (Ok(Answer::allow(target, verified)), CallRecord::new("allowed"))
        }
    }

    /// Whose token the request has, or why none; an outage is neither.
    async fn verify(&self, event: &Event<'_>) -> Result<Result<Verified, Denial>, Outage> {
        let (domain, stage) = event.domain_and_stage();
        let issuer = self.issuer.for_request(domain, stage).ok_or(Outage::Issuer)?;
        // Before the credential: with no keys the answer is an outage to everyone.
        let keys = self.keys.keys().await?;
        let credential = match Credential::of(event) {
            Ok(credential) => credential,
            Err(error) => return Ok(Err(error.into())),
        };
        if matches!(credential, Credential::Cookie(_)) && !event.is_safe() && !self.may_act(event) {
            return Ok(Err(Denial::CrossOrigin));
        }
        let verify = |keys: &VerifyingKeys| {
            access_token::verify(credential.token(), keys, &issuer, &self.audience, self.clock.now())
        };
        let outcome = match verify(&keys) {
            // It may be a key that was published since.
            Err(Refusal::UnknownKey) => match self.keys.look_again().await? {
                Some(keys) => verify(&keys),
                None => Err(Refusal::UnknownKey),
            },
            outcome => outcome,
        };
        Ok(outcome.map_err(Denial::from))
    }

    /// Whether the token's session goes on, as far as that is looked at.
    async fn is_live(&self, verified: &Verified) -> Result<bool, Outage> {
        match &self.revocation {
            Some(revocation) => Ok(revocation.is_live(verified, self.clock.now()).await?),
            None => Ok(true),
        }
    }

    /// Whether the request comes from a page that may act with cookies.
    fn may_act(&self, event: &Event<'_>) -> bool {
        let (domain, stage) = event.domain_and_stage();
        let own = self.issuer.own_addresses(domain, stage);
        self.origins.may_act(own.iter().flatten().map(AsRef::as_ref), event.provenance())
    }
}

/// The answer to a request whose credential is refused.
fn refused(event: &Event<'_>, denial: &Denial) -> (Result<Answer, AuthorizerError>, CallRecord) {
    let answer = match event.payload() {
        Payload::Rest => Err(AuthorizerError::Unauthorized),
        Payload::Http => Ok(Answer::refuse()),
    };
    (answer, CallRecord::refused(denial.code()))
}

/// The answer where nothing can be said of the credential.
fn unavailable(outage: &Outage) -> (Result<Answer, AuthorizerError>, CallRecord) {
    (Err(AuthorizerError::Unavailable), CallRecord::unavailable(outage))
}
