//! Cross-origin requests (Fetch standard, "CORS protocol").

use lambda_http::{
    Body, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use crate::values::origin::Origins;

/// Lets pages of the listed origins read our answers, with cookies or without.
#[derive(Clone, Debug, Default)]
pub struct Cors(pub Origins);

impl Cors {
    /// Lets a page of a listed origin read the response; any other origin gets no header at all.
    pub fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // A shared cache must not serve one origin's answer to another.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| origin.to_str().is_ok_and(|origin| self.0.contains(origin))) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
        }
    }

    /// The answer to a preflight request: what a page of a listed origin may send.
    #[must_use]
    pub fn preflight() -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &Cors, origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        cors.allow(Some(&HeaderValue::from_static(origin)), &mut headers);
        headers
    }

    #[test]
    fn only_a_listed_origin_is_allowed() {
        let cors = Cors("https://app.example.com, http://localhost:5173".parse().unwrap());
        for origin in ["https://app.example.com", "http://localhost:5173"] {
            let headers = allowed(&cors, origin);
            assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
            assert_eq!(headers[header::ACCESS_CONTROL_EXPOSE_HEADERS], "Retry-After");
        }
        for origin in ["https://evil.example", "https://app.example.com.evil.example", "null", "http://app.example.com"]
        {
            let headers = allowed(&cors, origin);
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{origin}");
            assert_eq!(headers[header::VARY], "Origin");
        }
        assert!(allowed(&Cors::default(), "https://app.example.com").is_empty());
    }
}
