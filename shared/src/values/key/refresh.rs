//! Keys that authenticate refresh tokens.
//!
//! Each is derived from a key that signs access tokens (HKDF, RFC 5869), so the two come and go together: a ring
//! that is made for a new signing key has a new refresh key as well, and the one of a leaked signing key goes with it.
//! Refresh tokens outlive access tokens by far, though. When a signing key has ended, its ring keeps what was
//! derived from it, and nothing that could sign an access token.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    KeyProblem,
    jwk::{self, Jwk},
};
use crate::values::time::Timestamp;

/// Bytes of a key and of the codes that it makes.
pub(crate) const BYTES: usize = 32;

/// The purpose of the derived key (`info` of HKDF): a key for anything else is derived with another text.
const PURPOSE: &[u8] = b"gatehouse refresh token 1";

/// A key that authenticates refresh tokens, by HMAC with SHA-256.
#[derive(Clone)]
pub struct RefreshKey {
    id: String,
    secret: Zeroizing<[u8; BYTES]>,
    mac: hmac::Key,
    /// The time until which a ring keeps the key.
    kept_until: Option<Timestamp>,
}

/// The written form of a key whose signing key has ended: a JWK of type `oct` that names no algorithm, because it is
/// for none of JOSE.
#[derive(Serialize, Deserialize)]
pub(super) struct RefreshJwk {
    kty: String,
    kid: String,
    k: Zeroizing<String>,
    exp: Timestamp,
}

impl RefreshKey {
    /// The `kid` of the key that this one was derived from.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The code of a message.
    pub(crate) fn code(&self, message: &[u8]) -> [u8; BYTES] {
        let mut code = [0; BYTES];
        code.copy_from_slice(hmac::sign(&self.mac, message).as_ref());
        code
    }

    /// Whether it is the code of this message; takes the same time for every wrong one.
    pub(crate) fn is_code(&self, message: &[u8], code: &[u8]) -> bool {
        hmac::verify(&self.mac, message, code).is_ok()
    }

    pub(super) fn kept_until(&self) -> Option<Timestamp> {
        self.kept_until
    }

    /// The same key, as a ring keeps it once its signing key has ended.
    pub(super) fn kept(&self, until: Timestamp) -> Self {
        Self { kept_until: Some(until), ..self.clone() }
    }

    /// Derives the refresh key of a signing key, from the private member that its type has.
    pub(super) fn derive(id: &str, jwk: &Jwk) -> Result<Self, KeyProblem> {
        struct Length;
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                BYTES
            }
        }
        let private = jwk::bytes(jwk.d.as_ref().or(jwk.k.as_ref()))?;
        let mut secret = Zeroizing::new([0; BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(&private)
            .expand(&[PURPOSE], Length)
            .and_then(|derived| derived.fill(secret.as_mut_slice()))
            .map_err(|_| KeyProblem::Material)?;
        Ok(Self::new(id.to_owned(), secret, None))
    }

    pub(super) fn read(jwk: &RefreshJwk) -> Result<Self, KeyProblem> {
        if jwk.kty != "oct" {
            return Err(KeyProblem::Type);
        }
        Ok(Self::new(jwk.kid.clone(), jwk::array(Some(&jwk.k))?, Some(jwk.exp)))
    }

    pub(super) fn write(&self) -> Option<RefreshJwk> {
        Some(RefreshJwk {
            kty: "oct".to_owned(),
            kid: self.id.clone(),
            k: jwk::encode_private(self.secret.as_slice()),
            exp: self.kept_until?,
        })
    }

    fn new(id: String, secret: Zeroizing<[u8; BYTES]>, kept_until: Option<Timestamp>) -> Self {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice());
        Self { id, secret, mac, kept_until }
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshKey({:?})", self.id)
    }
}
