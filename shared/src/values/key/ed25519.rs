//! Keys of `EdDSA` over edwards25519 (RFC 8032 section 5.1, RFC 8037 section 2).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use jsonwebtoken::EncodingKey;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    KeyProblem, Verifier,
    jwk::{self, Jwk},
};

const CURVE: &str = "Ed25519";
/// A seed, and an encoded point.
const KEY_BYTES: usize = 32;

/// The prime of the field, 2^255 - 19, little-endian as all encodings are (RFC 8032 section 5.1.2).
const PRIME: [u8; KEY_BYTES] = ends(0xED, 0xFF, 0x7F);
/// The y coordinates of the eight points whose order divides 8; two points have each but 1 and -1.
const SMALL_ORDER: [[u8; KEY_BYTES]; 5] = [
    ends(0, 0, 0),
    ends(1, 0, 0),
    ends(0xEC, 0xFF, 0x7F),
    [
        0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F, 0x2A, 0x20,
        0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
    ],
    [
        0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0, 0xD5, 0xDF,
        0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
    ],
];

/// An encoding of this lowest and this highest byte, with all others the same.
const fn ends(lowest: u8, others: u8, highest: u8) -> [u8; KEY_BYTES] {
    let mut encoded = [others; KEY_BYTES];
    encoded[0] = lowest;
    encoded[KEY_BYTES - 1] = highest;
    encoded
}

pub(super) fn signing(jwk: &Jwk) -> Result<EncodingKey, KeyProblem> {
    let public = point(jwk)?;
    let seed = jwk::array::<KEY_BYTES, _>(Some(jwk.d.as_deref().ok_or(KeyProblem::Public)?))?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed.as_slice(), public.as_slice())
        .map_err(|_| KeyProblem::Mismatch)?;
    let document = pair.to_pkcs8v1().map_err(|_| KeyProblem::Material)?;
    Ok(EncodingKey::from_ed_der(document.as_ref()))
}

pub(super) fn verifying(jwk: &Jwk) -> Result<Verifier, KeyProblem> {
    let key = ParsedPublicKey::new(&ED25519, point(jwk)?.as_slice()).map_err(|_| KeyProblem::Curve)?;
    Ok(Verifier::Public(key))
}

pub(super) fn generate(rng: &mut impl CryptoRng) -> Option<Jwk> {
    let mut seed = Zeroizing::new([0; KEY_BYTES]);
    rng.fill_bytes(seed.as_mut_slice());
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).ok()?;
    Some(Jwk {
        crv: Some(CURVE.to_owned()),
        x: Some(jwk::encode(pair.public_key().as_ref())),
        d: Some(jwk::encode_private(seed.as_slice())),
        ..Jwk::default()
    })
}

/// The encoded public point, checked as far as aws-lc doesn't check it at each signature.
fn point(jwk: &Jwk) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyProblem> {
    if jwk.crv.as_deref() != Some(CURVE) {
        return Err(KeyProblem::Curve);
    }
    let encoded = jwk::array::<KEY_BYTES, _>(jwk.x.as_ref())?;
    check(*encoded)?;
    Ok(encoded)
}

/// Refuses coordinates that aren't below the prime (RFC 8032 section 5.1.3), and points of small order, under which one
/// signature fits many messages. Other encodings that are not points, aws-lc refuses with each of their signatures.
fn check(mut encoded: [u8; KEY_BYTES]) -> Result<(), KeyProblem> {
    // The highest bit is the sign of x.
    encoded[KEY_BYTES - 1] &= 0x7F;
    if encoded.iter().rev().ge(PRIME.iter().rev()) {
        return Err(KeyProblem::Curve);
    }
    if SMALL_ORDER.contains(&encoded) { Err(KeyProblem::SmallOrder) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    #[test]
    fn refuses_the_points_of_small_order() {
        for mut encoded in SMALL_ORDER {
            assert_eq!(check(encoded), Err(KeyProblem::SmallOrder), "{encoded:02x?}");
            encoded[KEY_BYTES - 1] |= 0x80;
            assert_eq!(check(encoded), Err(KeyProblem::SmallOrder), "{encoded:02x?}");
        }
    }

    #[test]
    fn points_of_order_8_are_on_the_curve_and_double_to_order_4() {
        // The double's y is (y² + x²) / (1 - dx²y²), and y = 0 has order 4: so x² = -y², and -x² + y² = 1 + dx²y² becomes
        // 2y² = 1 - dy⁴, where d is -121665/121666.
        let prime = (BigUint::from(1u8) << 255u8) - 19u8;
        assert_eq!(prime, BigUint::from_bytes_le(&PRIME));
        for encoded in &SMALL_ORDER[3..] {
            let y = BigUint::from_bytes_le(encoded);
            let left = (&y * &y * 2u8 * 121_666u32 + 121_666u32 * (&prime - 1u8)) % &prime;
            assert_eq!(left, (y.pow(4) * 121_665u32) % &prime);
        }
    }

    #[test]
    fn refuses_a_coordinate_that_is_not_below_the_prime() {
        for y in [3, 4, 5, 6, 9, 10] {
            assert_eq!(check(ends(y, 0, 0)), Ok(()), "{y}");
        }
        assert_eq!(check(ends(0xEB, 0xFF, 0x7F)), Ok(()));
        // y = 3 is a point, but not when it is written as the prime plus 3, nor is the prime itself 0.
        for lowest in 0xED..=0xFF {
            assert_eq!(check(ends(lowest, 0xFF, 0x7F)), Err(KeyProblem::Curve), "{lowest:02x}");
            assert_eq!(check(ends(lowest, 0xFF, 0xFF)), Err(KeyProblem::Curve), "{lowest:02x}");
        }
    }

    proptest! {
        #[test]
        fn every_seed_has_a_public_key_that_passes(seed: [u8; KEY_BYTES]) {
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
            prop_assert_eq!(check(pair.public_key().as_ref().try_into().unwrap()), Ok(()));
        }
    }
}
