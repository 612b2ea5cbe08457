//! Keys as JWKs (RFC 7517), each bound to one algorithm.
//!
//! A ring is a JWK Set, or a single JWK. Of a signing ring the first key signs. The loader is strict,
//! because what it lets pass, `jsonwebtoken` uses: it wants `kid` and `alg` on every key, an algorithm
//! that fits the key's type, and key material that is whole, and its errors name the key.

use std::{collections::HashMap, fmt};

use aws_lc_rs::{
    encoding::AsBigEndian,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// HS256 takes no shorter secret than its hash (RFC 7518 section 3.2).
const HS256_BYTES: usize = 32;
/// A coordinate, and the private number, of P-256.
const P256_BYTES: usize = 32;
/// A `kid` is looked up and logged: longer ones than this are of no use to anyone.
const KEY_ID_BYTES: usize = 128;

/// The algorithms that keys can be for (`alg` of RFC 7518 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// HMAC with SHA-256: whoever can verify can sign.
    Hs256,
}

impl Algorithm {
    /// The name in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
        }
    }

    pub(crate) fn in_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

impl std::str::FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::Es256, Self::Hs256].into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnknownAlgorithm)
    }
}

/// The name is that of no algorithm that keys can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be ES256 or HS256")]
pub struct UnknownAlgorithm;

/// A JWK as it is written, private members included.
#[derive(Serialize, Deserialize, Default)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ops: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Zeroizing<String>>,
}

#[derive(Serialize, Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// A ring that can't be used. The text names the key, never its private members.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The text isn't JSON, or isn't a JWK Set or JWK.
    #[error("is no JWK Set and no JWK (line {line}, column {column})")]
    Form {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The set has no key at all.
    #[error("has no key")]
    Empty,
    /// One of its keys can't be used.
    #[error("key {position} (kid {kid:?}) {problem}")]
    Key {
        /// The key's place in the set, counted from 1.
        position: usize,
        /// Its `kid`, empty where it has none.
        kid: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeyProblem {
    #[error("has no kid, or one that is empty, longer than 128 bytes or not printable ASCII")]
    KeyId,
    #[error("has the kid of another key of the set")]
    Repeated,
    #[error("has no alg, or one that is not ES256 or HS256")]
    Algorithm,
    #[error("has an alg that does not fit its kty")]
    Type,
    #[error("has a use other than \"sig\"")]
    Use,
    #[error("has key_ops without what it is needed for")]
    Operations,
    #[error("is not on the curve P-256")]
    Curve,
    #[error("lacks a member, or has one that is not base64url of the right length")]
    Material,
    #[error("has a secret shorter than 32 bytes")]
    ShortSecret,
    #[error("has public and private members that do not belong together")]
    Mismatch,
    #[error("has no private member to sign with")]
    Public,
    #[error("has a private member: whoever only verifies must not hold it")]
    Private,
}

/// A key that signs.
pub struct SigningKey {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    jwk: Jwk,
}

/// A key that verifies.
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// A private ring.
pub struct SigningKeys {
    keys: Vec<SigningKey>,
}

/// A ring to verify with: public keys, and secrets of HS256.
pub struct VerifyingKeys {
    by_id: HashMap<String, VerifyingKey>,
}

impl SigningKey {
    /// The key's `kid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The one algorithm that this key signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn in_library(&self) -> &EncodingKey {
        &self.key
    }

    fn load(jwk: Jwk) -> Result<Self, KeyProblem> {
        let (id, algorithm) = jwk.identify("sign")?;
        let key = match algorithm {
            Algorithm::Hs256 => EncodingKey::from_secret(&jwk.secret()?),
            Algorithm::Es256 => {
                let point = jwk.p256_point()?;
                let private = decode::<P256_BYTES>(jwk.d.as_deref().ok_or(KeyProblem::Public)?)?;
                let pair = EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    private.as_slice(),
                    &point,
                )
                .map_err(|_| KeyProblem::Mismatch)?;
                let document = pair.to_pkcs8v1().map_err(|_| KeyProblem::Material)?;
                EncodingKey::from_ec_der(document.as_ref())
            }
        };
        Ok(Self { id, algorithm, key, jwk })
    }
}

impl VerifyingKey {
    /// The one algorithm that this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn in_library(&self) -> &DecodingKey {
        &self.key
    }

    fn load(jwk: &Jwk) -> Result<(String, Self), KeyProblem> {
        let (id, algorithm) = jwk.identify("verify")?;
        let key = match algorithm {
            Algorithm::Hs256 => DecodingKey::from_secret(&jwk.secret()?),
            Algorithm::Es256 => {
                if jwk.d.is_some() {
                    return Err(KeyProblem::Private);
                }
                DecodingKey::from_ec_der(&jwk.p256_point()?)
            }
        };
        Ok((id, Self { algorithm, key }))
    }
}

impl SigningKeys {
    /// Reads a private ring: a JWK Set whose first key signs, or a single JWK.
    ///
    /// # Errors
    /// [`RingError`] names the key that can't be used and says why.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let mut keys: Vec<SigningKey> = Vec::new();
        for_each_key(text, |jwk| {
            let key = SigningKey::load(jwk)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyProblem::Repeated);
            }
            keys.push(key);
            Ok(())
        })?;
        Ok(Self { keys })
    }

    /// Makes a ring of one new key, its `kid` random. `None` where the cryptographic library fails.
    #[must_use]
    pub fn generate(algorithm: Algorithm, rng: &mut impl CryptoRng) -> Option<Self> {
        let mut jwk = Jwk {
            kid: Some(crate::session::random_identifier(rng)),
            alg: Some(algorithm.name().to_owned()),
            usage: Some("sig".to_owned()),
            ..Jwk::default()
        };
        match algorithm {
            Algorithm::Hs256 => {
                let mut secret = Zeroizing::new([0; HS256_BYTES]);
                rng.fill_bytes(secret.as_mut_slice());
                "oct".clone_into(&mut jwk.kty);
                jwk.k = Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_slice())));
            }
            Algorithm::Es256 => {
                // aws-lc draws from its own generator, which the system's randomness seeds.
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
                let private = pair.private_key().as_be_bytes().ok()?;
                let (x, y) = pair.public_key().as_ref().strip_prefix(&[0x04])?.split_at_checked(P256_BYTES)?;
                "EC".clone_into(&mut jwk.kty);
                jwk.crv = Some("P-256".to_owned());
                jwk.x = Some(URL_SAFE_NO_PAD.encode(x));
                jwk.y = Some(URL_SAFE_NO_PAD.encode(y));
                jwk.d = Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(private.as_ref())));
            }
        }
        Some(Self { keys: vec![SigningKey::load(jwk).ok()?] })
    }

    /// The key that signs: the first of the ring.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        // `parse` refuses an empty set and `generate` makes one key.
        &self.keys[0]
    }

    /// The ring as a JWK Set, with all private members.
    #[must_use]
    pub fn to_private_jwks(&self) -> Zeroizing<String> {
        to_jwks(self.keys.iter().map(|key| &key.jwk).collect())
    }

    /// What a verifier needs of this ring, as a JWK Set: the public halves, and the secrets of HS256.
    #[must_use]
    pub fn to_verifying_jwks(&self) -> Zeroizing<String> {
        let halves: Vec<Jwk> = self.keys.iter().map(|key| key.jwk.for_verifier()).collect();
        to_jwks(halves.iter().collect())
    }
}

impl VerifyingKeys {
    /// Reads a ring to verify with: a JWK Set, or a single JWK.
    ///
    /// # Errors
    /// [`RingError`] names the key that can't be used and says why.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let mut by_id = HashMap::new();
        for_each_key(text, |jwk| {
            let (id, key) = VerifyingKey::load(&jwk)?;
            if by_id.insert(id, key).is_some() { Err(KeyProblem::Repeated) } else { Ok(()) }
        })?;
        Ok(Self { by_id })
    }

    /// The key of exactly this `kid`.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&VerifyingKey> {
        self.by_id.get(id)
    }
}

impl Jwk {
    /// Checks what keys of all types have in common, and gives `kid` and algorithm.
    fn identify(&self, operation: &str) -> Result<(String, Algorithm), KeyProblem> {
        let id = self.kid.as_deref().ok_or(KeyProblem::KeyId)?;
        if !(1..=KEY_ID_BYTES).contains(&id.len()) || !id.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
            return Err(KeyProblem::KeyId);
        }
        let algorithm: Algorithm =
            self.alg.as_deref().and_then(|name| name.parse().ok()).ok_or(KeyProblem::Algorithm)?;
        let fits = match algorithm {
            Algorithm::Es256 => self.kty == "EC",
            Algorithm::Hs256 => self.kty == "oct",
        };
        if !fits {
            return Err(KeyProblem::Type);
        }
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(KeyProblem::Use);
        }
        if self.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|one| one == operation)) {
            return Err(KeyProblem::Operations);
        }
        Ok((id.to_owned(), algorithm))
    }

    fn secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
        let text = self.k.as_deref().ok_or(KeyProblem::Material)?;
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyProblem::Material)?);
        if secret.len() < HS256_BYTES { Err(KeyProblem::ShortSecret) } else { Ok(secret) }
    }

    /// The public point, uncompressed (SEC 1 section 2.3.3), checked to be on the curve.
    fn p256_point(&self) -> Result<Vec<u8>, KeyProblem> {
        if self.crv.as_deref() != Some("P-256") {
            return Err(KeyProblem::Curve);
        }
        let coordinate = |member: &Option<String>| decode::<P256_BYTES>(member.as_deref().ok_or(KeyProblem::Material)?);
        let (x, y) = (coordinate(&self.x)?, coordinate(&self.y)?);
        let point = [&[0x04][..], x.as_slice(), y.as_slice()].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| KeyProblem::Curve)?;
        Ok(point)
    }

    fn for_verifier(&self) -> Self {
        Self {
            kty: self.kty.clone(),
            kid: self.kid.clone(),
            alg: self.alg.clone(),
            usage: Some("sig".to_owned()),
            key_ops: None,
            crv: self.crv.clone(),
            x: self.x.clone(),
            y: self.y.clone(),
            d: None,
            k: self.k.clone(),
        }
    }
}

/// Exactly `N` bytes of base64url without padding.
fn decode<const N: usize>(text: &str) -> Result<Zeroizing<[u8; N]>, KeyProblem> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyProblem::Material)?);
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| KeyProblem::Material)
}

fn for_each_key(text: &str, mut load: impl FnMut(Jwk) -> Result<(), KeyProblem>) -> Result<(), RingError> {
    /// A set has this member; whether its value is one is for the second reading to say.
    #[derive(Deserialize)]
    struct Probe {
        keys: Option<serde::de::IgnoredAny>,
    }
    // Only where the reader stopped: its own text may quote the value that it stopped at.
    let form = |error: serde_json::Error| RingError::Form { line: error.line(), column: error.column() };
    let keys = match serde_json::from_str::<Probe>(text).map_err(form)?.keys {
        Some(_) => serde_json::from_str::<JwkSet>(text).map_err(form)?.keys,
        None => vec![serde_json::from_str::<Jwk>(text).map_err(form)?],
    };
    if keys.is_empty() {
        return Err(RingError::Empty);
    }
    for (index, jwk) in keys.into_iter().enumerate() {
        let kid = jwk.kid.clone().unwrap_or_default();
        load(jwk).map_err(|problem| RingError::Key { position: index + 1, kid, problem })?;
    }
    Ok(())
}

fn to_jwks(keys: Vec<&Jwk>) -> Zeroizing<String> {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        keys: Vec<&'a Jwk>,
    }
    // Strings and lists of strings always have a JSON form.
    Zeroizing::new(serde_json::to_string(&Borrowed { keys }).unwrap_or_default())
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, {:?})", self.id, self.algorithm)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:?})", self.algorithm)
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.by_id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{rand_core::UnwrapErr, rngs::SysRng};
    use serde_json::{Value, json};

    fn ring(algorithm: Algorithm) -> SigningKeys {
        SigningKeys::generate(algorithm, &mut UnwrapErr(SysRng)).unwrap()
    }

    /// A sound private key of the algorithm, to be damaged by the test.
    fn jwk(algorithm: Algorithm) -> Value {
        let set: Value = serde_json::from_str(&ring(algorithm).to_private_jwks()).unwrap();
        set["keys"][0].clone()
    }

    fn with(mut jwk: Value, member: &str, value: Value) -> Value {
        match value {
            Value::Null => jwk.as_object_mut().unwrap().remove(member),
            value => jwk.as_object_mut().unwrap().insert(member.to_owned(), value),
        };
        jwk
    }

    fn signing_problem(jwk: &Value) -> KeyProblem {
        match SigningKeys::parse(&jwk.to_string()) {
            Err(RingError::Key { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    fn verifying_problem(jwk: &Value) -> KeyProblem {
        match VerifyingKeys::parse(&jwk.to_string()) {
            Err(RingError::Key { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_generated_ring_reads_back_for_signing_and_for_verifying() {
        for algorithm in [Algorithm::Es256, Algorithm::Hs256] {
            let ring = ring(algorithm);
            let again = SigningKeys::parse(&ring.to_private_jwks()).unwrap();
            assert_eq!(again.signing().id(), ring.signing().id());
            assert_eq!(again.signing().algorithm(), algorithm);
            let verifying = VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap();
            assert_eq!(verifying.find(ring.signing().id()).unwrap().algorithm(), algorithm);
            assert!(verifying.find("another").is_none());
        }
    }

    #[test]
    fn a_verifier_gets_no_private_half() {
        let jwks: Value = serde_json::from_str(&ring(Algorithm::Es256).to_verifying_jwks()).unwrap();
        assert!(jwks["keys"][0].get("d").is_none());
        assert_eq!(verifying_problem(&jwk(Algorithm::Es256)), KeyProblem::Private);
    }

    #[test]
    fn the_first_key_signs_and_a_single_jwk_is_a_ring() {
        let (one, two) = (jwk(Algorithm::Es256), jwk(Algorithm::Hs256));
        let ring = SigningKeys::parse(&json!({ "keys": [one, two] }).to_string()).unwrap();
        assert_eq!(ring.signing().id(), one["kid"]);
        assert_eq!(SigningKeys::parse(&two.to_string()).unwrap().signing().id(), two["kid"]);
    }

    #[test]
    fn reads_what_the_template_generates() {
        // SecretStringTemplate with a GenerateStringKey of 64 characters.
        let text = r#"{"kty":"oct","alg":"HS256","use":"sig","kid":"a",
            "k":"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ab"}"#;
        SigningKeys::parse(text).unwrap();
        VerifyingKeys::parse(text).unwrap();
    }

    #[test]
    fn refuses_what_is_no_ring() {
        for text in ["", "null", "[]", "{", "\"abc\"", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"kty":"oct","k":1}"#] {
            assert!(matches!(SigningKeys::parse(text), Err(RingError::Form { .. })), "{text}");
            assert!(matches!(VerifyingKeys::parse(text), Err(RingError::Form { .. })), "{text}");
        }
        assert_eq!(SigningKeys::parse(r#"{"keys":[]}"#).unwrap_err(), RingError::Empty);
        assert_eq!(VerifyingKeys::parse(r#"{"keys":[]}"#).unwrap_err(), RingError::Empty);
    }

    #[test]
    fn refuses_keys_that_do_not_say_what_they_are_for() {
        for algorithm in [Algorithm::Es256, Algorithm::Hs256] {
            let good = jwk(algorithm);
            for (member, value, problem) in [
                ("kid", Value::Null, KeyProblem::KeyId),
                ("kid", json!(""), KeyProblem::KeyId),
                ("kid", json!("a\u{0}"), KeyProblem::KeyId),
                ("kid", json!("k".repeat(129)), KeyProblem::KeyId),
                ("alg", Value::Null, KeyProblem::Algorithm),
                ("alg", json!("none"), KeyProblem::Algorithm),
                ("alg", json!("es256"), KeyProblem::Algorithm),
                ("kty", json!("RSA"), KeyProblem::Type),
                ("use", json!("enc"), KeyProblem::Use),
                ("key_ops", json!([]), KeyProblem::Operations),
                ("key_ops", json!(["encrypt"]), KeyProblem::Operations),
            ] {
                let bad = with(good.clone(), member, value);
                assert_eq!(signing_problem(&bad), problem, "{member}");
                assert_eq!(verifying_problem(&bad), problem, "{member}");
            }
            assert_eq!(verifying_problem(&with(good, "key_ops", json!(["sign"]))), KeyProblem::Operations);
        }
    }

    #[test]
    fn refuses_an_algorithm_of_another_type_of_key() {
        assert_eq!(signing_problem(&with(jwk(Algorithm::Es256), "alg", json!("HS256"))), KeyProblem::Type);
        assert_eq!(signing_problem(&with(jwk(Algorithm::Hs256), "alg", json!("ES256"))), KeyProblem::Type);
    }

    #[test]
    fn refuses_weak_or_damaged_secrets() {
        let good = jwk(Algorithm::Hs256);
        for (value, problem) in [
            (Value::Null, KeyProblem::Material),
            (json!("not base64!"), KeyProblem::Material),
            (json!(""), KeyProblem::ShortSecret),
            (json!(URL_SAFE_NO_PAD.encode([7; 31])), KeyProblem::ShortSecret),
        ] {
            let bad = with(good.clone(), "k", value);
            assert_eq!(signing_problem(&bad), problem);
            assert_eq!(verifying_problem(&bad), problem);
        }
    }

    #[test]
    fn refuses_points_off_the_curve_and_halves_that_do_not_match() {
        let (good, other) = (jwk(Algorithm::Es256), jwk(Algorithm::Es256));
        assert_eq!(signing_problem(&with(good.clone(), "crv", json!("P-384"))), KeyProblem::Curve);
        assert_eq!(signing_problem(&with(good.clone(), "x", other["x"].clone())), KeyProblem::Curve);
        assert_eq!(signing_problem(&with(good.clone(), "y", json!("AA"))), KeyProblem::Material);
        assert_eq!(signing_problem(&with(good.clone(), "d", other["d"].clone())), KeyProblem::Mismatch);
        assert_eq!(signing_problem(&with(good.clone(), "d", Value::Null)), KeyProblem::Public);
        let public = with(good, "d", Value::Null);
        assert_eq!(verifying_problem(&with(public, "x", other["x"].clone())), KeyProblem::Curve);
    }

    #[test]
    fn refuses_one_kid_for_two_keys_and_names_it() {
        let secret = jwk(Algorithm::Hs256);
        let set = json!({ "keys": [secret, secret] }).to_string();
        for error in [SigningKeys::parse(&set).unwrap_err(), VerifyingKeys::parse(&set).unwrap_err()] {
            let RingError::Key { position: 2, kid, problem: KeyProblem::Repeated } = error else { panic!("{error}") };
            assert_eq!(kid, secret["kid"]);
        }
    }

    #[test]
    fn neither_keys_nor_errors_print_private_members() {
        let secret = jwk(Algorithm::Hs256);
        let k = secret["k"].as_str().unwrap();
        assert!(!format!("{:?}", SigningKeys::parse(&secret.to_string()).unwrap()).contains(k));
        assert!(!format!("{:?}", VerifyingKeys::parse(&secret.to_string()).unwrap()).contains(k));
        let bad = with(secret.clone(), "use", json!("enc"));
        assert!(!format!("{:?}", SigningKeys::parse(&bad.to_string()).unwrap_err()).contains(k));
        let form = json!({ "kty": { "k": k } }).to_string();
        assert!(!format!("{:?}", SigningKeys::parse(&form).unwrap_err()).contains(k));
    }
}
