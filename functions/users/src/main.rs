//! Wires the users' routes to Lambda.

use std::time::SystemTime;

use shared::{BoxError, aws, http, log::Log, settings::Settings, store::Store, time::Timestamp};
use users::Users;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment and the clock in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    let log = Log::start(&settings, env!("CARGO_PKG_NAME"))?;
    let sdk = aws::sdk_config(&settings)?;
    let users = Users {
        store: Store::new(&sdk, settings.required::<String>("TABLE_NAME")?),
        clock: || Timestamp::from(SystemTime::now()),
    };
    http::run(log, settings.optional("CORS_ORIGINS")?.unwrap_or_default(), |request| users.handle(request)).await
}
