//! The signing ring's secret, and the versions that a rotation takes it through.

use aws_sdk_secretsmanager::{Client, operation::get_secret_value::GetSecretValueError};
use aws_types::SdkConfig;
use zeroize::Zeroizing;

use crate::{BoxError, values::key::SigningKeys};

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// The signing ring in Secrets Manager.
pub struct SigningSecret(Client);

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is being made.
    Pending,
    /// It is in use.
    Current,
}

impl SigningSecret {
    /// A client of Secrets Manager.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self(Client::new(sdk))
    }

    /// Where the version stands. A version that is neither pending nor current is not to be rotated to.
    ///
    /// # Errors
    /// Secrets Manager's, and where the version is not there or in neither stage.
    pub async fn stage(&self, id: &str, version: &str) -> Result<Stage, BoxError> {
        let secret = self.0.describe_secret().secret_id(id).send().await?;
        let versions = secret.version_ids_to_stages.unwrap_or_default();
        let stages = versions.get(version).ok_or("the secret has no such version")?;
        if stages.iter().any(|stage| stage == CURRENT) {
            Ok(Stage::Current)
        } else if stages.iter().any(|stage| stage == PENDING) {
            Ok(Stage::Pending)
        } else {
            Err("the version is neither pending nor current".into())
        }
    }

    /// Whether a version holds a ring already.
    ///
    /// # Errors
    /// Secrets Manager's.
    pub async fn has_value(&self, id: &str, version: &str) -> Result<bool, BoxError> {
        let answer = self.0.get_secret_value().secret_id(id).version_id(version).version_stage(PENDING).send().await;
        match answer {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The ring of a version.
    ///
    /// # Errors
    /// Secrets Manager's, and where the version holds no ring.
    pub async fn ring(&self, id: &str, version: &str) -> Result<SigningKeys, BoxError> {
        read(self.0.get_secret_value().secret_id(id).version_id(version).send().await?.secret_string)
    }

    /// The ring that is in use.
    ///
    /// # Errors
    /// As [`SigningSecret::ring`].
    pub async fn current_ring(&self, id: &str) -> Result<SigningKeys, BoxError> {
        read(self.0.get_secret_value().secret_id(id).version_stage(CURRENT).send().await?.secret_string)
    }

    /// Gives a version its ring.
    ///
    /// # Errors
    /// Secrets Manager's.
    pub async fn put(&self, id: &str, version: &str, ring: &str) -> Result<(), BoxError> {
        let put = self.0.put_secret_value().secret_id(id).client_request_token(version);
        put.secret_string(ring).version_stages(PENDING).send().await?;
        Ok(())
    }

    /// Makes a version the one in use.
    ///
    /// # Errors
    /// Secrets Manager's.
    pub async fn make_current(&self, id: &str, version: &str) -> Result<(), BoxError> {
        let secret = self.0.describe_secret().secret_id(id).send().await?;
        let versions = secret.version_ids_to_stages.unwrap_or_default();
        let current = versions.into_iter().find(|(_, stages)| stages.iter().any(|stage| stage == CURRENT));
        self.0
            .update_secret_version_stage()
            .secret_id(id)
            .version_stage(CURRENT)
            .move_to_version_id(version)
            .set_remove_from_version_id(current.map(|(version, _)| version))
            .send()
            .await?;
        Ok(())
    }
}

fn read(text: Option<String>) -> Result<SigningKeys, BoxError> {
    let text = Zeroizing::new(text.ok_or("the version holds no text")?);
    Ok(SigningKeys::parse(&text)?)
}
