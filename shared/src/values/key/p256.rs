//! Keys of ECDSA over P-256 (RFC 7518 section 6.2).

use aws_lc_rs::{
    encoding::AsBigEndian,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey},
};
use jsonwebtoken::EncodingKey;

use super::{
    KeyProblem, Verifier,
    jwk::{self, Jwk},
};

const CURVE: &str = "P-256";
/// A coordinate, and the private number.
const NUMBER_BYTES: usize = 32;

pub(super) fn signing(jwk: &Jwk) -> Result<EncodingKey, KeyProblem> {
    let point = point(jwk)?;
    let private = jwk::array::<NUMBER_BYTES, _>(Some(jwk.d.as_deref().ok_or(KeyProblem::Public)?))?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        private.as_slice(),
        point.as_ref(),
    )
    .map_err(|_| KeyProblem::Mismatch)?;
    let document = pair.to_pkcs8v1().map_err(|_| KeyProblem::Material)?;
    Ok(EncodingKey::from_ec_der(document.as_ref()))
}

pub(super) fn verifying(jwk: &Jwk) -> Result<Verifier, KeyProblem> {
    Ok(Verifier::Public(point(jwk)?))
}

/// aws-lc draws from its own generator, which the system's randomness seeds.
pub(super) fn generate() -> Option<Jwk> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
    let private = pair.private_key().as_be_bytes().ok()?;
    let (x, y) = pair.public_key().as_ref().strip_prefix(&[0x04])?.split_at_checked(NUMBER_BYTES)?;
    Some(Jwk {
        crv: Some(CURVE.to_owned()),
        x: Some(jwk::encode(x)),
        y: Some(jwk::encode(y)),
        d: Some(jwk::encode_private(private.as_ref())),
        ..Jwk::default()
    })
}

/// The public point, checked to be on the curve; as bytes it is uncompressed (SEC 1 section 2.3.3).
fn point(jwk: &Jwk) -> Result<ParsedPublicKey, KeyProblem> {
    if jwk.crv.as_deref() != Some(CURVE) {
        return Err(KeyProblem::Curve);
    }
    let x = jwk::array::<NUMBER_BYTES, _>(jwk.x.as_ref())?;
    let y = jwk::array::<NUMBER_BYTES, _>(jwk.y.as_ref())?;
    let point = [&[0x04][..], x.as_slice(), y.as_slice()].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| KeyProblem::Curve)
}
