//! Wires the protected handler to Lambda.

use shared::{BoxError, http, log::Log, settings::Settings};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    let log = Log::start(&settings, env!("CARGO_PKG_NAME"))?;
    let cors = settings.optional("CORS_ORIGINS")?.unwrap_or_default();
    http::run(log, cors, async |request| protected::handle(&request)).await
}
