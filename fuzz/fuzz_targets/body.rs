//! Bodies of `POST /login` and `POST /revoke`, as a form and as JSON. There is no key to sign with, so that nobody is
//! signed in, and no store is asked.
#![no_main]

use std::{collections::BTreeMap, time::Duration};

use fuzz::forge::NOW;
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{Method, header::CONTENT_TYPE},
};
use libfuzzer_sys::fuzz_target;
use login::TokenEndpoint;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use shared::{
    aws::{key_cache::KeyCache, key_readers::SigningRing, sdk::laptop_config},
    issuer::Issuer,
    lambda::{
        Router,
        body::{Fields, MAX_BODY},
    },
    origin::Origins,
    password::Cost,
    random, routes,
    session::Policy,
    session_limit::SessionLimit,
    store::Store,
    time::Clock,
    use_cases::{authenticate::Authenticator, issue_tokens::TokenIssuer},
};
use tokio::runtime::Runtime;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const FIELDS: [&str; 9] =
    ["grant_type", "username", "password", "scope", "client_id", "cookie", "refresh_token", "token", "token_type_hint"];

struct Endpoint {
    endpoint: TokenEndpoint,
    runtime: Runtime,
}

thread_local! {
    static ENDPOINT: Endpoint = Endpoint::new();
}

impl Endpoint {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nothing listens there, and nothing is to be sent.
        let sdk = laptop_config("http://127.0.0.1:9");
        let (clock, store) = (Clock::stopped(NOW), Store::new(&sdk, "table"));
        let ring = SigningRing::new(r#"{"keys":[]}"#.parse().unwrap(), &sdk);
        let endpoint = TokenEndpoint {
            authenticator: Authenticator::new(
                store.clone(),
                Cost::new(4).unwrap(),
                "100".parse().unwrap(),
                clock.clone(),
                random::system(),
            ),
            store,
            tokens: TokenIssuer {
                keys: KeyCache::new(ring, Duration::from_mins(1), clock.clone()),
                audience: "gatehouse".to_owned(),
                lifetime: Duration::from_mins(30),
                clock,
                random: random::system(),
            },
            policy: Policy {
                lifetime: Duration::from_secs(1000),
                idle: Duration::from_secs(100),
                grace: Duration::from_secs(10),
            },
            limit: SessionLimit(100),
            issuer: Issuer::Fixed("https://api.example.com/prod".to_owned()),
            origins: Origins::default(),
        };
        Self { endpoint, runtime }
    }

    fn answer(&self, path: &str, content_type: &str, body: &[u8]) -> (u16, String) {
        let mut request = request(content_type, body).with_raw_http_path(path);
        *request.method_mut() = Method::POST;
        let router = Router::new()
            .route(routes::LOGIN, |call| self.endpoint.grant(call))
            .route(routes::REVOKE, |call| self.endpoint.revoke(call));
        let response: Response<Body> = self.runtime.block_on(router.answer(request)).0;
        let Body::Text(text) = response.body() else { panic!("no text") };
        (response.status().as_u16(), text.clone())
    }
}

fn request(content_type: &str, body: &[u8]) -> Request {
    let mut request = Request::new(Body::Binary(body.to_vec()));
    if let Ok(value) = content_type.parse() {
        request.headers_mut().insert(CONTENT_TYPE, value);
    }
    request
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else { return };
    let content_type = if kind & 1 == 0 { FORM } else { JSON };
    let path = if kind & 2 == 0 { "/login" } else { "/revoke" };
    ENDPOINT.with(|endpoint| check(endpoint, path, content_type, body));
});

fn check(endpoint: &Endpoint, path: &str, content_type: &str, body: &[u8]) {
    let (status, text) = endpoint.answer(path, content_type, body);
    let answer: Value = serde_json::from_str(&text).unwrap();
    match status {
        // RFC 7009 section 2.2: a token that nobody knows needs no revocation.
        200 => assert_eq!((path, text.as_str()), ("/revoke", "{}")),
        400 | 401 | 503 => {
            assert!(answer["error"].is_string() && answer["error_description"].is_string());
            assert_eq!(answer.as_object().unwrap().len(), 2);
        }
        _ => panic!("{status}"),
    }

    let Ok(mut fields) = Fields::of(&request(content_type, body)) else {
        assert_eq!(status, 400);
        return;
    };
    let mut values = BTreeMap::new();
    for name in FIELDS {
        match fields.take(name) {
            Ok(None) => {}
            Ok(Some(value)) => {
                values.insert(name, value.to_string());
            }
            // Refused, or a flag of JSON's, or of the other endpoint.
            Err(_) => return,
        }
    }
    if status != 400 {
        let needed: &[&str] = if path == "/revoke" { &["token"] } else { &["username", "password"] };
        assert!(needed.iter().all(|name| values.contains_key(name)));
    }
    // The same fields, written in another way and in another order, get the same answer.
    let form: Vec<String> = values
        .iter()
        .rev()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    let (form, json) = (form.join("&"), serde_json::to_string(&values).unwrap());
    for (content_type, body) in [(FORM, form), (JSON, json)] {
        if body.len() <= MAX_BODY {
            assert_eq!(endpoint.answer(path, content_type, body.as_bytes()), (status, text.clone()), "{content_type}");
        }
    }
}
