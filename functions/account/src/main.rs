//! Wires the account's routes to Lambda.

use std::{num::NonZeroU64, time::SystemTime};

use account::{Account, Registration};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    BoxError, aws, http, log::Log, password::PasswordHash, scope::Scopes, settings::Settings, store::Store,
    time::Timestamp,
};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment and the clock in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    let log = Log::start(&settings, env!("CARGO_PKG_NAME"))?;
    let sdk = aws::sdk_config(&settings)?;
    let (cost, mut rng) = (settings.required("BCRYPT_COST")?, UnwrapErr(SysRng));
    let account = Account {
        store: Store::new(&sdk, settings.required::<String>("TABLE_NAME")?),
        registration: settings.required::<Registration>("REGISTRATION")?,
        scopes: settings.optional::<Scopes>("REGISTRATION_SCOPES")?.unwrap_or_default(),
        registrations_per_address: settings.required::<NonZeroU64>("REGISTRATIONS_PER_ADDRESS")?,
        cost,
        decoy: PasswordHash::decoy(cost, &mut rng),
        clock: || Timestamp::from(SystemTime::now()),
        rng,
    };
    http::run(log, settings.optional("CORS_ORIGINS")?.unwrap_or_default(), |request| account.handle(request)).await
}
