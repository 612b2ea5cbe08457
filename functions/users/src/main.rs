//! Accounts, for those who administer them: `GET /users` lists them page by page, `GET /users/{username}` shows one,
//! `PATCH` sets its status or scopes, and `DELETE` removes it. The gateway asks for the scopes of [`routes`], and the
//! router of this function asks again.

mod request;
mod user_view;

use serde_json::json;
use shared::{
    BoxError, causes,
    lambda::{Answer, Call, CallRecord, Function, Problem, Router},
    routes,
    store::{Store, StoreError},
    time::Clock,
    use_cases::{
        Unavailable,
        administer_users::{self, UserChange},
    },
    username::Username,
};
use tracing::error;

use crate::{
    request::{Page, cursor, user_change},
    user_view::UserView,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let users = Users { store: function.store(&function.sdk()?)?, clock: function.clock() };
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
        let page = Page::of(&call)?;
        let found = self.store.users_page(page.after.as_ref(), page.size).await.map_err(unavailable)?;
        let readable = found.users.iter().filter_map(|user| {
            user.as_ref().inspect_err(|row| error!(cause = causes(*row), "a user's row can't be read, nor listed")).ok()
        });
        let users: Vec<UserView> = readable.map(UserView::of).collect();
        Ok(Answer::ok(&json!({ "users": users, "next_cursor": found.next.as_ref().map(cursor) }), "listed"))
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
            Ok(change) => self.apply(&username, &change).await,
            Err(malformed) => Err(malformed.into()),
        };
        about(&username, "change", changed)
    }

    async fn apply(&self, username: &Username, change: &UserChange) -> Result<Answer, Problem> {
        let changed = administer_users::change_user(&self.store, username, change, self.clock.now()).await;
        let changed = changed.map_err(Problem::from).and_then(|user| user.ok_or_else(no_such_user));
        let change = |record: CallRecord| {
            record.with_any("status", change.status.as_ref()).with_any("scope", change.scopes.as_ref())
        };
        match changed {
            Ok(user) => Ok(Answer::ok(&UserView::of(&user), "changed").recorded(change)),
            Err(problem) => Err(problem.recorded(change)),
        }
    }

    async fn delete(&self, call: Call) -> Result<Answer, Problem> {
        let username = username(&call)?;
        let deleted = match self.store.remove_user(&username, self.clock.now()).await {
            Ok(true) => Ok(Answer::no_content("deleted")),
            Ok(false) => Err(no_such_user()),
            Err(error) => Err(unavailable(error)),
        };
        about(&username, "delete", deleted)
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
    Problem::not_found("There is no such user")
}

fn unavailable(error: StoreError) -> Problem {
    Unavailable::from(error).into()
}
