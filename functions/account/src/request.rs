//! What is asked of the account's routes.

use std::fmt::Display;

use lambda_http::Request;
use shared::{
    fields::Fields,
    http::ErrorResponse,
    password::{NewPassword, Password},
    username::Username,
};

/// A request for an account.
pub(crate) struct NewAccount {
    pub(crate) username: Username,
    pub(crate) password: Password,
}

/// A request for another password.
pub(crate) struct PasswordChange {
    pub(crate) current: Password,
    pub(crate) new: Password,
}

impl NewAccount {
    /// # Errors
    /// 400, naming the field that is missing, repeated, malformed, or against a rule.
    pub(crate) fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let mut fields = Fields::of(request)?;
        let username =
            Username::parse(&fields.require("username")?).map_err(|problem| malformed("username", &problem))?;
        let password = new_password(&mut fields, "password", &username)?;
        Ok(Self { username, password })
    }
}

impl PasswordChange {
    /// # Errors
    /// As [`NewAccount::of`].
    pub(crate) fn of(request: &Request, username: &Username) -> Result<Self, ErrorResponse> {
        let mut fields = Fields::of(request)?;
        let current = Password::new(fields.require("current_password")?)
            .map_err(|problem| malformed("current_password", &problem))?;
        Ok(Self { current, new: new_password(&mut fields, "new_password", username)? })
    }
}

fn new_password(fields: &mut Fields, name: &str, username: &Username) -> Result<Password, ErrorResponse> {
    let text = fields.require(name)?;
    let password = NewPassword::new(text, username).map_err(|unfit| {
        // The rules speak of "the password"; here the field has a name.
        let rule = unfit.to_string();
        malformed(name, &rule.strip_prefix("the password ").unwrap_or(&rule))
    })?;
    Ok(password.into())
}

fn malformed(field: &str, problem: &dyn Display) -> ErrorResponse {
    ErrorResponse::invalid_request(format!("{field} {problem}"))
}
