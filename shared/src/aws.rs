//! How the functions talk to AWS: credentials, TLS, timeouts and retries.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use crate::BoxError;

/// The roots that AWS's endpoints chain to, the five of <https://www.amazontrust.com/repository/>, as
/// Debian's `ca-certificates` has them. Reading the system's whole store would take half of a cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The longest that one call takes, its retries included. What a sign-in calls has to be done before login's
/// timeout in template.yaml, which adds it up.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// The SDK's configuration for a function: region, credentials and endpoints from the environment, where
/// Lambda puts them, and from nowhere else.
///
/// # Errors
/// Fails where the TLS roots can't be read.
pub async fn sdk_config() -> Result<SdkConfig, BoxError> {
    let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    let tls = TlsContext::builder().with_trust_store(roots).build()?;
    let http_client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(tls).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(CALL_TIMEOUT)
        .build();
    // Eight attempts: with every other one throttled, 4 calls of 1,000 fail. Between them lie 0 to 1.6
    // seconds, drawn at random by the SDK.
    let retries = RetryConfig::standard()
        .with_max_attempts(8)
        .with_initial_backoff(Duration::from_millis(25))
        .with_max_backoff(Duration::from_millis(400));
    Ok(aws_config::defaults(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .http_client(http_client)
        .timeout_config(timeouts)
        .retry_config(retries)
        .load()
        .await)
}

/// The SDK's configuration for the store on a laptop: at this URL, without TLS, and with credentials that
/// sign but prove nothing.
pub async fn laptop_config(url: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(url)
        .test_credentials()
        .http_client(Builder::new().build_http())
        .load()
        .await
}
