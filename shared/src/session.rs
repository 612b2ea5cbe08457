//! Sessions: one for each sign-in.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;

/// Bytes of randomness in an identifier: too many to guess or to meet twice.
const RANDOM_BYTES: usize = 16;

/// Names one session: 16 random bytes in base64url, 22 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId(String);

/// The text is no session identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a session identifier")]
pub struct InvalidSessionId;

impl SessionId {
    /// Makes a new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(random_identifier(rng))
    }

    /// Takes the text as a session identifier.
    ///
    /// # Errors
    /// [`InvalidSessionId`] where it isn't 16 bytes in base64url without padding.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionId> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if bytes.len() == RANDOM_BYTES => Ok(Self(text.to_owned())),
            _ => Err(InvalidSessionId),
        }
    }

    /// The identifier's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 16 random bytes in base64url, for sessions and for a token's `jti`.
pub(crate) fn random_identifier(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0; RANDOM_BYTES];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{rand_core::UnwrapErr, rngs::SysRng};

    #[test]
    fn a_generated_one_parses_and_differs_from_the_next() {
        let mut rng = UnwrapErr(SysRng);
        let id = SessionId::generate(&mut rng);
        assert_eq!(SessionId::parse(id.as_str()).unwrap(), id);
        assert_ne!(SessionId::generate(&mut rng), id);
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["", "short", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAA/"] {
            assert_eq!(SessionId::parse(text), Err(InvalidSessionId), "{text:?}");
        }
    }
}
