//! Accounts, for those who administer them: `GET /users` lists them page by page, `GET /users/{username}` shows one,
//! `PATCH` sets its status or scopes, and `DELETE` removes it. The gateway asks for the scopes of [`routes`], and the
//! router of this function asks again; before anything is written, the caller's account has to have them still.

mod problem;
mod request;
mod user_view;

use serde_json::json;
use shared::{
    BoxError, causes,
    lambda::{Answer, Call, CallRecord, Function, Problem, Router, page},
    routes,
    store::{Store, StoreError},
    time::Clock,
    use_cases::{
        Unavailable,
        administer_users::{Administration, AdministrationError, UserChange},
    },
    username::Username,
};
use tracing::error;

use crate::{
    request::user_change,
    user_view::{ChangedUserView, UserView},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let users = Users { store: function.store(&function.sdk()?)?, clock: function.clock() };
    users.store.connect(1).await;
    let router = Router::new()
        .route(routes::LIST_USERS, |call| users.list(call))
        .route(routes::SHOW_USER, |call| users.show(call))
        .route(routes::CHANGE_USER, |call| users.change(call))
        .route(routes::DELETE_USER, |call| users.delete(call));
    function.serve(router).await
}

/// The handlers, with all that they need.
struct Users {
    store: Store,
    clock: Clock,
}

impl Users {
    async fn list(&self, call: Call) -> Result<Answer, Problem> {
        let (page, prefix) = request::page(&call)?;
        let found = self.store.users_page(&prefix, page.after.as_ref(), page.size).await.map_err(unavailable)?;
        let readable = found.users.iter().filter_map(|user| {
            user.as_ref().inspect_err(|row| error!(cause = causes(*row), "a user's row can't be read, nor listed")).ok()
        });
        let users: Vec<UserView> = readable.map(UserView::of).collect();
        let next = found.next.map(|after| page::cursor(&after.folded()));
        Ok(Answer::ok(&json!({ "users": users, "next_cursor": next }), "listed"))
    }

    async fn show(&self, call: Call) -> Result<Answer, Problem> {
        let username = username(&call)?;
        let found = self.store.find_user_summary(&username).await.map_err(unavailable);
        let shown = found.and_then(|user| user.ok_or_else(no_such_user));
        about(&username, "show", shown.map(|user| Answer::ok(&UserView::of(&user), "shown")))
    }

    async fn change(&self, call: Call) -> Result<Answer, Problem> {
        let username = username(&call)?;
        let changed = match user_change(&call) {
            Ok(change) => self.apply(&call, &username, &change).await,
            Err(malformed) => Err(malformed.into()),
        };
        about(&username, "change", changed)
    }

    async fn apply(&self, call: &Call, username: &Username, change: &UserChange) -> Result<Answer, Problem> {
        let changed = self.administration(call)?.change(username, change).await;
        let change = |record: CallRecord| {
            record.with_any("status", change.status.as_ref()).with_any("scope", change.scopes.as_ref())
        };
        match changed {
            Ok(changed) => {
                let answer = Answer::ok(&ChangedUserView::of(&changed), "changed").recorded(change);
                Ok(answer.noting_sessions_left(changed.has_sessions_left))
            }
            Err(error) => Err(problem::of_administration(error).recorded(change)),
        }
    }

    async fn delete(&self, call: Call) -> Result<Answer, Problem> {
        let username = username(&call)?;
        let deleted = self.administration(&call)?.delete(&username).await;
        let deleted = deleted.map(|()| Answer::no_content("deleted")).map_err(problem::of_administration);
        about(&username, "delete", deleted)
    }

    /// What the caller may do to accounts, by what the route of the call asks for.
    fn administration<'a>(&'a self, call: &'a Call) -> Result<Administration<'a>, Problem> {
        Ok(Administration {
            store: &self.store,
            clock: &self.clock,
            administrator: &call.caller()?.username,
            needed: call.route().scope().unwrap_or_default(),
        })
    }
}

/// Lets the log say whose account a call is about and, where it isn't done or only half, what was asked for.
fn about(username: &Username, action: &'static str, outcome: Result<Answer, Problem>) -> Result<Answer, Problem> {
    match outcome {
        Ok(answer) => Ok(answer.recorded(|record| record.with("account", username))),
        Err(problem) => Err(problem.recorded(|record| record.with("action", action).with("account", username))),
    }
}

/// The username in the path. A text that is not a username gets the answer for an unknown user.
fn username(call: &Call) -> Result<Username, Problem> {
    call.parameter("username").and_then(|name| Username::parse(&name).ok()).ok_or_else(no_such_user)
}

fn no_such_user() -> Problem {
    problem::of_administration(AdministrationError::NoSuchUser)
}

fn unavailable(error: StoreError) -> Problem {
    Unavailable::from(error).into()
}
