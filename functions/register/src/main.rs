//! `POST /register` makes an account of one's own.

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
    use_cases::register::Registration,
};

use crate::request::NewAccount;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let register = Register {
        registration_is: function.setting(&REGISTRATION)?,
        registration: Registration {
            store: function.counting_store(&function.sdk()?)?,
            cost: function.setting(&BCRYPT_COST)?,
            scopes: function.optional(&REGISTRATION_SCOPES)?.unwrap_or_default(),
            reserved: function.setting(&RESERVED_NAMES)?,
            per_address: function.setting(&REGISTRATIONS_PER_ADDRESS)?.get(),
            clock: function.clock(),
            random: function.random(),
        },
    };
    let router = Router::new().route(routes::REGISTER, |call| register.register(call));
    function.serve(router).await
}

/// The handler, with all that it needs.
struct Register {
    registration_is: Switch,
    registration: Registration,
}

impl Register {
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
}
