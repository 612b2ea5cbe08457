//! Wires the authorizer to Lambda.

use std::time::SystemTime;

use authorizer::Authorizer;
use lambda_runtime::service_fn;
use shared::{
    BoxError, aws,
    key_source::KeySource,
    log::{self, causes},
    settings::Settings,
    time::Timestamp,
};
use tracing::warn;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment and the clock in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    log::start(settings.required("LOG_LEVEL")?);
    let sdk = aws::sdk_config().await?;
    let keys = KeySource::verifying(settings.required("VERIFYING_KEYS")?, &sdk);
    // Lambda gives full speed to the start; a failure is tried again by the first request.
    if let Err(error) = keys.ring().await {
        warn!(cause = causes(&error), "no verifying keys yet");
    }
    let authorizer = Authorizer {
        keys,
        issuer: settings.optional("ISSUER")?.unwrap_or_default(),
        audience: settings.required("AUDIENCE")?,
        clock: || Timestamp::from(SystemTime::now()),
    };
    lambda_runtime::run(service_fn(|event| authorizer.handle(event))).await
}
