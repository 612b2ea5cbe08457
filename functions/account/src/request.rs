//! The requests of the account's routes, read from their bodies.

use shared::{
    lambda::{
        Call,
        body::{Fields, Malformed},
    },
    password::{NewPassword, Password},
    username::Username,
};

/// A request for an account.
pub(crate) struct NewAccount {
    pub(crate) username: Username,
    pub(crate) password: NewPassword,
}

/// A request for another password.
pub(crate) struct NewPasswordRequest {
    pub(crate) current: Password,
    pub(crate) new: NewPassword,
}

impl NewAccount {
    /// # Errors
    /// [`Malformed`] names the field that is missing, repeated, malformed, or against a rule.
    pub(crate) fn of(call: &Call) -> Result<Self, Malformed> {
        let mut fields = call.fields()?;
        let username = fields.require_parsed("username", Username::parse)?;
        let password = new_password(&mut fields, "password", &username)?;
        Ok(Self { username, password })
    }
}

impl NewPasswordRequest {
    /// # Errors
    /// As [`NewAccount::of`].
    pub(crate) fn of(call: &Call, username: &Username) -> Result<Self, Malformed> {
        let mut fields = call.fields()?;
        let current = Password::new(fields.require("current_password")?)
            .map_err(|problem| Malformed::field("current_password", &problem))?;
        Ok(Self { current, new: new_password(&mut fields, "new_password", username)? })
    }
}

fn new_password(fields: &mut Fields, name: &str, username: &Username) -> Result<NewPassword, Malformed> {
    NewPassword::new(fields.require(name)?, username).map_err(|unfit| Malformed::field(name, &unfit))
}
