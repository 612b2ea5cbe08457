//! Who issues the tokens: the `iss` claim.

use std::{borrow::Cow, convert::Infallible, str::FromStr};

/// The issuer, by setting or by the address that a request came to.
///
/// The template can't give a function its API's address (the API needs the functions first), so without
/// the setting it is `https://` with the domain and the stage of the request. The gateway sets both;
/// nothing that a client sends takes part.
#[derive(Clone, Debug, Default)]
pub enum Issuer {
    /// The setting's text, as it is.
    Fixed(String),
    /// The request's own.
    #[default]
    OfRequest,
}

impl Issuer {
    /// The issuer for a request; `None` where it has to come from the request and the request doesn't
    /// say its domain.
    #[must_use]
    pub fn for_request(&self, domain: Option<&str>, stage: Option<&str>) -> Option<Cow<'_, str>> {
        match (self, domain, stage) {
            (Self::Fixed(issuer), _, _) => Some(Cow::Borrowed(issuer)),
            (Self::OfRequest, None | Some(""), _) => None,
            // The address of an HTTP API leaves the default stage out.
            (Self::OfRequest, Some(domain), None | Some("" | "$default")) => Some(format!("https://{domain}").into()),
            (Self::OfRequest, Some(domain), Some(stage)) => Some(format!("https://{domain}/{stage}").into()),
        }
    }

    /// The addresses that this API goes by: the issuer's, and that of the domain that a request came to. Pages of their
    /// origins may act with cookies.
    #[must_use]
    pub fn own_addresses(&self, domain: Option<&str>, stage: Option<&str>) -> [Option<Cow<'_, str>>; 2] {
        [self.for_request(domain, stage), domain.map(|domain| format!("https://{domain}").into())]
    }
}

impl FromStr for Issuer {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::Fixed(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_goes_first() {
        let issuer: Issuer = "https://id.example.com".parse().unwrap();
        assert_eq!(issuer.for_request(Some("a.example"), Some("prod")).unwrap(), "https://id.example.com");
        assert_eq!(issuer.for_request(None, None).unwrap(), "https://id.example.com");
    }

    #[test]
    fn without_it_the_request_says() {
        let issuer = Issuer::default();
        assert_eq!(issuer.for_request(Some("a.example"), Some("prod")).unwrap(), "https://a.example/prod");
        assert_eq!(issuer.for_request(Some("a.example"), Some("$default")).unwrap(), "https://a.example");
        assert_eq!(issuer.for_request(Some("a.example"), None).unwrap(), "https://a.example");
        assert_eq!(issuer.for_request(None, Some("prod")), None);
    }
}
