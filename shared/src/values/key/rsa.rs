//! Keys of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 6.3).

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeyPairComponents, KeySize, PublicKeyComponents},
    signature::RSA_PKCS1_2048_8192_SHA256,
};
use jsonwebtoken::EncodingKey;
use pkcs1::{
    RsaPrivateKeyRef, UintRef,
    der::{AnyRef, Decode, Encode, Reader, SliceReader, asn1::OctetStringRef},
};
use zeroize::Zeroizing;

use super::{
    KeyProblem, Verifier,
    jwk::{self, Jwk},
};

const GENERATED: KeySize = KeySize::Rsa2048;
/// RFC 7518 section 3.3 has at least 2048; aws-lc computes with at most 8192.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// NIST SP 800-89 section 5.3.3; attacks on sloppy padding live on smaller exponents.
const SMALLEST_EXPONENT: u32 = 65537;
/// No generator makes a modulus with a prime factor below this, unless it is broken.
const SMALL_FACTORS: u64 = 1000;
/// A modulus that the broken generator behind ROCA made is a power of 65537 modulo every prime up to this.
const ROCA_PRIMES: u64 = 167;

/// Modulus and exponent, big-endian without leading zeroes.
struct Public {
    n: Zeroizing<Vec<u8>>,
    e: Zeroizing<Vec<u8>>,
}

/// `is_checked`: whether aws-lc checks every private member against the others, which takes most of the time. It does so
/// again for each signature.
pub(super) fn signing(jwk: &Jwk, is_checked: bool) -> Result<EncodingKey, KeyProblem> {
    let Public { n, e } = public(jwk)?;
    if jwk.d.is_none() {
        return Err(KeyProblem::Public);
    }
    let private = |member: &Option<Zeroizing<String>>| jwk::bytes(member.as_deref());
    let (d, p, q) = (private(&jwk.d)?, private(&jwk.p)?, private(&jwk.q)?);
    let (dp, dq, qi) = (private(&jwk.dp)?, private(&jwk.dq)?, private(&jwk.qi)?);
    if is_checked {
        KeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
            d: d.as_slice(),
            p: p.as_slice(),
            q: q.as_slice(),
            dP: dp.as_slice(),
            dQ: dq.as_slice(),
            qInv: qi.as_slice(),
        })
        .map_err(|_| KeyProblem::Mismatch)?;
    }
    let der = to_pkcs1([&n, &e, &d, &p, &q, &dp, &dq, &qi]).map_err(|_| KeyProblem::Material)?;
    Ok(EncodingKey::from_rsa_der(&der))
}

pub(super) fn verifying(jwk: &Jwk) -> Result<Verifier, KeyProblem> {
    let Public { n, e } = public(jwk)?;
    let key = PublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
    Ok(Verifier::Public(key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| KeyProblem::Material)?))
}

/// aws-lc draws from its own generator, which the system's randomness seeds.
pub(super) fn generate() -> Option<Jwk> {
    let pair = KeyPair::generate(GENERATED).ok()?;
    let document = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
    let key = from_pkcs8(document.as_ref()).ok()?;
    let private = |number: &UintRef<'_>| Some(jwk::encode_private(number.as_bytes()));
    Some(Jwk {
        n: Some(jwk::encode(key.modulus.as_bytes())),
        e: Some(jwk::encode(key.public_exponent.as_bytes())),
        d: private(&key.private_exponent),
        p: private(&key.prime1),
        q: private(&key.prime2),
        dp: private(&key.exponent1),
        dq: private(&key.exponent2),
        qi: private(&key.coefficient),
        ..Jwk::default()
    })
}

/// `PrivateKeyInfo` (RFC 5208 section 5) is version, algorithm and the key itself.
fn from_pkcs8(document: &[u8]) -> pkcs1::der::Result<RsaPrivateKeyRef<'_>> {
    let mut reader = SliceReader::new(document)?;
    let key: &OctetStringRef = reader.sequence(|inner| {
        u8::decode(inner)?;
        AnyRef::decode(inner)?;
        inner.decode()
    })?;
    RsaPrivateKeyRef::from_der(key.as_bytes())
}

/// `RSAPrivateKey` (RFC 8017 appendix A.1.2) of its numbers, in its order.
fn to_pkcs1(numbers: [&[u8]; 8]) -> pkcs1::der::Result<Zeroizing<Vec<u8>>> {
    let [modulus, public_exponent, private_exponent, prime1, prime2, exponent1, exponent2, coefficient] =
        numbers.map(UintRef::new);
    let key = RsaPrivateKeyRef {
        modulus: modulus?,
        public_exponent: public_exponent?,
        private_exponent: private_exponent?,
        prime1: prime1?,
        prime2: prime2?,
        exponent1: exponent1?,
        exponent2: exponent2?,
        coefficient: coefficient?,
        other_prime_infos: None,
    };
    let mut der = Zeroizing::new(vec![0; usize::try_from(key.encoded_len()?)?]);
    key.encode_to_slice(&mut der)?;
    Ok(der)
}

/// The public half, checked against what is known to be weak.
fn public(jwk: &Jwk) -> Result<Public, KeyProblem> {
    let (n, e) = (jwk::bytes(jwk.n.as_ref())?, jwk::bytes(jwk.e.as_ref())?);
    // RFC 7518 section 2 forbids leading zeroes, and aws-lc would refuse them only at the first signature.
    if n.first().is_none_or(|byte| *byte == 0) || e.first().is_none_or(|byte| *byte == 0) {
        return Err(KeyProblem::Material);
    }
    check_exponent(&e)?;
    check_modulus(&n)?;
    Ok(Public { n, e })
}

fn check_exponent(e: &[u8]) -> Result<(), KeyProblem> {
    if e.len() > size_of::<u32>() {
        return Err(KeyProblem::Exponent);
    }
    let exponent = e.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    if exponent < SMALLEST_EXPONENT || exponent.is_multiple_of(2) { Err(KeyProblem::Exponent) } else { Ok(()) }
}

fn check_modulus(n: &[u8]) -> Result<(), KeyProblem> {
    let (Some(first), Some(last)) = (n.first(), n.last()) else { return Err(KeyProblem::Modulus) };
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if !MODULUS_BITS.contains(&bits) || last.is_multiple_of(2) {
        return Err(KeyProblem::Modulus);
    }
    let primes = || (3..SMALL_FACTORS).filter(|&number| is_prime(number));
    if primes().any(|prime| residue(n, prime) == 0) {
        return Err(KeyProblem::SmallFactor);
    }
    let is_roca = |prime| is_power_of_65537(residue(n, prime), prime);
    if primes().take_while(|&prime| prime <= ROCA_PRIMES).all(is_roca) { Err(KeyProblem::Roca) } else { Ok(()) }
}

fn is_prime(number: u64) -> bool {
    (2..number).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

/// The big-endian number modulo a small one.
fn residue(n: &[u8], modulus: u64) -> u64 {
    let (head, words) = n.as_rchunks();
    let head = head.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let step = |residue, word: &[u8; 4]| (residue << 32 | u64::from(u32::from_be_bytes(*word))) % modulus;
    words.iter().fold(head % modulus, step)
}

/// The fingerprint of ROCA (CVE-2017-15361; Nemec and others, "The Return of Coppersmith's
/// Attack"): its primes are k·M + (65537^a mod M), M the product of the first primes, so the modulus
/// is a power of 65537 modulo each of them. Of other moduli, fewer than one in a hundred million is.
fn is_power_of_65537(residue: u64, prime: u64) -> bool {
    let generator = 65537 % prime;
    let mut power = generator;
    while power != 1 && power != residue {
        power = power * generator % prime;
    }
    power == residue
}

#[cfg(test)]
mod tests {
    use super::super::{
        Algorithm, SigningKeys, VerifyingKeys,
        tests::{private, public as public_half, signing_problem, verifying_problem, with},
    };
    use super::*;
    use num_bigint::BigUint;
    use serde_json::{Value, json};

    /// `roca/tests/data/mod03.txt` of the detection tool by the finders of ROCA, github.com/crocs-muni/roca.
    const ROCA: &str = "9dcd7420e420c270a68060eb8b5aa7457a9f6648f86fafed2775cc1f79ae962f1e63f1b9e51c55f9ea6fdc7332e9b005\
        8c9ff2eb1fc89855029cf6aafe21e689feb38ac9ffb12f1ce371bb5d0e9aae64161abce74b4244bf68f1edb4411f756a097c8929c14740\
        245ea355f8332d1aa36bb50c7dcb4505da8de02e4e53d38f8df06097da7524df0df93db48eac8cc4af2d3a16257eb2b2adca6ba464e597\
        4fa92550d31b1babf161e7692d00b86e3dd886ecab4abfbe1a8f8cc263ff4af55cdb45f4249a5193925f5e983d762f0b6800943eb0267b\
        08f42ed311ce1f5c86eacbc8ce4d3cb7a2fee1ef5641423a1cf4114e5ecf50034a60a412523af9e6f4aa11";

    fn good() -> BigUint {
        BigUint::from_bytes_be(&jwk::bytes(public_half(Algorithm::Rs256)["n"].as_str().as_ref()).unwrap())
    }

    fn number(value: &BigUint) -> Value {
        json!(jwk::encode(&value.to_bytes_be()))
    }

    /// What both loaders say of the good key with this modulus.
    fn problem(modulus: &BigUint) -> KeyProblem {
        let problem = verifying_problem(&with(public_half(Algorithm::Rs256), "n", number(modulus)));
        assert_eq!(signing_problem(&with(private(Algorithm::Rs256), "n", number(modulus))), problem);
        problem
    }

    /// The next number from here on that none of the checks for factors minds.
    fn sound(mut number: BigUint) -> BigUint {
        number.set_bit(0, true);
        let minds = |number: &BigUint| {
            !matches!(check_modulus(&number.to_bytes_be()), Ok(()) | Err(KeyProblem::Modulus))
                || (3..SMALL_FACTORS).any(|divisor| (number % divisor).bits() == 0)
        };
        (0..10_000u32).map(|step| &number + 2 * step).find(|number| !minds(number)).unwrap()
    }

    #[test]
    fn a_modulus_has_2048_to_8192_bits_and_is_odd() {
        for bits in [2048u32, 3072, 4096, 8192] {
            let smallest = sound((BigUint::from(1u8) << (bits - 1)) + (BigUint::from(1u8) << (bits - 10)));
            VerifyingKeys::parse(&with(public_half(Algorithm::Rs256), "n", number(&smallest)).to_string()).unwrap();
        }
        for bits in [8u32, 1024, 2040, 2047, 8193, 16384] {
            assert_eq!(problem(&(sound(BigUint::from(1u8) << (bits - 1)))), KeyProblem::Modulus, "{bits}");
        }
        assert_eq!(problem(&(good() - 1u8)), KeyProblem::Modulus);
    }

    #[test]
    fn numbers_have_no_leading_zeroes_and_are_there() {
        let jwk = public_half(Algorithm::Rs256);
        let padded = |number: &Value| {
            let bytes = jwk::bytes(number.as_str().as_ref()).unwrap();
            json!(jwk::encode(&[&[0], bytes.as_slice()].concat()))
        };
        for member in ["n", "e"] {
            for value in [Value::Null, json!(""), json!("AA"), json!("not base64!"), padded(&jwk[member])] {
                assert_eq!(verifying_problem(&with(jwk.clone(), member, value)), KeyProblem::Material, "{member}");
            }
        }
    }

    #[test]
    fn an_exponent_is_odd_and_between_65537_and_32_bits() {
        let jwk = public_half(Algorithm::Rs256);
        for exponent in [1u64, 2, 3, 17, 65535, 65536, 65538, 0xFFFF_FFFE, 0x1_0000_0001, u64::MAX] {
            let bad = with(jwk.clone(), "e", number(&exponent.into()));
            assert_eq!(verifying_problem(&bad), KeyProblem::Exponent, "{exponent}");
        }
        for exponent in [65537u64, 65539, 0xFFFF_FFFF] {
            VerifyingKeys::parse(&with(jwk.clone(), "e", number(&exponent.into())).to_string()).unwrap();
        }
    }

    #[test]
    fn refuses_a_modulus_with_a_small_factor() {
        for factor in [3u32, 5, 7, 167, 173, 991, 997] {
            let multiple = good() / factor / 2u8 * 2u8 + 1u8;
            assert_eq!(problem(&(multiple * factor)), KeyProblem::SmallFactor, "{factor}");
        }
    }

    #[test]
    fn refuses_a_modulus_of_the_generator_of_roca() {
        assert_eq!(problem(&BigUint::parse_bytes(ROCA.as_bytes(), 16).unwrap()), KeyProblem::Roca);
        // A power of 65537 is one modulo every prime.
        assert_eq!(problem(&BigUint::from(65537u32).pow(128)), KeyProblem::Roca);
        let other = sound(BigUint::from(65537u32).pow(128) + 2u8);
        assert_eq!(check_modulus(&other.to_bytes_be()), Ok(()));
    }

    #[test]
    fn the_residue_is_that_of_the_whole_number() {
        let n = good();
        for modulus in [3u64, 167, 997, 65537] {
            for bits in [0u32, 8, 16, 24] {
                let shifted = &n << bits;
                assert_eq!(BigUint::from(residue(&shifted.to_bytes_be(), modulus)), &shifted % modulus, "{bits}");
            }
        }
        assert!([2, 3, 5, 7, 167, 997].into_iter().all(is_prime) && ![4, 9, 25, 999].into_iter().any(is_prime));
    }

    #[test]
    fn of_keys_that_no_longer_sign_members_are_checked_when_they_do() {
        let mut random = rand::rand_core::UnwrapErr(rand::rngs::SysRng);
        let now = crate::values::time::Timestamp(1_000);
        let keys: Vec<Value> = (0..3)
            .map(|_| {
                let made = SigningKeys::generate(Algorithm::Rs256, now, &mut random).unwrap().to_private_jwks();
                serde_json::from_str::<Value>(&made).unwrap()["keys"][0].take()
            })
            .collect();
        let mismatched = |position: usize| {
            let mut keys = keys.clone();
            keys[position]["qi"] = keys[position]["dp"].clone();
            for key in &mut keys[..position] {
                key["exp"] = json!(1_001);
            }
            SigningKeys::parse(&json!({ "keys": keys }).to_string())
        };
        for position in [0, 1] {
            let error = mismatched(position).unwrap_err();
            assert!(matches!(error, super::super::RingError::Key { problem: KeyProblem::Mismatch, .. }), "{error}");
        }
        let ring = mismatched(2).unwrap();
        let key = ring.signing(crate::values::time::Timestamp(1_001)).unwrap();
        assert_eq!(key.id(), keys[2]["kid"]);
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        jsonwebtoken::encode(&header, &json!({}), key.in_library()).unwrap_err();
    }

    #[test]
    fn a_signing_key_has_all_its_members_and_they_belong_together() {
        let good = private(Algorithm::Rs256);
        SigningKeys::parse(&good.to_string()).unwrap();
        assert_eq!(signing_problem(&with(good.clone(), "d", Value::Null)), KeyProblem::Public);
        for member in ["p", "q", "dp", "dq", "qi"] {
            assert_eq!(signing_problem(&with(good.clone(), member, Value::Null)), KeyProblem::Material, "{member}");
        }
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            let bytes = jwk::bytes(good[member].as_str().as_ref()).unwrap();
            let changed = number(&(BigUint::from_bytes_be(&bytes) + 2u8));
            assert_eq!(signing_problem(&with(good.clone(), member, changed)), KeyProblem::Mismatch, "{member}");
            assert_eq!(signing_problem(&with(good.clone(), member, json!(""))), KeyProblem::Mismatch, "{member}");
        }
        assert_eq!(signing_problem(&with(good.clone(), "e", json!("AQAD"))), KeyProblem::Mismatch);
        let other = SigningKeys::generate(
            Algorithm::Rs256,
            crate::values::time::Timestamp(0),
            &mut rand::rand_core::UnwrapErr(rand::rngs::SysRng),
        )
        .unwrap();
        let other: Value = serde_json::from_str(&other.newest().unwrap().public_jwk().unwrap()).unwrap();
        assert_eq!(signing_problem(&with(good, "n", other["n"].clone())), KeyProblem::Mismatch);
    }
}
