//! Accounts, for those who administer them: `GET /users` lists them page by page, `GET /users/{username}` shows one,
//! `PATCH` sets its status or scopes, and `DELETE` removes it. Reading needs the scope `users:read`, writing
//! `users:write`; the gateway asks for the same, and this function doesn't rely on it.

mod request;

use lambda_http::{
    Body, Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use serde::Serialize;
use serde_json::json;
use shared::{
    Identity,
    http::{self, ErrorResponse},
    identity::{InsufficientScope, Unauthenticated},
    log::{Entry, causes},
    store::{Store, StoreError},
    time::{Clock, Timestamp},
    user::{Status, UserSummary},
    username::Username,
};
use tracing::error;

use crate::request::{Asked, Change, Page, Unanswerable, cursor};

/// What a caller's token needs to see users.
const READ: &str = "users:read";
/// What a caller's token needs to change users.
const WRITE: &str = "users:write";

/// The users' routes, with all that they need.
pub struct Users {
    /// Users and their sessions.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// Why a request isn't answered as asked.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("unauthenticated")]
    Unauthenticated(#[from] Unauthenticated),
    #[error("insufficient_scope")]
    InsufficientScope(#[from] InsufficientScope),
    #[error("malformed")]
    Malformed(ErrorResponse),
    #[error("not_found")]
    NotFound,
    #[error("unavailable")]
    Unavailable(#[from] StoreError),
}

impl From<Unanswerable> for Refusal {
    fn from(unanswerable: Unanswerable) -> Self {
        match unanswerable {
            Unanswerable::Malformed(response) => Self::Malformed(response),
            Unanswerable::NotFound => Self::NotFound,
        }
    }
}

impl Refusal {
    fn entry(&self) -> Entry {
        match self {
            Self::Unavailable(cause) => Entry::unavailable(cause),
            Self::Unauthenticated(_) | Self::InsufficientScope(_) | Self::Malformed(_) | Self::NotFound => {
                Entry::refused(self)
            }
        }
    }
}

impl From<Refusal> for ErrorResponse {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated(unauthenticated) => unauthenticated.into(),
            Refusal::InsufficientScope(insufficient) => insufficient.into(),
            Refusal::Malformed(response) => response,
            Refusal::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such user"),
            Refusal::Unavailable(_) => Self::unavailable(),
        }
    }
}

/// The answer, and what the log is to say of it beside who has asked.
type Done = (Response<Body>, Entry);

/// A user as an administrator sees it. Times are seconds since 1970.
#[derive(Serialize)]
struct Shown<'a> {
    username: &'a str,
    status: &'a str,
    scopes: Vec<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> Shown<'a> {
    fn of(user: &'a UserSummary) -> Self {
        Self {
            username: user.username.as_str(),
            status: user.status.as_str(),
            scopes: user.scopes.iter().collect(),
            created_at: user.created,
            updated_at: user.updated,
        }
    }
}

impl Users {
    /// Answers one request. Without the authorizer's context there is no [`Identity`], and the answer is 401.
    pub async fn handle(&self, request: Request) -> (Response<Body>, Entry) {
        match self.answer(&request).await {
            Ok((caller, (response, entry))) => (response, entry.by(&caller)),
            Err(refusal) => {
                let entry = refusal.entry();
                (ErrorResponse::from(refusal).into(), entry)
            }
        }
    }

    async fn answer(&self, request: &Request) -> Result<(Identity, Done), Refusal> {
        let caller = Identity::of(request)?;
        // Before anything is read of the request: who may not ask learns nothing of how.
        caller.require(if request.method() == Method::GET { READ } else { WRITE })?;
        let done = match Asked::of(request)? {
            Asked::List(page) => self.list(&page).await?,
            Asked::Show(username) => (self.show(&username).await?, Entry::new("shown").with("account", &username)),
            Asked::Change(username, change) => self.change(&username, &change).await?,
            Asked::Delete(username) => self.delete(&username).await?,
        };
        Ok((caller, done))
    }

    async fn list(&self, page: &Page) -> Result<Done, Refusal> {
        let found = self.store.users_page(page.after.as_ref(), page.size).await?;
        let readable = found.users.iter().filter_map(|user| {
            user.as_ref().inspect_err(|row| error!(cause = causes(*row), "a user's row can't be read, nor listed")).ok()
        });
        let users: Vec<Shown> = readable.map(Shown::of).collect();
        let body = json!({ "users": users, "next_cursor": found.next.as_ref().map(cursor) });
        Ok((http::json(StatusCode::OK, &body), Entry::new("listed")))
    }

    async fn show(&self, username: &Username) -> Result<Response<Body>, Refusal> {
        let user = self.store.find_user_summary(username).await?.ok_or(Refusal::NotFound)?;
        Ok(http::json(StatusCode::OK, &Shown::of(&user)))
    }

    /// Makes a change. What takes something away comes first: where something fails on the way, the account can do
    /// less than it should, and the same request again does the rest.
    async fn change(&self, username: &Username, change: &Change) -> Result<Done, Refusal> {
        let now = (self.clock)();
        let found = |is_there: bool| if is_there { Ok(()) } else { Err(Refusal::NotFound) };
        if change.status == Some(Status::Disabled) {
            found(self.store.set_status(username, Status::Disabled, now).await?)?;
            self.store.remove_sessions(username, None, now).await?;
        }
        if let Some(scopes) = &change.scopes {
            found(self.store.set_scopes(username, scopes, now).await?)?;
        }
        if change.status == Some(Status::Active) {
            found(self.store.set_status(username, Status::Active, now).await?)?;
        }
        let entry = Entry::new("changed")
            .with("account", username)
            .with_any("status", change.status.as_ref())
            .with_any("scope", change.scopes.as_ref());
        Ok((self.show(username).await?, entry))
    }

    async fn delete(&self, username: &Username) -> Result<Done, Refusal> {
        if !self.store.remove_user(username, (self.clock)()).await? {
            return Err(Refusal::NotFound);
        }
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok((response, Entry::new("deleted").with("account", username)))
    }
}
