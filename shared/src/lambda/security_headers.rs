//! The headers that every answer has, so that browsers do nothing with it but what it is for.

use lambda_http::http::{HeaderMap, HeaderValue, header};

/// Puts the headers on an answer. `template.yaml` has the same for the answers that the gateway makes itself.
///
/// HTTPS is asked for during two years, of subdomains as well: a page of a subdomain, over plain HTTP, could be anybody's,
/// and is same-site with this API. Browsers heed it over HTTPS only, so that it changes nothing on a laptop. The policy for
/// content is for JSON, which loads nothing and belongs in no frame; an answer that is a page brings a policy of its own.
pub(super) fn set(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_its_own_content_security_policy() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
        set(&mut headers);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(headers.len(), 4);
    }
}
