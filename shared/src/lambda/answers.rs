//! What a function answers, with the record of the call: an [`Answer`], or a [`Problem`] in the one error shape.

use std::{borrow::Cow, error::Error, time::Duration};

use lambda_http::{
    Body, Response,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;

use super::{body::Malformed, call_record::CallRecord, caller::Unauthenticated, metric::Metric};
use crate::values::{
    cookie::{self, SetCookie},
    guessing::Throttled,
};

/// A successful answer, and the record of the call for the log.
#[derive(Debug)]
pub struct Answer {
    /// The response to the client.
    pub response: Response<Body>,
    /// The call's record in the log.
    pub record: CallRecord,
}

impl Answer {
    /// 200 and JSON that no cache keeps; the call's outcome is one of a small number of words.
    #[must_use]
    pub fn ok(body: &impl Serialize, outcome: &'static str) -> Self {
        Self { response: json(StatusCode::OK, body), record: CallRecord::new(outcome) }
    }

    /// 201 and JSON that no cache keeps.
    #[must_use]
    pub fn created(body: &impl Serialize, outcome: &'static str) -> Self {
        Self { response: json(StatusCode::CREATED, body), record: CallRecord::new(outcome) }
    }

    /// 204 and no body.
    #[must_use]
    pub fn no_content(outcome: &'static str) -> Self {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { response, record: CallRecord::new(outcome) }
    }

    /// The same with another record.
    #[must_use]
    pub fn recorded(self, record: impl FnOnce(CallRecord) -> CallRecord) -> Self {
        Self { record: record(self.record), ..self }
    }

    /// The same, and takes the tokens' cookies back, whether or not the client has any.
    #[must_use]
    pub fn clearing_cookies(mut self) -> Self {
        for name in [cookie::ACCESS, cookie::REFRESH] {
            if let Ok(value) = HeaderValue::from_str(SetCookie::clear(name).expose()) {
                self.response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        self
    }
}

#[cfg(feature = "aws")]
impl Answer {
    /// 200 and how many sessions have ended; `"more":true`, where some are left for the next call.
    #[must_use]
    pub fn of_removal(removal: crate::store::Removal, outcome: &'static str) -> Self {
        #[derive(Serialize)]
        struct Ended {
            ended: usize,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            more: bool,
        }
        let left = !removal.is_complete;
        Self::ok(&Ended { ended: removal.ended, more: left }, outcome).noting_sessions_left(left)
    }

    /// The same; where sessions are left though they should have ended, the log says so.
    #[must_use]
    pub fn noting_sessions_left(self, left: bool) -> Self {
        self.recorded(|record| record.with_any("sessions_left", left.then_some(&left)))
    }
}

/// A call that isn't answered as asked: the error for the client, and the record for the log, which says more.
#[derive(Debug)]
pub struct Problem {
    /// The response to the client.
    pub response: ErrorResponse,
    /// The call's record in the log.
    pub record: CallRecord,
}

impl Problem {
    /// The client is told no, and the log the reason, one of a small number of words.
    #[must_use]
    pub fn refused(response: ErrorResponse, reason: &'static str) -> Self {
        Self { response, record: CallRecord::refused(reason) }
    }

    /// 404.
    #[must_use]
    pub fn not_found(description: &'static str) -> Self {
        Self::refused(ErrorResponse::not_found(description), "not_found")
    }

    /// 403: the access token is valid, and lacks the scope of the route.
    #[must_use]
    pub fn insufficient_scope() -> Self {
        let response =
            ErrorResponse::new(StatusCode::FORBIDDEN, "insufficient_scope", "The access token does not allow this");
        Self::refused(response.with_challenge("Bearer error=\"insufficient_scope\""), "insufficient_scope")
    }

    /// 503: something that the answer needs is down. The cause is for the log only.
    #[must_use]
    pub fn unavailable(cause: &dyn Error) -> Self {
        Self { response: ErrorResponse::unavailable(), record: CallRecord::unavailable(cause) }
    }

    /// The same with another record.
    #[must_use]
    pub fn recorded(self, record: impl FnOnce(CallRecord) -> CallRecord) -> Self {
        Self { record: record(self.record), ..self }
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Self::refused(ErrorResponse::invalid_request(malformed.to_string()), "malformed")
    }
}

impl From<Unauthenticated> for Problem {
    fn from(_: Unauthenticated) -> Self {
        let response =
            ErrorResponse::new(StatusCode::UNAUTHORIZED, "invalid_token", "Sign in, and send the access token");
        Self::refused(response.with_challenge("Bearer error=\"invalid_token\""), "unauthenticated")
    }
}

impl From<Throttled> for Problem {
    fn from(throttled: Throttled) -> Self {
        // The record leaves the username out: it is not verified, and may be a password in the wrong field.
        Self::refused(ErrorResponse::slow_down(throttled.wait), "throttled").recorded(|record| {
            record.with("limit", &throttled.limit).security_event("guesses_throttled").counting(Metric::Throttles)
        })
    }
}

#[cfg(feature = "aws")]
impl From<crate::use_cases::Unavailable> for Problem {
    fn from(unavailable: crate::use_cases::Unavailable) -> Self {
        Self::unavailable(&*unavailable.0)
    }
}

/// Seconds after which a client may try again when something of ours is down.
const RETRY_AFTER: u64 = 5;

/// An answer in the one error shape (RFC 6749 section 5.2): `{"error":"…","error_description":"…"}`.
#[derive(Debug)]
pub struct ErrorResponse {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    challenge: Option<&'static str>,
    /// In seconds.
    retry_after: Option<u64>,
}

impl ErrorResponse {
    /// An error with a code of RFC 6749 or 6750 and a description for people.
    #[must_use]
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error, description: description.into(), challenge: None, retry_after: None }
    }

    /// 400: the request is malformed; the description names the field.
    #[must_use]
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// 503: something that the answer needs is down. The cause belongs in the log, not here.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            retry_after: Some(RETRY_AFTER),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "Try again in a few seconds")
        }
    }

    /// 429: the client may try again after that long, a whole number of seconds.
    #[must_use]
    pub fn slow_down(wait: Duration) -> Self {
        Self {
            retry_after: Some(wait.as_secs()),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "slow_down",
                "Too many attempts; Retry-After says when to try again",
            )
        }
    }

    /// 404.
    #[must_use]
    pub fn not_found(description: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", description)
    }

    /// The same with another description.
    #[must_use]
    pub fn saying(self, description: &'static str) -> Self {
        Self { description: description.into(), ..self }
    }

    /// The same with a `WWW-Authenticate` header. The gateway renames it to
    /// `x-amzn-Remapped-WWW-Authenticate`.
    #[must_use]
    pub fn with_challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }
}

impl From<ErrorResponse> for Response<Body> {
    fn from(error: ErrorResponse) -> Self {
        #[derive(Serialize)]
        struct Shape<'a> {
            error: &'a str,
            error_description: &'a str,
        }
        let mut response = json(error.status, &Shape { error: error.error, error_description: &error.description });
        let headers = response.headers_mut();
        if let Some(challenge) = error.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = error.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An answer in JSON that no cache keeps.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let Ok(text) = serde_json::to_string(body) else {
        // No type of ours fails to serialise; if one did, a 500 would show it.
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_one_shape() {
        let response = Response::from(ErrorResponse::unavailable().with_challenge("Bearer"));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let Body::Text(body) = response.body() else { panic!("no text") };
        assert_eq!(body, r#"{"error":"temporarily_unavailable","error_description":"Try again in a few seconds"}"#);
    }
}
