//! Finds the one credential of a request (RFC 6750 section 2.1).

use crate::event::Event;

/// The request has no single bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("no Authorization header")]
    Missing,
    #[error("more than one Authorization header")]
    Several,
    #[error("the Authorization header is no single bearer token")]
    NotBearer,
}

/// The bearer token of the `Authorization` header, whatever the header's case.
///
/// A REST API sends each header twice, as its last value and as the list of all; an HTTP API joins
/// repeated ones with commas. Two credentials are refused, also two equal ones: which of them a proxy on
/// the way has looked at can't be known.
pub(crate) fn bearer(event: &Event) -> Result<&str, CredentialError> {
    let is_authorization = |name: &String| name.eq_ignore_ascii_case("authorization");
    let single: Vec<&str> =
        event.headers.iter().filter(|(name, _)| is_authorization(name)).map(|(_, value)| value.as_str()).collect();
    let multiple: Vec<&str> = event
        .multi_value_headers
        .iter()
        .filter(|(name, _)| is_authorization(name))
        .flat_map(|(_, values)| values.iter().map(String::as_str))
        .collect();
    let value = match (single.as_slice(), multiple.as_slice()) {
        ([], []) => return Err(CredentialError::Missing),
        ([value], []) | ([], [value]) => value,
        ([one], [other]) if one == other => one,
        _ => return Err(CredentialError::Several),
    };
    let (scheme, token) = value.split_once(' ').ok_or(CredentialError::NotBearer)?;
    let token = token.trim_start_matches(' ');
    // `b64token` of RFC 6750 section 2.1; in particular neither a comma nor another space.
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(in_token) {
        Ok(token)
    } else {
        Err(CredentialError::NotBearer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(headers: &Value, multiple: &Value) -> Result<String, CredentialError> {
        let event = json!({ "headers": headers, "multiValueHeaders": multiple });
        bearer(&serde_json::from_value(event).unwrap()).map(str::to_owned)
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
