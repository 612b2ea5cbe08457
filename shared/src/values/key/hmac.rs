//! Secrets of HMAC with SHA-256 (RFC 7518 section 3.2).

use jsonwebtoken::{DecodingKey, EncodingKey};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    KeyProblem,
    jwk::{self, Jwk},
};

/// RFC 7518 wants a secret at least as long as the hash.
const SECRET_BYTES: usize = 32;

pub(super) fn signing(jwk: &Jwk) -> Result<EncodingKey, KeyProblem> {
    Ok(EncodingKey::from_secret(&secret(jwk)?))
}

pub(super) fn verifying(jwk: &Jwk) -> Result<DecodingKey, KeyProblem> {
    Ok(DecodingKey::from_secret(&secret(jwk)?))
}

pub(super) fn generate(rng: &mut impl CryptoRng) -> Jwk {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    rng.fill_bytes(secret.as_mut_slice());
    Jwk { k: Some(jwk::encode_private(secret.as_slice())), ..Jwk::default() }
}

fn secret(jwk: &Jwk) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let secret = jwk::bytes(jwk.k.as_deref())?;
    if secret.len() < SECRET_BYTES { Err(KeyProblem::ShortSecret) } else { Ok(secret) }
}
