//! Wires the authorizer to Lambda.

use std::time::SystemTime;

use authorizer::{Authorizer, LiveRevocation, RouteScopes, Staleness};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use shared::{
    BoxError, aws,
    key_source::{KeySource, SigningRing, VerifyingRing},
    log::{Log, causes},
    settings::Settings,
    store::Store,
    time::Timestamp,
};
use tracing::warn;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment and the clock in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    let log = Log::start(&settings, env!("CARGO_PKG_NAME"))?;
    let routes: RouteScopes = settings.required("ROUTE_SCOPES")?;
    let sdk = aws::sdk_config(&settings)?;
    let clock = || Timestamp::from(SystemTime::now());
    let ring = match settings.optional::<String>("VERIFYING_KEYS")? {
        Some(ring) => VerifyingRing::Inline(ring.into()),
        None => VerifyingRing::Published {
            store: Store::new(&sdk, settings.required::<String>("TABLE_NAME")?),
            secrets: settings.optional("SIGNING_KEYS")?.map(|setting| SigningRing::new(setting, &sdk)),
        },
    };
    let keys = KeySource::new(ring, settings.optional("KEY_REFRESH")?.unwrap_or_default(), clock);
    // Lambda gives full speed to the start; a failure is tried again by the first request.
    if let Err(error) = keys.keys().await {
        warn!(cause = causes(&error), "no verifying keys yet");
    }
    let revocation = match settings.required("LIVE_REVOCATION")? {
        Staleness::Unbounded => None,
        Staleness::Bounded(bound) => {
            Some(LiveRevocation::new(Store::new(&sdk, settings.required::<String>("TABLE_NAME")?), bound))
        }
    };
    let authorizer = Authorizer {
        keys,
        issuer: settings.optional("ISSUER")?.unwrap_or_default(),
        audience: settings.required("AUDIENCE")?,
        origins: settings.optional("CORS_ORIGINS")?.unwrap_or_default(),
        routes,
        revocation,
        clock,
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        log.call(&event.context.request_id, authorizer.handle(event.payload.get())).await
    }))
    .await
}
