//! Finds the one credential of a request: a bearer token (RFC 6750 section 2.1), or a cookie that holds one.

use shared::cookie;

use crate::event::{Event, Header, Name};

/// The request doesn't have exactly one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialError {
    /// No `Authorization` header and no cookie.
    #[error("the request has no credential")]
    Missing,
    /// More than one.
    #[error("the request has several credentials")]
    Several,
    /// The `Authorization` header is not a single bearer token.
    #[error("the Authorization header is not a single bearer token")]
    NotBearer,
    /// The cookie is not a token.
    #[error("the cookie is not a token")]
    NotToken,
}

impl CredentialError {
    /// The word for the log.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Missing => "no_credential",
            Self::Several => "several_credentials",
            Self::NotBearer => "not_bearer",
            Self::NotToken => "not_a_token",
        }
    }
}

/// A token, and how it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    /// In a header that the client put there itself.
    Header(&'a str),
    /// In a cookie, which a browser sends whoever made it do so.
    Cookie(&'a str),
}

impl<'a> Credential<'a> {
    /// The credential of a request. Of two there is one only if they are the same token: which of them a proxy on the
    /// way has looked at can't be known.
    pub(crate) fn of(event: &'a Event<'_>) -> Result<Self, CredentialError> {
        let in_header = bearer(event)?;
        let in_cookie = cookie::find(event.cookies(), cookie::ACCESS).map_err(|_| CredentialError::Several)?;
        match (in_header, in_cookie) {
            (None, None) => Err(CredentialError::Missing),
            (Some(header), Some(cookie)) if header != cookie => Err(CredentialError::Several),
            (Some(token), _) => Ok(Self::Header(token)),
            (None, Some(token)) if is_token(token) => Ok(Self::Cookie(token)),
            (None, Some(_)) => Err(CredentialError::NotToken),
        }
    }

    pub(crate) fn token(self) -> &'a str {
        match self {
            Self::Header(token) | Self::Cookie(token) => token,
        }
    }
}

/// The bearer token of the `Authorization` header, if there is such a header.
///
/// Two such headers are refused, also two equal ones. An HTTP API joins repeated ones with commas, which no token
/// has.
fn bearer<'a>(event: &'a Event<'_>) -> Result<Option<&'a str>, CredentialError> {
    let value = match event.header(Name::Authorization) {
        Header::Absent => return Ok(None),
        Header::Single(value) => value,
        Header::Repeated => return Err(CredentialError::Several),
    };
    let (scheme, token) = value.split_once(' ').ok_or(CredentialError::NotBearer)?;
    let token = token.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && is_token(token) {
        Ok(Some(token))
    } else {
        Err(CredentialError::NotBearer)
    }
}

/// `b64token` of RFC 6750 section 2.1; in particular neither a comma nor a space.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(headers: &Value, multiple: &Value) -> Result<String, CredentialError> {
        let event = json!({ "headers": headers, "multiValueHeaders": multiple }).to_string();
        Credential::of(&serde_json::from_str(&event).unwrap()).map(|credential| credential.token().to_owned())
    }

    /// The same with a cookie of the access token, in each form that events have for it.
    fn with_cookie(authorization: Option<&str>, cookie: &str) -> Vec<Result<String, CredentialError>> {
        let cookie = format!("theme=dark; __Host-access_token={cookie}");
        let authorization = authorization.map_or(json!({}), |value| json!({ "Authorization": value }));
        let with = |name: &str| {
            let mut headers = authorization.clone();
            headers[name] = json!(cookie);
            json!({ "headers": headers })
        };
        [
            with("Cookie"),
            with("cookie"),
            json!({ "headers": authorization, "cookies": cookie.split("; ").collect::<Vec<_>>() }),
        ]
        .into_iter()
        .map(|event| {
            let event = event.to_string();
            let event: Event<'_> = serde_json::from_str(&event).unwrap();
            Credential::of(&event).map(|credential| match credential {
                Credential::Header(token) => format!("header {token}"),
                Credential::Cookie(token) => format!("cookie {token}"),
            })
        })
        .collect()
    }

    #[test]
    fn a_cookie_will_do_and_a_header_must_have_the_same_token() {
        for found in with_cookie(None, "a.b-c_d") {
            assert_eq!(found.unwrap(), "cookie a.b-c_d");
        }
        for found in with_cookie(Some("Bearer a.b"), "a.b") {
            assert_eq!(found.unwrap(), "header a.b");
        }
        for found in with_cookie(Some("Bearer a.b"), "a.c") {
            assert_eq!(found, Err(CredentialError::Several));
        }
        // A header without a token doesn't let the cookie count.
        for found in with_cookie(Some("Basic YTpi"), "a.b") {
            assert_eq!(found, Err(CredentialError::NotBearer));
        }
        for found in with_cookie(None, "a.b; __Host-access_token=a.b") {
            assert_eq!(found, Err(CredentialError::Several));
        }
        for found in with_cookie(None, "\"a.b\"") {
            assert_eq!(found, Err(CredentialError::NotToken));
        }
        for found in with_cookie(None, "") {
            assert_eq!(found, Err(CredentialError::Missing));
        }
    }

    #[test]
    fn finds_the_token_in_either_form_of_headers_and_in_any_case() {
        for name in ["Authorization", "authorization", "AUTHORIZATION"] {
            for value in ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER   a.b-c_d"] {
                let (one, list) = (json!({ name: value }), json!({ name: [value] }));
                for (headers, multiple) in
                    [(&one, &list), (&one, &Value::Null), (&Value::Null, &list), (&json!({}), &list)]
                {
                    assert_eq!(found(headers, multiple).unwrap(), "a.b-c_d");
                }
            }
        }
    }

    #[test]
    fn no_header_is_missing() {
        assert_eq!(found(&Value::Null, &Value::Null), Err(CredentialError::Missing));
        assert_eq!(found(&json!({ "X-Authorization": "Bearer a" }), &json!({})), Err(CredentialError::Missing));
    }

    #[test]
    fn refuses_two_credentials() {
        let a = "Bearer a";
        for (headers, multiple) in [
            (json!({ "Authorization": a }), json!({ "Authorization": [a, a] })),
            (json!({ "Authorization": a }), json!({ "Authorization": ["Bearer b"] })),
            (json!({ "Authorization": a, "authorization": a }), json!({})),
            (json!({}), json!({ "Authorization": [a], "authorization": [a] })),
        ] {
            assert_eq!(found(&headers, &multiple), Err(CredentialError::Several), "{headers} {multiple}");
        }
        assert_eq!(
            found(&json!({ "Authorization": "Bearer a,Bearer b" }), &json!({})),
            Err(CredentialError::NotBearer)
        );
    }

    #[test]
    fn refuses_what_is_no_bearer_token() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Basic YTpi",
            "a.b.c",
            "Bearer a b",
            "Bearer a ",
            " Bearer a",
            "Bearer\ta",
            "Bearer ä",
            "Bearer a\n",
            "Bearer a, b",
        ] {
            assert_eq!(
                found(&json!({ "Authorization": value }), &json!({})),
                Err(CredentialError::NotBearer),
                "{value:?}"
            );
        }
    }
}
