//! The caller's own sessions: `POST /logout` ends them, `GET /sessions` lists them page by page, and
//! `DELETE /sessions/{id}` ends one. All of them treat a session of another user as one that doesn't exist.

mod session_view;

use serde_json::json;
use shared::{
    BoxError,
    lambda::{
        Answer, Call, Function, Problem, Router,
        body::Malformed,
        page::{self, Page},
    },
    routes,
    session::SessionId,
    store::Store,
    time::Clock,
    use_cases::{
        Unavailable,
        end_sessions::{self, REMOVAL_TIME, SessionsToEnd},
    },
};

use crate::session_view::SessionView;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let sessions = Sessions { store: function.store(&function.sdk()?)?, clock: function.clock() };
    sessions.store.connect(1).await;
    let router = Router::new()
        .route(routes::LOGOUT, |call| sessions.log_out(call))
        .route(routes::LIST_SESSIONS, |call| sessions.list(call))
        .route(routes::END_SESSION, |call| sessions.end(call));
    function.serve(router).await
}

/// The handlers, with all that they need.
struct Sessions {
    store: Store,
    clock: Clock,
}

impl Sessions {
    async fn log_out(&self, call: Call) -> Result<Answer, Problem> {
        let (caller, which) = (call.caller()?, sessions_to_end(&call)?);
        let this = (&caller.username, &caller.session);
        let removal = end_sessions::end_sessions(&self.store, this, which, self.clock.now(), REMOVAL_TIME).await?;
        let ends_this = which != SessionsToEnd::Others && removal.is_complete;
        let answer = Answer::of_removal(removal, "logged_out");
        Ok(if ends_this { answer.clearing_cookies() } else { answer })
    }

    async fn list(&self, call: Call) -> Result<Answer, Problem> {
        let caller = call.caller()?;
        // As many as an account usually has: the order by last use is within a page.
        let Page { after, size } = Page::of(&call, page::LARGEST, |id| SessionId::parse(id).ok())?;
        let found = end_sessions::live_sessions(&self.store, &caller.username, (after, size), self.clock.now()).await?;
        let views: Vec<SessionView> = found.sessions.iter().map(|session| SessionView::of(session, caller)).collect();
        let next = found.next.as_ref().map(|after| page::cursor(after.as_str()));
        Ok(Answer::ok(&json!({ "sessions": views, "next_cursor": next }), "listed"))
    }

    async fn end(&self, call: Call) -> Result<Answer, Problem> {
        let (caller, no_such) = (call.caller()?, || Problem::not_found("There is no such session"));
        let id = call.parameter("id").and_then(|id| SessionId::parse(&id).ok()).ok_or_else(no_such)?;
        let removed = self.store.remove_session(&caller.username, &id, self.clock.now()).await;
        if !removed.map_err(Unavailable::from)? {
            return Err(no_such());
        }
        let answer = Answer::no_content("ended");
        Ok(if id == caller.session { answer.clearing_cookies() } else { answer })
    }
}

/// Reads `sessions` from the body or the query; `this` where neither has it.
fn sessions_to_end(call: &Call) -> Result<SessionsToEnd, Malformed> {
    let in_body = match call.fields_if_any()? {
        Some(mut fields) => fields.take("sessions")?,
        None => None,
    };
    let in_query = call.query("sessions")?;
    match (in_body.as_deref(), &in_query) {
        (Some(_), Some(_)) => Err(Malformed::field("sessions", "is repeated")),
        (Some(word), None) | (None, Some(word)) => match word.as_str() {
            "this" => Ok(SessionsToEnd::This),
            "others" => Ok(SessionsToEnd::Others),
            "all" => Ok(SessionsToEnd::All),
            _ => Err(Malformed::field("sessions", "must be this, others or all")),
        },
        (None, None) => Ok(SessionsToEnd::This),
    }
}
