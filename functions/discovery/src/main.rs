//! Wires the welcome page to Lambda.

use shared::{BoxError, http, log, settings::Settings};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment in")]
async fn main() -> Result<(), BoxError> {
    let settings = Settings(|name: &str| std::env::var(name).ok());
    log::start(settings.required("LOG_LEVEL")?);
    let cors = settings.optional("CORS_ORIGINS")?.unwrap_or_default();
    http::run(cors, async |request| discovery::handle(&request)).await
}
