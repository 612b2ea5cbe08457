//! Wires the token endpoint to Lambda.

use std::time::SystemTime;

use login::Login;
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    BoxError, aws, http,
    key_source::{KeyRefresh, KeySource, SigningRing},
    log::{Log, causes},
    origin::Origins,
    password::PasswordHash,
    session::{self, GraceWindow, IdleTimeout, Policy},
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
    let sdk = aws::sdk_config(&settings)?;
    let clock = || Timestamp::from(SystemTime::now());
    let signing_ring = SigningRing::new(settings.required("SIGNING_KEYS")?, &sdk);
    let keys =
        KeySource::new(signing_ring, settings.optional("KEY_REFRESH")?.unwrap_or(KeyRefresh::OF_A_SIGNER), clock);
    // Lambda gives full speed to the start; a failure is tried again by the first request.
    if let Err(error) = keys.keys().await {
        warn!(cause = causes(&error), "no signing keys yet");
    }
    let (cost, mut rng) = (settings.required("BCRYPT_COST")?, UnwrapErr(SysRng));
    let origins: Origins = settings.optional("CORS_ORIGINS")?.unwrap_or_default();
    let login = Login {
        store: Store::new(&sdk, settings.required::<String>("TABLE_NAME")?),
        keys,
        issuer: settings.optional("ISSUER")?.unwrap_or_default(),
        audience: settings.required("AUDIENCE")?,
        lifetime: settings.required("ACCESS_TOKEN_LIFETIME")?,
        sessions: Policy {
            lifetime: settings.required::<session::Lifetime>("SESSION_LIFETIME")?.into(),
            idle: settings.required::<IdleTimeout>("SESSION_IDLE_TIMEOUT")?.into(),
            grace: settings.required::<GraceWindow>("REFRESH_GRACE_WINDOW")?.into(),
        },
        origins: origins.clone(),
        cost,
        decoy: PasswordHash::decoy(cost, &mut rng),
        clock,
        rng,
    };
    http::run(log, origins, |request| login.handle(request)).await
}
