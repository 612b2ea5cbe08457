//! Wires the public face to Lambda.

use std::time::SystemTime;

use discovery::Discovery;
use shared::{
    BoxError, aws, http,
    key_source::{KeySource, PublishedKeys},
    log::Log,
    settings::Settings,
    store::Store,
    time::Timestamp,
};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment and the clock in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    let log = Log::start(&settings, env!("CARGO_PKG_NAME"))?;
    let sdk = aws::sdk_config(&settings)?;
    let rows = PublishedKeys(Store::new(&sdk, settings.required::<String>("TABLE_NAME")?));
    let clock = || Timestamp::from(SystemTime::now());
    let discovery = Discovery {
        keys: KeySource::new(rows, settings.optional("KEY_REFRESH")?.unwrap_or_default(), clock),
        issuer: settings.optional("ISSUER")?.unwrap_or_default(),
        algorithm: settings.required("SIGNING_ALGORITHM")?,
        scopes: settings.optional("SCOPES")?.unwrap_or_default(),
    };
    http::run(log, settings.optional("CORS_ORIGINS")?.unwrap_or_default(), |request| discovery.handle(request)).await
}
