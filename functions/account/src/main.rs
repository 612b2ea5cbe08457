//! An account of one's own: `POST /register` makes one, and `POST /password` gives it another password.

mod problem;
mod request;

use serde_json::json;
use shared::{
    BoxError,
    lambda::{
        Answer, Call, Function, Problem, Router,
        settings::{BCRYPT_COST, REGISTRATION, REGISTRATION_SCOPES, REGISTRATIONS_PER_ADDRESS, RESERVED_NAMES, Switch},
    },
    routes,
    use_cases::{authenticate::Authenticator, change_password::PasswordChange, register::Registration},
};

use crate::request::{NewAccount, NewPasswordRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let (store, clock) = (function.store(&function.sdk()?)?, function.clock());
    let authenticator =
        Authenticator::new(store.clone(), function.setting(&BCRYPT_COST)?, clock.clone(), function.random());
    let account = Account {
        registration_is: function.setting(&REGISTRATION)?,
        registration: Registration {
            store: store.clone(),
            authenticator: authenticator.clone(),
            scopes: function.optional(&REGISTRATION_SCOPES)?.unwrap_or_default(),
            reserved: function.setting(&RESERVED_NAMES)?,
            per_address: function.setting(&REGISTRATIONS_PER_ADDRESS)?.get(),
            clock: clock.clone(),
        },
        password_change: PasswordChange { store, authenticator, clock },
    };
    let router = Router::new()
        .route(routes::REGISTER, |call| account.register(call))
        .route(routes::CHANGE_PASSWORD, |call| account.change_password(call));
    function.serve(router).await
}

/// The handlers, with all that they need.
struct Account {
    registration_is: Switch,
    registration: Registration,
    password_change: PasswordChange,
}

impl Account {
    async fn register(&self, call: Call) -> Result<Answer, Problem> {
        if self.registration_is == Switch::Off {
            return Err(Problem::not_found("There is no such route"));
        }
        let NewAccount { username, password } = NewAccount::of(&call)?;
        let user =
            self.registration.register(username, password, &call.client()).await.map_err(problem::of_registration)?;
        let answer = Answer::created(&json!({ "username": user.username.as_str() }), "registered");
        Ok(answer.recorded(|record| record.with("user", &user.username)))
    }

    async fn change_password(&self, call: Call) -> Result<Answer, Problem> {
        let caller = call.caller()?;
        let NewPasswordRequest { current, new } = NewPasswordRequest::of(&call, &caller.username)?;
        let whose = (&caller.username, &caller.session);
        let changed = self.password_change.change(whose, &current, new, &call.client()).await;
        Ok(Answer::ok(&json!({ "ended": changed.map_err(problem::of_password_change)? }), "password_changed"))
    }
}
