//! What the public may know: the API's routes, its public keys (RFC 7517) and its metadata (RFC 8414); and the answers
//! to preflight requests of all routes.

mod metadata;

use lambda_http::http::{HeaderValue, header};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use shared::{
    BoxError,
    aws::{key_cache::KeyCache, key_readers::PublishedKeys},
    issuer::Issuer,
    key::Algorithm,
    lambda::{Answer, Call, Function, Problem, Router, settings},
    routes::{self, Access, Route},
    scope::Scopes,
    store::KeyRow,
    use_cases::Unavailable,
};

use crate::metadata::Metadata;

/// How long others may keep the key set and the metadata. With the 5 minutes that an instance keeps the rows, that is
/// less than the 10 minutes for which a key is published before it signs.
const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=240");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let rows = PublishedKeys(function.store(&function.sdk()?)?);
    let discovery = Discovery {
        keys: KeyCache::new(rows, function.setting(&settings::KEY_REFRESH)?.into(), function.clock()),
        issuer: function.optional(&settings::ISSUER)?.unwrap_or_default(),
        algorithm: function.setting(&settings::SIGNING_ALGORITHM)?,
        scopes: function.optional(&settings::SCOPES)?.unwrap_or_default(),
    };
    let router = Router::new()
        .route(routes::WELCOME, async |_: Call| Ok(welcome()))
        .route(routes::KEY_SET, |_| discovery.key_set())
        .route(routes::SERVER_METADATA, |call| discovery.metadata(call))
        .route(routes::OPENID_CONFIGURATION, |call| discovery.metadata(call));
    function.serve(router).await
}

/// The handlers, with all that they need.
struct Discovery {
    /// The published keys.
    keys: KeyCache<PublishedKeys>,
    /// The tokens' issuer; all addresses in the metadata begin with it.
    issuer: Issuer,
    /// The algorithm that the next token is signed with.
    algorithm: Algorithm,
    /// The scopes that the metadata names.
    scopes: Scopes,
}

impl Discovery {
    /// The public halves of all keys that verify now, the newest first. With HS256 there is none.
    async fn key_set(&self) -> Result<Answer, Problem> {
        let rows = self.keys.keys().await.map_err(Unavailable::from)?;
        let keys: Vec<&RawValue> = rows.iter().filter_map(public_half).collect();
        Ok(public(&json!({ "keys": keys }), "key_set"))
    }

    async fn metadata(&self, call: Call) -> Result<Answer, Problem> {
        let no_issuer = || Unavailable("ISSUER is not set, and the request doesn't say its domain".into());
        let issuer = call.issuer(&self.issuer).ok_or_else(no_issuer)?;
        let rows = self.keys.keys().await.map_err(Unavailable::from)?;
        let mut algorithms = vec![self.algorithm];
        for algorithm in rows.iter().filter_map(KeyRow::algorithm) {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        Ok(public(&Metadata::of(&issuer, &self.scopes, algorithms), "metadata"))
    }
}

fn public_half(row: &KeyRow) -> Option<&RawValue> {
    row.jwk.as_deref().and_then(|jwk| serde_json::from_str(jwk).ok())
}

fn public(body: &impl Serialize, outcome: &'static str) -> Answer {
    let mut answer = Answer::ok(body, outcome);
    answer.response.headers_mut().insert(header::CACHE_CONTROL, PUBLIC);
    answer
}

fn welcome() -> Answer {
    let describe = |route: &Route| {
        let description = match route.access {
            Access::Anyone | Access::SignedIn => route.summary.to_owned(),
            Access::Scope(scope) => format!("{}; needs the scope {scope}", route.summary),
        };
        json!({ "method": route.method, "path": route.path, "description": description })
    };
    let body = json!({
        "name": "Gatehouse",
        "description": "JWT authentication for AWS Lambda",
        "version": env!("CARGO_PKG_VERSION"),
        "routes": routes::ALL.iter().map(describe).collect::<Vec<_>>(),
    });
    Answer::ok(&body, "welcome")
}
