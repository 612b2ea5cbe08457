//! Wires the authorizer to Lambda.

use authorizer::{Authorizer, LiveRevocation, RouteScopes};
use shared::{
    BoxError,
    aws::{
        key_cache::KeyCache,
        key_readers::{SigningRing, VerifyingRing},
    },
    causes,
    lambda::{
        Function,
        settings::{self, Setting},
    },
    session::RevocationDelay,
};
use tracing::warn;

/// The scopes that routes need: see [`RouteScopes`].
const ROUTE_SCOPES: Setting<RouteScopes> = Setting::new("ROUTE_SCOPES", None);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let routes = function.setting(&ROUTE_SCOPES)?;
    let (sdk, clock) = (function.sdk()?, function.clock());
    let ring = match function.optional(&settings::VERIFYING_KEYS)? {
        Some(ring) => VerifyingRing::Inline(ring.into()),
        None => VerifyingRing::Published {
            store: function.store(&sdk)?,
            secrets: function.optional(&settings::SIGNING_KEYS)?.map(|setting| SigningRing::new(setting, &sdk)),
        },
    };
    let keys = KeyCache::new(ring, function.setting(&settings::KEY_REFRESH)?.into(), clock.clone());
    // Lambda gives full speed to the start; a failure is tried again by the first request.
    if let Err(error) = keys.keys().await {
        warn!(cause = causes(&error), "no verifying keys yet");
    }
    let revocation = match function.setting(&settings::LIVE_REVOCATION)? {
        RevocationDelay::Off => None,
        RevocationDelay::AtMost(delay) => Some(LiveRevocation::new(function.store(&sdk)?, delay)),
    };
    let authorizer = Authorizer {
        keys,
        issuer: function.optional(&settings::ISSUER)?.unwrap_or_default(),
        audience: function.setting(&settings::AUDIENCE)?,
        origins: function.optional(&settings::CORS_ORIGINS)?.unwrap_or_default(),
        routes,
        revocation,
        clock,
    };
    function.run_raw_events(async |event| authorizer.handle(event).await).await
}
