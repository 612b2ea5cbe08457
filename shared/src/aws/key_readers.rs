//! Where a function reads its keys from: a setting, Secrets Manager, or the table.

use aws_types::SdkConfig;
use tracing::error;
use zeroize::Zeroizing;

use super::key_cache::{KeysUnavailable, ReadKeys};
use crate::{
    causes,
    store::{KeyRow, Store},
    values::{
        key::{SigningKeys, VerifyingKeys},
        key_setting::KeySetting,
        time::Timestamp,
    },
};

/// A private ring: in a secret, or in place.
pub struct SigningRing {
    setting: KeySetting,
    secrets: aws_sdk_secretsmanager::Client,
}

impl SigningRing {
    /// The ring that the setting names.
    #[must_use]
    pub fn new(setting: KeySetting, sdk: &SdkConfig) -> Self {
        Self { setting, secrets: aws_sdk_secretsmanager::Client::new(sdk) }
    }
}

impl ReadKeys for SigningRing {
    type Keys = SigningKeys;

    async fn read(&self, _: Timestamp) -> Result<SigningKeys, KeysUnavailable> {
        match &self.setting {
            KeySetting::Inline(text) => Ok(SigningKeys::parse(text)?),
            KeySetting::Secret(id) => {
                let unreadable = |source| KeysUnavailable::Secret { id: id.clone(), source };
                let answer = self.secrets.get_secret_value().secret_id(id).send().await;
                let text = answer
                    .map_err(|error| unreadable(error.into()))?
                    .secret_string
                    .map(Zeroizing::new)
                    .ok_or_else(|| unreadable("it holds no text".into()))?;
                Ok(SigningKeys::parse(&text)?)
            }
        }
    }
}

/// The keys to verify with.
pub enum VerifyingRing {
    /// A ring in place.
    Inline(Zeroizing<String>),
    /// The published keys, and with `secrets` the HS256 keys of the private ring, which are never published.
    Published {
        /// The table with the published keys.
        store: Store,
        /// The private ring, where HS256 is in use.
        secrets: Option<SigningRing>,
    },
}

impl ReadKeys for VerifyingRing {
    type Keys = VerifyingKeys;

    async fn read(&self, now: Timestamp) -> Result<VerifyingKeys, KeysUnavailable> {
        let keys = match self {
            Self::Inline(text) => VerifyingKeys::parse(text)?,
            Self::Published { store, secrets } => {
                let rows = store.keys().await?;
                let mut keys = VerifyingKeys::default();
                for row in rows.iter().filter(|row| row.verifies(now)) {
                    // One damaged row must not take the other keys away.
                    if let Some(Err(cause)) = row.jwk.as_deref().map(|jwk| keys.insert(jwk, row.expires)) {
                        error!(
                            security_event = "key_unusable",
                            key = row.id,
                            cause = causes(&cause),
                            "a published key can't be used"
                        );
                    }
                }
                if let Some(secrets) = secrets {
                    let ring = secrets.read(now).await?;
                    let retired = |id: &str| rows.iter().any(|row| row.retired && row.id == id);
                    keys.insert_secrets(&ring, retired);
                }
                keys
            }
        };
        if keys.is_empty() { Err(KeysUnavailable::None) } else { Ok(keys) }
    }
}

/// The rows of the keys that verify now: what other services may know.
pub struct PublishedKeys(pub Store);

impl ReadKeys for PublishedKeys {
    type Keys = Vec<KeyRow>;

    async fn read(&self, now: Timestamp) -> Result<Vec<KeyRow>, KeysUnavailable> {
        let mut rows = self.0.keys().await?;
        rows.retain(|row| row.jwk.is_some() && row.verifies(now));
        rows.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
        Ok(rows)
    }
}
