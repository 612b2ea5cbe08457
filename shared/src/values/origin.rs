//! Origins (RFC 6454): whose pages may read our answers, and whose may act with a visitor's cookies.

use std::str::FromStr;

/// The origins of the setting: pages of theirs may do with this API what its own could.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<String>);

/// The text is not a list of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a list of origins such as https://app.example.com, separated by commas")]
pub struct InvalidOrigins;

impl FromStr for Origins {
    type Err = InvalidOrigins;

    fn from_str(text: &str) -> Result<Self, InvalidOrigins> {
        let origins: Vec<String> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
        let well_formed = |origin: &String| {
            ["https://", "http://"].iter().any(|scheme| {
                origin.strip_prefix(scheme).is_some_and(|host| {
                    !host.is_empty()
                        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte))
                })
            })
        };
        if origins.iter().all(well_formed) { Ok(Self(origins)) } else { Err(InvalidOrigins) }
    }
}

/// The headers that name the page which made a request. Only a browser sets them: scripts can't.
#[derive(Clone, Copy, Debug, Default)]
pub struct Provenance<'a> {
    /// `Origin` (RFC 6454 section 7).
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site` (Fetch Metadata Request Headers, section 2.3).
    pub fetch_site: Option<&'a str>,
}

impl Provenance<'_> {
    /// Whether the request has neither header, as those of programs other than browsers.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.origin.is_none() && self.fetch_site.is_none()
    }
}

impl Origins {
    /// Whether no origin is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is listed; compared byte for byte.
    #[must_use]
    pub fn contains(&self, origin: &str) -> bool {
        self.0.iter().any(|listed| listed == origin)
    }

    /// Whether a request may change something with nothing but a cookie to show: it comes from a page of this API's
    /// own origin, or of a listed one. `own` are the addresses that this API goes by.
    ///
    /// A browser sends cookies along with requests that any page has made. `SameSite=Strict` keeps pages of other
    /// sites out, but not those of other subdomains and ports.
    #[must_use]
    pub fn may_act<'a>(&self, own: impl IntoIterator<Item = &'a str>, from: Provenance<'_>) -> bool {
        let listed = from.origin.is_some_and(|origin| self.contains(origin));
        match from.fetch_site {
            Some("same-origin") => true,
            // An old browser sends the origin only.
            None => listed || from.origin.is_some_and(|origin| own.into_iter().any(|own| origin_of(own) == origin)),
            Some(_) => listed,
        }
    }
}

/// The origin of a URL: its scheme, host and port.
fn origin_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    url[authority..].find('/').map_or(url, |path| &url[..authority + path])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["https://api.example.com/prod", "https://abc.execute-api.eu-west-1.amazonaws.com"];

    fn may_act(origin: Option<&str>, fetch_site: Option<&str>) -> bool {
        let listed: Origins = "https://app.example.com".parse().unwrap();
        listed.may_act(OWN, Provenance { origin, fetch_site })
    }

    #[test]
    fn a_page_of_the_api_s_own_origin_or_of_a_listed_one_may_act() {
        for origin in ["https://api.example.com", "https://abc.execute-api.eu-west-1.amazonaws.com"] {
            assert!(may_act(Some(origin), None) && may_act(Some(origin), Some("same-origin")), "{origin}");
        }
        assert!(may_act(None, Some("same-origin")));
        for fetch_site in [None, Some("same-site"), Some("cross-site")] {
            assert!(may_act(Some("https://app.example.com"), fetch_site), "{fetch_site:?}");
        }
    }

    #[test]
    fn no_other_page_may() {
        for origin in [
            "https://evil.example",
            "https://api.example.com.evil.example",
            "http://api.example.com",
            "https://api.example.com:444",
            "https://api.example.com/prod",
            "https://app.example.com/",
            "HTTPS://APP.EXAMPLE.COM",
            "null",
            "",
        ] {
            for fetch_site in [None, Some("same-site"), Some("cross-site"), Some("none"), Some("")] {
                assert!(!may_act(Some(origin), fetch_site), "{origin} {fetch_site:?}");
            }
        }
        for fetch_site in [None, Some("same-site"), Some("cross-site"), Some("none"), Some("Same-Origin"), Some("")] {
            assert!(!may_act(None, fetch_site), "{fetch_site:?}");
        }
        // One that contradicts itself.
        assert!(!may_act(Some("https://api.example.com"), Some("cross-site")));
    }

    #[test]
    fn refuses_what_is_no_origin() {
        for text in
            ["*", "app.example.com", "https://", "https://a/b", "https://a,", "https://*.example.com", "ftp://a"]
        {
            assert_eq!(text.parse::<Origins>().unwrap_err(), InvalidOrigins, "{text}");
        }
    }

    #[test]
    fn the_origin_of_a_url_ends_before_its_path() {
        for (url, origin) in [
            ("https://a.example/prod/x", "https://a.example"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://a.example/", "https://a.example"),
            ("", ""),
        ] {
            assert_eq!(origin_of(url), origin);
        }
    }
}
