//! Wires the token endpoint to Lambda.

use std::time::SystemTime;

use login::Login;
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    BoxError, aws, http,
    key_source::{KeyRefresh, KeySource, SigningRing},
    log::{self, causes},
    settings::Settings,
    store::Store,
    time::Timestamp,
};
use tracing::warn;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment and the clock in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    log::start(settings.required("LOG_LEVEL")?, env!("CARGO_CRATE_NAME"));
    let sdk = aws::sdk_config().await?;
    let clock = || Timestamp::from(SystemTime::now());
    let ring = SigningRing::new(settings.required("SIGNING_KEYS")?, &sdk);
    let keys = KeySource::new(ring, settings.optional("KEY_REFRESH")?.unwrap_or(KeyRefresh::OF_A_SIGNER), clock);
    // Lambda gives full speed to the start; a failure is tried again by the first request.
    if let Err(error) = keys.keys().await {
        warn!(cause = causes(&error), "no signing keys yet");
    }
    let login = Login::new(
        Store::new(&sdk, settings.required::<String>("TABLE_NAME")?),
        keys,
        settings.optional("ISSUER")?.unwrap_or_default(),
        settings.required("AUDIENCE")?,
        settings.required("ACCESS_TOKEN_LIFETIME")?,
        settings.required("BCRYPT_COST")?,
        clock,
        UnwrapErr(SysRng),
    );
    http::run(settings.optional("CORS_ORIGINS")?.unwrap_or_default(), |request| login.handle(request)).await
}
