//! The request for another password, read from its body.

use shared::{
    lambda::{Call, body::Malformed},
    password::{NewPassword, Password},
    username::Username,
};

/// A request for another password.
pub(crate) struct NewPasswordRequest {
    pub(crate) current: Password,
    pub(crate) new: NewPassword,
}

impl NewPasswordRequest {
    /// # Errors
    /// [`Malformed`] names the field that is missing, repeated, malformed, or against a rule.
    pub(crate) fn of(call: &Call, username: &Username) -> Result<Self, Malformed> {
        let mut fields = call.fields()?;
        let current = Password::new(fields.require("current_password")?)
            .map_err(|problem| Malformed::field("current_password", &problem))?;
        let new = NewPassword::new(fields.require("new_password")?, username)
            .map_err(|unfit| Malformed::field("new_password", &unfit))?;
        Ok(Self { current, new })
    }
}
