//! The request for an account, read from its body.

use shared::{
    lambda::{Call, body::Malformed},
    password::NewPassword,
    username::Username,
};

/// A request for an account.
pub(crate) struct NewAccount {
    pub(crate) username: Username,
    pub(crate) password: NewPassword,
}

impl NewAccount {
    /// # Errors
    /// [`Malformed`] names the field that is missing, repeated, malformed, or against a rule.
    pub(crate) fn of(call: &Call) -> Result<Self, Malformed> {
        let mut fields = call.fields()?;
        let username = fields.require_parsed("username", Username::parse)?;
        let password = NewPassword::new(fields.require("password")?, &username)
            .map_err(|unfit| Malformed::field("password", &unfit))?;
        Ok(Self { username, password })
    }
}
