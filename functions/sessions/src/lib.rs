//! The caller's own sessions: `POST /logout` ends them, `GET /sessions` lists them, and `DELETE /sessions/{id}` ends
//! one. A session of another user is to all of these what one is that doesn't exist.

use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde::Serialize;
use serde_json::json;
use shared::{
    Identity,
    cookie::{self, SetCookie},
    fields::Fields,
    http::{self, ErrorResponse},
    identity::Unauthenticated,
    log::Entry,
    session::{Session, SessionId},
    store::{Store, StoreError},
    time::{Clock, Timestamp},
};

/// The sessions' routes, with all that they need.
pub struct Sessions {
    /// The sessions.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// Why a request isn't answered as asked.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("unauthenticated")]
    Unauthenticated(#[from] Unauthenticated),
    #[error("malformed")]
    Malformed(ErrorResponse),
    #[error("not_found")]
    NotFound,
    #[error("unavailable")]
    Unavailable(#[from] StoreError),
}

impl Refusal {
    fn entry(&self) -> Entry {
        match self {
            Self::Unavailable(cause) => Entry::unavailable(cause),
            Self::Unauthenticated(_) | Self::Malformed(_) | Self::NotFound => Entry::refused(self),
        }
    }
}

impl From<Refusal> for ErrorResponse {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated(unauthenticated) => unauthenticated.into(),
            Refusal::Malformed(response) => response,
            Refusal::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such session"),
            Refusal::Unavailable(_) => Self::unavailable(),
        }
    }
}

/// Which of the caller's sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    This,
    Others,
    All,
}

/// A session as its owner sees it. Times are seconds since 1970.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    client_id: &'a str,
    scope: String,
    address: Option<&'a str>,
    user_agent: Option<&'a str>,
    /// Whether it is the one of the token that this request came with.
    current: bool,
}

impl Sessions {
    /// Answers one request. Without the authorizer's context there is no [`Identity`], and the answer is 401.
    pub async fn handle(&self, request: Request) -> (Response<Body>, Entry) {
        match self.answer(&request).await {
            Ok((outcome, caller, response)) => (response, Entry::new(outcome).by(&caller)),
            Err(refusal) => {
                let entry = refusal.entry();
                (ErrorResponse::from(refusal).into(), entry)
            }
        }
    }

    async fn answer(&self, request: &Request) -> Result<(&'static str, Identity, Response<Body>), Refusal> {
        let caller = Identity::of(request)?;
        // By its end: a custom domain may put something of its own in front of the path.
        let path = request.raw_http_path();
        let (before, last) = path.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
        let (outcome, response) = match (request.method(), last) {
            (&Method::POST, "logout") => ("logged_out", self.log_out(&caller, request).await?),
            (&Method::GET, "sessions") => ("listed", self.list(&caller).await?),
            (&Method::DELETE, id) if before.ends_with("/sessions") => ("ended", self.end(&caller, id).await?),
            _ => return Err(Refusal::NotFound),
        };
        Ok((outcome, caller, response))
    }

    async fn log_out(&self, caller: &Identity, request: &Request) -> Result<Response<Body>, Refusal> {
        let which = Which::of(request).map_err(Refusal::Malformed)?;
        let now = (self.clock)();
        let mut ended = 0;
        if which != Which::This {
            ended += self.store.remove_sessions(&caller.username, Some(&caller.session), now).await?;
        }
        // The caller's own comes last: where something fails before it, the caller can still try again.
        if which != Which::Others {
            ended += usize::from(self.store.remove_session(&caller.username, &caller.session, now).await?);
        }
        let mut response = http::json(StatusCode::OK, &json!({ "ended": ended }));
        if which != Which::Others {
            clear_cookies(&mut response);
        }
        Ok(response)
    }

    async fn list(&self, caller: &Identity) -> Result<Response<Body>, Refusal> {
        let (mut sessions, now) = (self.store.sessions(&caller.username).await?, (self.clock)());
        sessions.retain(|session| session.is_live(now));
        sessions.sort_by(|one, other| {
            other.last_used.cmp(&one.last_used).then_with(|| one.id.as_str().cmp(other.id.as_str()))
        });
        let shown: Vec<Shown> = sessions.iter().map(|session| Shown::of(session, caller)).collect();
        Ok(http::json(StatusCode::OK, &json!({ "sessions": shown })))
    }

    async fn end(&self, caller: &Identity, id: &str) -> Result<Response<Body>, Refusal> {
        let id = SessionId::parse(id).map_err(|_| Refusal::NotFound)?;
        if !self.store.remove_session(&caller.username, &id, (self.clock)()).await? {
            return Err(Refusal::NotFound);
        }
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if id == caller.session {
            clear_cookies(&mut response);
        }
        Ok(response)
    }
}

impl Which {
    /// Reads `sessions` from the body or the query; `this` where neither has it.
    fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let has_body = !request.body().is_empty();
        let in_body = if has_body { Fields::of(request)?.take("sessions")? } else { None };
        let query = request.query_string_parameters_ref().and_then(|query| query.all("sessions")).unwrap_or_default();
        let values: Vec<&str> = in_body.iter().map(|value| value.as_str()).chain(query).collect();
        match values.as_slice() {
            [] | ["this"] => Ok(Self::This),
            ["others"] => Ok(Self::Others),
            ["all"] => Ok(Self::All),
            [_] => Err(ErrorResponse::invalid_request("sessions must be this, others or all")),
            _ => Err(ErrorResponse::invalid_request("sessions is repeated")),
        }
    }
}

impl<'a> Shown<'a> {
    fn of(session: &'a Session, caller: &Identity) -> Self {
        Self {
            id: session.id.as_str(),
            created_at: session.created,
            last_used_at: session.last_used,
            expires_at: session.until(),
            client_id: &session.client_id,
            scope: session.scopes.to_string(),
            address: session.hints.address.as_deref(),
            user_agent: session.hints.user_agent.as_deref(),
            current: session.id == caller.session,
        }
    }
}

/// Takes the tokens' cookies back, whether or not the client has any.
fn clear_cookies(response: &mut Response<Body>) {
    for name in [cookie::ACCESS, cookie::REFRESH] {
        if let Ok(value) = HeaderValue::from_str(SetCookie::clear(name).expose()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}
