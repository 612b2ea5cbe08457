//! The answer to a request for tokens: in the body, or in cookies.

use lambda_http::http::{HeaderValue, header};
use serde::Serialize;
use shared::{
    client::Client,
    lambda::{Answer, CallRecord, Metric, Problem},
    use_cases::issue_tokens::TokenPair,
};

use crate::problem;

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

/// Gives tokens to their holder; in cookies no script can read them.
pub(crate) fn of_tokens(pair: &TokenPair, in_cookies: bool, outcome: &'static str) -> Result<Answer, Problem> {
    let in_body = |token| (!in_cookies).then_some(token);
    let body = TokenResponse {
        access_token: in_body(pair.access.expose()),
        token_type: "bearer",
        expires_in: pair.issued.until(pair.access.expires()).as_secs(),
        refresh_token: in_body(pair.refresh.expose()),
        scope: pair.scopes.to_string(),
    };
    let mut answer = Answer::ok(&body, outcome);
    let headers = answer.response.headers_mut();
    // RFC 6749 section 5.1 asks for it beside Cache-Control.
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    if in_cookies {
        for cookie in pair.cookies().map_err(problem::too_long_for_cookies)? {
            let mut value = HeaderValue::from_str(cookie.expose()).map_err(|error| Problem::unavailable(&error))?;
            value.set_sensitive(true);
            headers.append(header::SET_COOKIE, value);
        }
    }
    Ok(answer.recorded(|record| {
        let record = record.with("user", &pair.username).with("session", &pair.session.id).with("scope", &pair.scopes);
        match pair.key_made {
            Some(made) => record.counting(Metric::KeyAge(made.until(pair.issued))),
            None => record,
        }
    }))
}

/// What the log is to say of a refresh token that another client had used a moment before. What a program calls itself is
/// not said: it may be anything.
pub(crate) fn shared_token(record: CallRecord, client: &Client, other: &Client) -> CallRecord {
    let differs = match (client.address != other.address, client.user_agent != other.user_agent) {
        (true, true) => "address user_agent",
        (true, false) => "address",
        (false, _) => "user_agent",
    };
    record
        .security_event("refresh_token_shared")
        .with("differs", differs)
        .with_any("other_address", other.address.as_ref())
}
