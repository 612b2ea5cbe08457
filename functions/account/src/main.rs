//! An account of one's own: `POST /password` gives it another password.

mod problem;
mod request;

use shared::{
    BoxError,
    lambda::{
        Answer, Call, Function, Problem, Router,
        settings::{BCRYPT_COST, FAILURES_PER_ADDRESS},
    },
    routes,
    use_cases::{authenticate::Authenticator, change_password::PasswordChange},
};

use crate::request::NewPasswordRequest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let (store, clock) = (function.counting_store(&function.sdk()?)?, function.clock());
    let (cost, failures) = (function.setting(&BCRYPT_COST)?, function.setting(&FAILURES_PER_ADDRESS)?);
    let authenticator = Authenticator::new(store.clone(), cost, failures, clock.clone(), function.random());
    let account = Account { password_change: PasswordChange { store, authenticator, clock } };
    account.password_change.store.connect(2).await;
    let router = Router::new().route(routes::CHANGE_PASSWORD, |call| account.change_password(call));
    function.serve(router).await
}

/// The handler, with all that it needs.
struct Account {
    password_change: PasswordChange,
}

impl Account {
    async fn change_password(&self, call: Call) -> Result<Answer, Problem> {
        let caller = call.caller()?;
        let NewPasswordRequest { current, new } = NewPasswordRequest::of(&call, &caller.username)?;
        let removal = self.password_change.change(&caller.username, &current, new, &call.client()).await;
        let removal = removal.map_err(problem::of_password_change)?;
        Ok(Answer::of_removal(removal, "password_changed").clearing_cookies())
    }
}
