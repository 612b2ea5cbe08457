//! Secrets of HMAC with SHA-256 (RFC 7518 section 3.2).

use std::collections::HashSet;

use aws_lc_rs::hmac;
use jsonwebtoken::EncodingKey;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    KeyProblem, Verifier,
    jwk::{self, Jwk},
};

/// RFC 7518 wants a secret at least as long as the hash.
const SECRET_BYTES: usize = 32;

/// 32 random bytes have fewer with a probability of 3.2e-17 (2^-54.8).
const DIFFERENT_BYTES: usize = 16;

/// The command that makes a `k` of 32 random bytes.
pub(super) const MAKES_A_SECRET: &str = r"openssl rand -base64 32 | tr '+/' '-_' | tr -d '=\n'";

pub(super) fn signing(jwk: &Jwk) -> Result<EncodingKey, KeyProblem> {
    Ok(EncodingKey::from_secret(&secret(jwk)?))
}

pub(super) fn verifying(jwk: &Jwk) -> Result<Verifier, KeyProblem> {
    Ok(Verifier::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret(jwk)?))))
}

pub(super) fn generate(rng: &mut impl CryptoRng) -> Jwk {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    rng.fill_bytes(secret.as_mut_slice());
    Jwk { k: Some(jwk::encode_private(secret.as_slice())), ..Jwk::default() }
}

fn secret(jwk: &Jwk) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let secret = jwk::bytes(jwk.k.as_deref())?;
    if secret.len() < SECRET_BYTES {
        Err(KeyProblem::ShortSecret)
    } else if is_text(&secret) {
        Err(KeyProblem::TextSecret)
    } else if different_bytes(&secret) < DIFFERENT_BYTES {
        Err(KeyProblem::RepetitiveSecret)
    } else {
        Ok(secret)
    }
}

/// Whether somebody may have typed it: a phrase, the sample of a tutorial, or hexadecimal that was meant to be decoded,
/// perhaps with a line break. 32 random bytes look so with a probability of 4.5e-14 (2^-44.3), and a rotation that hits
/// it is repeated.
fn is_text(secret: &[u8]) -> bool {
    secret.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r'))
}

fn different_bytes(secret: &[u8]) -> usize {
    secret.iter().collect::<HashSet<_>>().len()
}
