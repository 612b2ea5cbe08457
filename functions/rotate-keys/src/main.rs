//! Wires the rotation to Lambda.

use std::time::SystemTime;

use lambda_runtime::{LambdaEvent, service_fn};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use rotate_keys::{Event, Rotation, Secret};
use shared::{BoxError, aws, log::Log, settings::Settings, store::Store, time::Timestamp};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment and the clock in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    let log = Log::start(&settings, env!("CARGO_PKG_NAME"))?;
    let sdk = aws::sdk_config(&settings)?;
    let rotation = Rotation {
        secret: Secret::new(&sdk),
        store: Store::new(&sdk, settings.required::<String>("TABLE_NAME")?),
        algorithm: settings.required("SIGNING_ALGORITHM")?,
        lifetime: settings.required("ACCESS_TOKEN_LIFETIME")?,
        session_lifetime: settings.required("SESSION_LIFETIME")?,
        publish_ahead: settings.optional("KEY_PUBLISH_AHEAD")?.unwrap_or_default(),
        clock: || Timestamp::from(SystemTime::now()),
        rng: UnwrapErr(SysRng),
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        log.call(&event.context.request_id, Box::pin(rotation.handle(&event.payload))).await
    }))
    .await
}
