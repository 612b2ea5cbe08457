//! How the functions talk to AWS: credentials, TLS, timeouts and retries.

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_types::{
    SdkConfig,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

use crate::BoxError;

/// The environment, from a variable's name to its value; an empty one counts as one that isn't there.
pub type Environment = fn(&str) -> Option<String>;

/// The roots that AWS's endpoints chain to, the five of <https://www.amazontrust.com/repository/>, as
/// Debian's `ca-certificates` has them. Reading the system's whole store would take half of a cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The longest that one call takes, its retries included. What a sign-in calls has to be done before login's
/// timeout in template.yaml, which adds it up.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// The SDK's configuration for a function: region, credentials and endpoints from the environment, where
/// Lambda puts them, and from nowhere else. What is missing is missed by the first call.
///
/// It is built by hand, because `aws_config`'s loader brings the credential providers of workstations and containers
/// into the binary, and clients of two more services into each build.
///
/// # Errors
/// Fails where the TLS roots can't be read.
pub fn sdk_config(environment: Environment) -> Result<SdkConfig, BoxError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let roots = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    let tls = TlsContext::builder().with_trust_store(roots).build()?;
    let http_client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(tls).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(CALL_TIMEOUT)
        .build();
    // Twelve attempts: with every other one throttled, 1 call of 4,000 fails, and 1 sign-in of a thousand. Between them
    // lie 0 to 3 seconds, drawn at random by the SDK.
    let retries = RetryConfig::standard()
        .with_max_attempts(12)
        .with_initial_backoff(Duration::from_millis(25))
        .with_max_backoff(Duration::from_millis(400));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client)
        .timeout_config(timeouts)
        .retry_config(retries)
        .service_config(Endpoints::of(variable))
        .region(variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new));
    config.set_credentials_provider(credentials(variable));
    Ok(config.build())
}

fn credentials(variable: impl Fn(&str) -> Option<String>) -> Option<SharedCredentialsProvider> {
    let (key, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
    let credentials = Credentials::new(key, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
    Some(SharedCredentialsProvider::new(credentials))
}

/// Where the services are, if not where AWS has them.
#[derive(Debug)]
struct Endpoints {
    dynamodb: Option<String>,
    secrets_manager: Option<String>,
}

impl Endpoints {
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            dynamodb: variable("AWS_ENDPOINT_URL_DYNAMODB"),
            secrets_manager: variable("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        }
    }
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        match (key.service_id(), key.env()) {
            ("DynamoDB", "AWS_ENDPOINT_URL") => self.dynamodb.clone(),
            ("Secrets Manager", "AWS_ENDPOINT_URL") => self.secrets_manager.clone(),
            _ => None,
        }
    }
}

/// The SDK's configuration for the store on a laptop: at this URL, without TLS, and with credentials that
/// sign but prove nothing.
#[must_use]
pub fn laptop_config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("laptop", "laptop", None, None, "laptop");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Builder::new().build_http())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        let value = match name {
            "AWS_DEFAULT_REGION" => "eu-west-1",
            "AWS_ENDPOINT_URL_DYNAMODB" => "http://127.0.0.1:1",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER" => "http://127.0.0.1:2",
            "AWS_ACCESS_KEY_ID" => "key",
            "AWS_SECRET_ACCESS_KEY" => "secret",
            "AWS_REGION" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn region_and_credentials_come_from_the_environment() {
        let config = sdk_config(variable).unwrap();
        assert_eq!(config.region().unwrap().as_ref(), "eu-west-1");
        assert!(config.credentials_provider().is_some());
        let empty = sdk_config(|_| None).unwrap();
        assert!(empty.region().is_none() && empty.credentials_provider().is_none());
    }

    #[test]
    fn each_service_has_the_endpoint_of_its_own_variable() {
        let endpoints = Endpoints::of(variable);
        let of = |service, variable| {
            let key = ServiceConfigKey::builder().service_id(service).env(variable).profile("endpoint_url");
            endpoints.load_config(key.build().unwrap())
        };
        assert_eq!(of("DynamoDB", "AWS_ENDPOINT_URL").as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(of("Secrets Manager", "AWS_ENDPOINT_URL").as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(of("DynamoDB", "AWS_USE_FIPS_ENDPOINT"), None);
        assert_eq!(of("S3", "AWS_ENDPOINT_URL"), None);
    }
}
