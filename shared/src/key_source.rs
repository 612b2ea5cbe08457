//! Where a function gets its key ring from.

use std::{convert::Infallible, fmt, str::FromStr};

use aws_config::SdkConfig;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::{
    BoxError,
    key::{RingError, SigningKeys, VerifyingKeys},
};

/// The setting that names a ring: a JWK or JWK Set in place (it begins with `{`; for a laptop, never for
/// a deployed stack), or the ARN or name of the Secrets Manager secret that holds one.
#[derive(Clone)]
pub enum KeySetting {
    /// The ring itself.
    Inline(Zeroizing<String>),
    /// The secret that holds it.
    Secret(String),
}

impl FromStr for KeySetting {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text.trim_start().starts_with('{') {
            Self::Inline(Zeroizing::new(text.to_owned()))
        } else {
            Self::Secret(text.to_owned())
        })
    }
}

impl fmt::Debug for KeySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(..)"),
            Self::Secret(id) => f.debug_tuple("Secret").field(id).finish(),
        }
    }
}

/// There are no keys to work with: an outage, whatever the request.
#[derive(Debug, thiserror::Error)]
pub enum KeysUnavailable {
    /// The secret could not be read.
    #[error("the secret {id} could not be read")]
    Secret {
        /// The secret's ARN or name.
        id: String,
        /// Secrets Manager's answer, or why there is none.
        #[source]
        source: BoxError,
    },
    /// The ring that was read can't be used.
    #[error("the key ring can't be used")]
    Ring(#[from] RingError),
}

/// A ring that is read once in an instance's life, at the first need; a failure is tried again at the
/// next.
pub struct KeySource<K> {
    setting: KeySetting,
    secrets: aws_sdk_secretsmanager::Client,
    parse: fn(&str) -> Result<K, RingError>,
    ring: OnceCell<K>,
}

impl KeySource<SigningKeys> {
    /// A source of private keys.
    #[must_use]
    pub fn signing(setting: KeySetting, sdk: &SdkConfig) -> Self {
        Self::new(setting, sdk, SigningKeys::parse)
    }
}

impl KeySource<VerifyingKeys> {
    /// A source of keys to verify with.
    #[must_use]
    pub fn verifying(setting: KeySetting, sdk: &SdkConfig) -> Self {
        Self::new(setting, sdk, VerifyingKeys::parse)
    }
}

impl<K> KeySource<K> {
    fn new(setting: KeySetting, sdk: &SdkConfig, parse: fn(&str) -> Result<K, RingError>) -> Self {
        Self { setting, secrets: aws_sdk_secretsmanager::Client::new(sdk), parse, ring: OnceCell::new() }
    }

    /// The ring.
    ///
    /// # Errors
    /// [`KeysUnavailable`] where it can't be read or can't be used.
    pub async fn ring(&self) -> Result<&K, KeysUnavailable> {
        self.ring.get_or_try_init(|| self.read()).await
    }

    async fn read(&self) -> Result<K, KeysUnavailable> {
        match &self.setting {
            KeySetting::Inline(text) => Ok((self.parse)(text)?),
            KeySetting::Secret(id) => {
                let unreadable = |source| KeysUnavailable::Secret { id: id.clone(), source };
                let answer = self.secrets.get_secret_value().secret_id(id).send().await;
                let text = answer
                    .map_err(|error| unreadable(error.into()))?
                    .secret_string
                    .map(Zeroizing::new)
                    .ok_or_else(|| unreadable("it holds no text".into()))?;
                Ok((self.parse)(&text)?)
            }
        }
    }
}
