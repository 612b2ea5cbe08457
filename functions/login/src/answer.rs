//! The answer to a request for tokens: in the body, or in cookies.

use lambda_http::{
    Body, Response,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;
use shared::{
    cookie::{self, SetCookie},
    http::{self, ErrorResponse},
    log::{Entry, Metric},
    refresh_token::RefreshToken,
    scope::Scopes,
    session::Session,
    time::Timestamp,
    token::AccessToken,
    username::Username,
};

use crate::error::{LoginError, unavailable};

/// What was granted.
pub(crate) struct Granted {
    pub(crate) username: Username,
    pub(crate) session: Session,
    pub(crate) scopes: Scopes,
    pub(crate) access: AccessToken,
    pub(crate) refresh: RefreshToken,
    /// When the tokens were made: what they last is counted from here.
    pub(crate) issued: Timestamp,
    /// When the key was made that has signed the access token, where it says so.
    pub(crate) key_made: Option<Timestamp>,
    /// Whether the tokens go into cookies, where no script can read them, and none into the body.
    pub(crate) in_cookies: bool,
}

/// The answer of RFC 6749 section 5.1; without the tokens, where they are in cookies.
#[derive(Serialize)]
struct TokenResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

impl Granted {
    /// What the log says of it.
    pub(crate) fn entry(&self, outcome: &'static str) -> Entry {
        let entry = Entry::new(outcome)
            .with("user", &self.username)
            .with("session", &self.session.id)
            .with("scope", &self.scopes);
        match self.key_made {
            Some(made) => entry.counting(Metric::KeyAge(made.until(self.issued))),
            None => entry,
        }
    }

    /// # Errors
    /// Cookies would be larger than browsers keep.
    pub(crate) fn response(&self) -> Result<Response<Body>, LoginError> {
        let in_body = |token| (!self.in_cookies).then_some(token);
        let body = TokenResponse {
            access_token: in_body(self.access.expose()),
            token_type: "bearer",
            expires_in: self.issued.until(self.access.expires()).as_secs(),
            refresh_token: in_body(self.refresh.expose()),
            scope: self.scopes.to_string(),
        };
        let mut response = http::json(StatusCode::OK, &body);
        let headers = response.headers_mut();
        // RFC 6749 section 5.1 asks for it beside Cache-Control.
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        if self.in_cookies {
            for cookie in self.cookies()? {
                let mut value = HeaderValue::from_str(cookie.expose()).map_err(unavailable)?;
                value.set_sensitive(true);
                headers.append(header::SET_COOKIE, value);
            }
        }
        Ok(response)
    }

    /// # Errors
    /// Cookies would be larger than browsers keep.
    pub(crate) fn cookies(&self) -> Result<[SetCookie; 2], ErrorResponse> {
        let set = |name, token, until| {
            SetCookie::set(name, token, self.issued.until(until))
                .map_err(|too_long| ErrorResponse::invalid_request(too_long.to_string()))
        };
        Ok([
            set(cookie::ACCESS, self.access.expose(), self.access.expires())?,
            set(cookie::REFRESH, self.refresh.expose(), self.session.until())?,
        ])
    }
}
