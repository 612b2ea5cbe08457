//! Keys of `EdDSA` over edwards25519 (RFC 8032 section 5.1, RFC 8037 section 2).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::{DecodingKey, EncodingKey};
use num_bigint::BigUint;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    KeyProblem,
    jwk::{self, Jwk},
};

const CURVE: &str = "Ed25519";
/// A seed, and an encoded point.
const KEY_BYTES: usize = 32;

/// The curve's `d`, -121665/121666; digits of 32 bits, the lowest first.
const D: [u32; 8] =
    [0x1359_78a3, 0x75eb_4dca, 0x4141_d8ab, 0x0070_0a4d, 0x7779_e898, 0x8cc7_4079, 0x2b6f_fe73, 0x5203_6cee];
/// The y coordinate of two points of order 8; that of the other two is its negative.
const Y_OF_ORDER_8: [u32; 8] =
    [0x706a_17c7, 0x4fd8_4d3d, 0x760b_3cba, 0x0f67_100d, 0xfa53_202a, 0xc6cc_392c, 0x77fd_c74e, 0x7a03_ac92];

pub(super) fn signing(jwk: &Jwk) -> Result<EncodingKey, KeyProblem> {
    let public = point(jwk)?;
    let seed = jwk::array::<KEY_BYTES, _>(Some(jwk.d.as_deref().ok_or(KeyProblem::Public)?))?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed.as_slice(), public.as_slice())
        .map_err(|_| KeyProblem::Mismatch)?;
    let document = pair.to_pkcs8v1().map_err(|_| KeyProblem::Material)?;
    Ok(EncodingKey::from_ed_der(document.as_ref()))
}

pub(super) fn verifying(jwk: &Jwk) -> Result<DecodingKey, KeyProblem> {
    Ok(DecodingKey::from_ed_der(point(jwk)?.as_slice()))
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

/// The encoded public point, checked to be a point that can bear a key.
fn point(jwk: &Jwk) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyProblem> {
    if jwk.crv.as_deref() != Some(CURVE) {
        return Err(KeyProblem::Curve);
    }
    let encoded = jwk::array::<KEY_BYTES, _>(jwk.x.as_ref())?;
    check(*encoded)?;
    Ok(encoded)
}

/// Refuses what decodes to no point (RFC 8032 section 5.1.3), and points of small order, under which
/// one signature fits many messages. aws-lc takes any 32 bytes and finds out at the first signature.
fn check(mut encoded: [u8; KEY_BYTES]) -> Result<(), KeyProblem> {
    // The highest bit is the sign of x.
    encoded[KEY_BYTES - 1] &= 0x7F;
    let y = BigUint::from_bytes_le(&encoded);
    let one = BigUint::from(1u8);
    let prime = (&one << 255u8) - 19u8;
    if y >= prime {
        return Err(KeyProblem::Curve);
    }
    let (minus_one, y_of_order_8) = (&prime - 1u8, BigUint::from_slice(&Y_OF_ORDER_8));
    let minus_y_of_order_8 = &prime - &y_of_order_8;
    if y.bits() == 0 || [one.clone(), minus_one.clone(), y_of_order_8, minus_y_of_order_8].contains(&y) {
        return Err(KeyProblem::SmallOrder);
    }
    // x² = (y² - 1) / (dy² + 1), and a fraction is a square where numerator times denominator is one.
    let y_squared = (&y * &y) % &prime;
    let fraction = ((&y_squared + &minus_one) * (BigUint::from_slice(&D) * &y_squared + &one)) % &prime;
    let is_square = fraction.modpow(&(minus_one >> 1u8), &prime) == one;
    if is_square { Ok(()) } else { Err(KeyProblem::Curve) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The encoding of a small y, or of the prime plus or minus a little.
    fn encoding(lowest: u8, others: u8, highest: u8) -> [u8; KEY_BYTES] {
        let mut encoded = [others; KEY_BYTES];
        encoded[0] = lowest;
        encoded[KEY_BYTES - 1] = highest;
        encoded
    }

    fn order_8() -> [u8; KEY_BYTES] {
        BigUint::from_slice(&Y_OF_ORDER_8).to_bytes_le().try_into().unwrap()
    }

    #[test]
    fn refuses_the_points_of_small_order() {
        let negative: [u8; KEY_BYTES] = {
            let prime = (BigUint::from(1u8) << 255u8) - 19u8;
            (prime - BigUint::from_slice(&Y_OF_ORDER_8)).to_bytes_le().try_into().unwrap()
        };
        for mut encoded in [encoding(0, 0, 0), encoding(1, 0, 0), encoding(0xEC, 0xFF, 0x7F), order_8(), negative] {
            assert_eq!(check(encoded), Err(KeyProblem::SmallOrder), "{encoded:02x?}");
            encoded[KEY_BYTES - 1] |= 0x80;
            assert_eq!(check(encoded), Err(KeyProblem::SmallOrder), "{encoded:02x?}");
        }
    }

    #[test]
    fn the_point_of_order_8_is_on_the_curve_and_doubles_to_one_of_order_4() {
        // The double's y is (y² + x²) / (1 - dx²y²), and y = 0 has order 4: so x² = -y², and
        // -x² + y² = 1 + dx²y² becomes 2y² = 1 - dy⁴.
        let prime = (BigUint::from(1u8) << 255u8) - 19u8;
        let y = BigUint::from_slice(&Y_OF_ORDER_8);
        let left = (&y * &y * 2u8 + BigUint::from_slice(&D) * y.pow(4)) % &prime;
        assert_eq!(left, BigUint::from(1u8));
        let d = (BigUint::from_slice(&D) * 121_666u32 + 121_665u32) % &prime;
        assert_eq!(d, BigUint::from(0u8));
    }

    #[test]
    fn refuses_what_is_no_point() {
        // RFC 8032's base point has y = 4/5; of the small y, 2, 7 and 8 have no x.
        for y in [3, 4, 5, 6, 9, 10] {
            assert_eq!(check(encoding(y, 0, 0)), Ok(()), "{y}");
        }
        for y in [2, 7, 8, 11] {
            assert_eq!(check(encoding(y, 0, 0)), Err(KeyProblem::Curve), "{y}");
        }
        // y = 3 is a point, but not when it is written as the prime plus 3, nor is the prime itself 0.
        for lowest in 0xED..=0xFF {
            assert_eq!(check(encoding(lowest, 0xFF, 0x7F)), Err(KeyProblem::Curve), "{lowest:02x}");
            assert_eq!(check(encoding(lowest, 0xFF, 0xFF)), Err(KeyProblem::Curve), "{lowest:02x}");
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
