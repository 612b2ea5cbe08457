//! The setting that names a function's signing ring.

use std::{convert::Infallible, fmt, str::FromStr};

use zeroize::Zeroizing;

/// The setting that names a ring: a JWK or JWK Set in place (it begins with `{`; for a laptop, never for a deployed
/// stack), or the ARN or name of the Secrets Manager secret that holds one. An inline ring can't be printed.
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
