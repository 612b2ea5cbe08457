//! The cookies that hold a web app's tokens (RFC 6265): no script can read them.

use std::time::Duration;

use zeroize::Zeroizing;

/// The cookie of the access token. By its prefix, browsers take it over TLS only (or on a laptop, from itself), for
/// this host only, and not from a subdomain.
pub const ACCESS: &str = "__Host-access_token";
/// The cookie of the refresh token.
pub const REFRESH: &str = "__Host-refresh_token";

/// Browsers need not keep a larger cookie, in bytes (RFC 6265 section 6.1).
pub const MAX_LENGTH: usize = 4096;

/// Strict: it comes with requests of this site's own pages only.
const ATTRIBUTES: &str = "Path=/; HttpOnly; Secure; SameSite=Strict";

/// A `Set-Cookie` header's value. It can't be printed by accident.
pub struct SetCookie(Zeroizing<String>);

/// The cookie would be larger than browsers keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tokens are too long for cookies: ask for fewer scopes")]
pub struct TooLong;

impl SetCookie {
    /// Sets a cookie for so long.
    ///
    /// # Errors
    /// [`TooLong`] from [`MAX_LENGTH`] bytes on, attributes included.
    pub fn set(name: &str, value: &str, max_age: Duration) -> Result<Self, TooLong> {
        let text = Zeroizing::new(format!("{name}={value}; Max-Age={}; {ATTRIBUTES}", max_age.as_secs()));
        if text.len() < MAX_LENGTH { Ok(Self(text)) } else { Err(TooLong) }
    }

    /// Takes a cookie back.
    #[must_use]
    pub fn clear(name: &str) -> Self {
        Self(Zeroizing::new(format!("{name}=; Max-Age=0; {ATTRIBUTES}")))
    }

    /// The header's text, for the answer to its holder and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A cookie of ours is there several times: which of them counts can't be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cookie is repeated")]
pub struct Repeated;

/// Finds the cookie of this name in `Cookie` headers. A cookie with an empty value counts as absent.
///
/// # Errors
/// [`Repeated`] where there are several.
pub fn find<'a>(headers: impl IntoIterator<Item = &'a str>, name: &str) -> Result<Option<&'a str>, Repeated> {
    let mut values = headers
        .into_iter()
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, value)| *found == name && !value.is_empty())
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Repeated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_and_out_of_reach_of_scripts() {
        assert_eq!(
            SetCookie::set(ACCESS, "a.b.c", Duration::from_mins(30)).unwrap().expose(),
            "__Host-access_token=a.b.c; Max-Age=1800; Path=/; HttpOnly; Secure; SameSite=Strict"
        );
        assert_eq!(
            SetCookie::clear(REFRESH).expose(),
            "__Host-refresh_token=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict"
        );
    }

    #[test]
    fn one_that_browsers_would_drop_is_refused() {
        let longest = |length| SetCookie::set(ACCESS, &"x".repeat(length), Duration::from_mins(30));
        let around = longest(0).unwrap().expose().len();
        assert_eq!(longest(MAX_LENGTH - 1 - around).unwrap().expose().len(), 4095);
        assert!(longest(MAX_LENGTH - around).is_err());
    }

    #[test]
    fn finds_the_one_of_that_name() {
        for headers in [
            &["__Host-access_token=a.b"][..],
            &["x=1; __Host-access_token=a.b;y=2"],
            &["x=__Host-access_token=c", "__Host-access_token=a.b"],
            &["__Host-access_token=; __Host-access_token=a.b"],
        ] {
            assert_eq!(find(headers.iter().copied(), ACCESS), Ok(Some("a.b")), "{headers:?}");
        }
        for headers in [&[][..], &[""], &["access_token=a"], &["__host-access_token=a"], &["__Host-access_token"]] {
            assert_eq!(find(headers.iter().copied(), ACCESS), Ok(None), "{headers:?}");
        }
        for headers in [&["__Host-access_token=a; __Host-access_token=a"][..], &["__Host-access_token=a"; 2]] {
            assert_eq!(find(headers.iter().copied(), ACCESS), Err(Repeated), "{headers:?}");
        }
    }
}
