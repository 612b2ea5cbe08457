//! Keys as JWKs (RFC 7517), each bound to one algorithm.
//!
//! A ring is a JWK Set, or a single JWK. Of a signing ring the first key signs whose time it is: a
//! rotation puts the next key in front before its time, so that every verifier knows it by then, and
//! leaves the older ones behind it until the last token that they signed has expired.
//!
//! The loader is strict, because what it lets pass is used: it wants `kid` and `alg` on
//! every key, an algorithm that fits the key's type, and key material that is whole and not known to be
//! weak, and its errors name the key.

mod ed25519;
mod hmac;
mod jwk;
mod p256;
mod refresh;
mod rsa;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    time::Duration,
};

use aws_lc_rs::{hmac as mac, signature::ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use rand::CryptoRng;
use zeroize::Zeroizing;

use self::jwk::{Jwk, JwkSet};
pub(crate) use self::refresh::BYTES as REFRESH_CODE_BYTES;
pub use self::refresh::RefreshKey;
use crate::values::time::Timestamp;

/// The algorithms that keys can be for (`alg` of RFC 7518 section 3.1 and RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// `EdDSA` over edwards25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// HMAC with SHA-256: whoever can verify can sign.
    Hs256,
}

impl Algorithm {
    /// All of them, the default one first.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Rs256, Self::Hs256];

    /// The name in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    /// The `kty` of its keys.
    fn key_type(self) -> &'static str {
        match self {
            Self::Es256 => "EC",
            Self::EdDsa => "OKP",
            Self::Rs256 => "RSA",
            Self::Hs256 => "oct",
        }
    }

    pub(crate) fn in_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnknownAlgorithm)
    }
}

/// No algorithm that keys can be for has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be ES256, EdDSA, RS256 or HS256")]
pub struct UnknownAlgorithm;

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
    /// The set is empty.
    #[error("has no key")]
    Empty,
    /// The refresh key of one of its former keys can't be used.
    #[error("a refresh key {0}")]
    Refresh(KeyProblem),
    /// One of its keys can't be used.
    #[error("key {position} (kid {kid:?}) {problem}")]
    Key {
        /// The key's place in the set, counted from 1.
        position: usize,
        /// Its `kid`, empty where it has none.
        kid: String,
        /// The problem.
        problem: KeyProblem,
    },
}

/// Why a key can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeyProblem {
    #[error("has no kid, or one that is empty, longer than 128 bytes or not printable ASCII")]
    KeyId,
    #[error("has the kid of another key of the ring")]
    Repeated,
    #[error("has no alg, or one that is not ES256, EdDSA, RS256 or HS256")]
    Algorithm,
    #[error("has an alg that does not fit its kty")]
    Type,
    #[error("has a use other than \"sig\"")]
    Use,
    #[error("has key_ops without what it is needed for")]
    Operations,
    #[error("is not on the curve of its alg (P-256 for ES256, Ed25519 for EdDSA)")]
    Curve,
    #[error("is a point of small order")]
    SmallOrder,
    #[error("has a modulus that is even, or not of 2048 to 8192 bits")]
    Modulus,
    #[error("has a public exponent that is even, below 65537 or longer than 32 bits")]
    Exponent,
    #[error("has a modulus with a small factor")]
    SmallFactor,
    #[error("has a modulus of the broken generator of ROCA (CVE-2017-15361)")]
    Roca,
    #[error("lacks a member, or has one that is not base64url of the right length")]
    Material,
    #[error("has a secret shorter than 32 bytes; this makes a good one: {}", hmac::MAKES_A_SECRET)]
    ShortSecret,
    #[error("has a secret that is text, which can be guessed; this makes a good one: {}", hmac::MAKES_A_SECRET)]
    TextSecret,
    #[error("has a secret with fewer than 16 different bytes; this makes a good one: {}", hmac::MAKES_A_SECRET)]
    RepetitiveSecret,
    #[error("has public and private members that do not belong together")]
    Mismatch,
    #[error("has no private member to sign with")]
    Public,
    #[error("has a private member: whoever only verifies must not hold it")]
    Private,
}

/// How many keys at the front of a private ring sign now or are next. Private members of those behind them, which only
/// sign where these have ended, are not checked against each other before they do: a ring may have many.
const SIGNING_SOON: usize = 2;

/// A key that signs.
pub struct SigningKey {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    refresh: RefreshKey,
    jwk: Jwk,
}

/// A key that verifies.
pub struct VerifyingKey {
    algorithm: Algorithm,
    verifier: Verifier,
    expires: Option<Timestamp>,
}

/// What checks signatures, made ready once for all of them.
enum Verifier {
    Public(ParsedPublicKey),
    Secret(Box<mac::Key>),
}

/// A private ring, the newest key first. It is empty before the first rotation.
pub struct SigningKeys {
    keys: Vec<SigningKey>,
    /// The refresh keys of signing keys that have ended.
    refresh: Vec<RefreshKey>,
}

/// Whether a rotation may keep a key of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It is as good as ever.
    Kept,
    /// Nobody can verify what it signs, because its public half is no longer published.
    Unpublished,
    /// It was retired by hand: nothing that it made counts.
    Retired,
}

/// How long a rotation leaves older keys in the ring.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The time from which the new key signs.
    pub signs_from: Timestamp,
    /// The end that keys without one get: until then they verify.
    pub verifies_until: Timestamp,
    /// How much longer refresh tokens of an ended key count: the longest life of a session.
    pub sessions: Duration,
}

/// A ring to verify with: public keys, and secrets of HS256.
#[derive(Default)]
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

    /// When it was made (`iat`), if it says so.
    #[must_use]
    pub fn made(&self) -> Option<Timestamp> {
        self.jwk.iat
    }

    /// The time from which the key signs (`nbf`); without one, it always does.
    #[must_use]
    pub fn signs_from(&self) -> Timestamp {
        self.jwk.nbf.unwrap_or(Timestamp(0))
    }

    /// The time at which the key stops signing and verifying (`exp`); without one, it never does.
    #[must_use]
    pub fn verifies_until(&self) -> Option<Timestamp> {
        self.jwk.exp
    }

    /// The public half as a JWK, without times. `None` for HS256, which has none.
    #[must_use]
    pub fn public_jwk(&self) -> Option<String> {
        match self.algorithm {
            Algorithm::Hs256 => None,
            Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Rs256 => serde_json::to_string(&self.jwk.public()).ok(),
        }
    }

    /// The key of the refresh tokens of sessions that begin while this key signs.
    #[must_use]
    pub fn refresh_key(&self) -> &RefreshKey {
        &self.refresh
    }

    pub(crate) fn in_library(&self) -> &EncodingKey {
        &self.key
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.verifies_until().is_some_and(|end| end <= now)
    }

    fn can_sign(&self, now: Timestamp) -> bool {
        self.signs_from() <= now && !self.is_over(now)
    }

    /// The same key with an end, if it has none yet.
    fn retired(&self, verifies_until: Timestamp) -> Self {
        let mut jwk = self.jwk.clone();
        jwk.exp.get_or_insert(verifies_until);
        let (id, refresh) = (self.id.clone(), self.refresh.clone());
        Self { id, algorithm: self.algorithm, key: self.key.clone(), refresh, jwk }
    }

    fn load(jwk: Jwk, signs_soon: bool) -> Result<Self, KeyProblem> {
        let (id, algorithm) = jwk.identify("sign")?;
        let key = match algorithm {
            Algorithm::Es256 => p256::signing(&jwk),
            Algorithm::EdDsa => ed25519::signing(&jwk),
            Algorithm::Rs256 => rsa::signing(&jwk, signs_soon),
            Algorithm::Hs256 => hmac::signing(&jwk),
        }?;
        let refresh = RefreshKey::derive(&id, &jwk)?;
        Ok(Self { id, algorithm, key, refresh, jwk })
    }

    fn generate(algorithm: Algorithm, now: Timestamp, signs_from: Timestamp, rng: &mut impl CryptoRng) -> Option<Self> {
        let material = match algorithm {
            Algorithm::Es256 => p256::generate()?,
            Algorithm::EdDsa => ed25519::generate(rng)?,
            Algorithm::Rs256 => rsa::generate()?,
            Algorithm::Hs256 => hmac::generate(rng),
        };
        let jwk = Jwk {
            kty: algorithm.key_type().to_owned(),
            kid: Some(crate::values::session::random_identifier(rng)),
            alg: Some(algorithm.name().to_owned()),
            usage: Some("sig".to_owned()),
            iat: Some(now),
            nbf: Some(signs_from),
            ..material
        };
        Self::load(jwk, true).ok()
    }
}

impl VerifyingKey {
    /// The one algorithm that this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature is this key's for the message; `None` where its text is not base64url.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> Option<bool> {
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(match &self.verifier {
            Verifier::Public(key) => key.verify_sig(message, &signature).is_ok(),
            Verifier::Secret(key) => mac::verify(key, message, &signature).is_ok(),
        })
    }

    fn load(jwk: &Jwk) -> Result<(String, Self), KeyProblem> {
        let (id, algorithm) = jwk.identify("verify")?;
        if algorithm != Algorithm::Hs256 && jwk.is_private() {
            return Err(KeyProblem::Private);
        }
        let verifier = match algorithm {
            Algorithm::Es256 => p256::verifying(jwk),
            Algorithm::EdDsa => ed25519::verifying(jwk),
            Algorithm::Rs256 => rsa::verifying(jwk),
            Algorithm::Hs256 => hmac::verifying(jwk),
        }?;
        Ok((id, Self { algorithm, verifier, expires: jwk.exp }))
    }
}

impl SigningKeys {
    /// Reads a private ring: a JWK Set, the newest key first, or a single JWK. The set may be empty, as
    /// it is before the first rotation.
    ///
    /// # Errors
    /// [`RingError`] names the key that can't be used and says why.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let set = jwk::read(text)?;
        let mut keys: Vec<SigningKey> = Vec::new();
        for (index, jwk) in set.keys.into_iter().enumerate() {
            let refused = refused(index, &jwk);
            let key = SigningKey::load(jwk, index < SIGNING_SOON).map_err(&refused)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(refused(KeyProblem::Repeated));
            }
            keys.push(key);
        }
        let refresh =
            set.refresh_keys.iter().map(RefreshKey::read).collect::<Result<_, _>>().map_err(RingError::Refresh)?;
        Ok(Self { keys, refresh })
    }

    /// Makes a ring of one new key that signs from `now` on, its `kid` random. `None` where the
    /// cryptographic library fails.
    #[must_use]
    pub fn generate(algorithm: Algorithm, now: Timestamp, rng: &mut impl CryptoRng) -> Option<Self> {
        Some(Self { keys: vec![SigningKey::generate(algorithm, now, now, rng)?], refresh: Vec::new() })
    }

    /// Makes the ring that follows this one: a new key, and behind it the keys that tokens in use may
    /// still need. Left out are keys whose end has come or whose `fate` isn't [`KeyStatus::Kept`]; a key that
    /// has no end yet gets one. Of keys that leave, refresh keys stay, unless they were retired by hand.
    ///
    /// The new key signs from the time that `retention` says, or from the moment before it at which no kept key
    /// signs. `None` where the cryptographic library fails.
    #[must_use]
    pub fn rotated(
        &self,
        algorithm: Algorithm,
        now: Timestamp,
        retention: &Retention,
        fate: &dyn Fn(&str) -> KeyStatus,
        rng: &mut impl CryptoRng,
    ) -> Option<Self> {
        let verifies_until = retention.verifies_until;
        let (mut kept, mut refresh) = (Vec::new(), Vec::new());
        for key in &self.keys {
            match fate(&key.id) {
                KeyStatus::Retired => {}
                KeyStatus::Kept if !key.is_over(now) => kept.push(key.retired(verifies_until)),
                KeyStatus::Kept | KeyStatus::Unpublished => {
                    let end = key.verifies_until().unwrap_or(verifies_until);
                    refresh.push(key.refresh.kept(end.after(retention.sessions)));
                }
            }
        }
        let ended = |key: &&RefreshKey| key.kept_until().is_some_and(|end| end <= now);
        refresh.extend(self.refresh.iter().filter(|key| !ended(key) && fate(key.id()) != KeyStatus::Retired).cloned());
        let signs_from = first_gap(&kept, now, retention.signs_from);
        let mut keys = vec![SigningKey::generate(algorithm, now, signs_from, rng)?];
        keys.extend(kept);
        Some(Self { keys, refresh })
    }

    /// The key that signs now: the newest whose time has come and whose end has not.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.can_sign(now))
    }

    /// The newest key, whether or not its time has come.
    #[must_use]
    pub fn newest(&self) -> Option<&SigningKey> {
        self.keys.first()
    }

    /// All keys, the newest first.
    pub fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter()
    }

    /// The keys that refresh tokens may have been made with, the newest first.
    pub fn refresh_keys(&self) -> impl Iterator<Item = &RefreshKey> {
        self.keys.iter().map(|key| &key.refresh).chain(&self.refresh)
    }

    /// The ring as a JWK Set, with all private members.
    #[must_use]
    pub fn to_private_jwks(&self) -> Zeroizing<String> {
        let keys = self.keys.iter().map(|key| &key.jwk).collect();
        jwk::write(&JwkSet { keys, refresh_keys: self.refresh.iter().filter_map(RefreshKey::write).collect() })
    }

    /// What a verifier needs of this ring, as a JWK Set: the public halves, and the secrets of HS256.
    #[must_use]
    pub fn to_verifying_jwks(&self) -> Zeroizing<String> {
        let halves: Vec<Jwk> = self.keys.iter().map(|key| key.jwk.for_verifier()).collect();
        jwk::write(&JwkSet { keys: halves.iter().collect(), refresh_keys: Vec::new() })
    }
}

/// The first moment from `now` on at which none of the keys signs, but `latest` if that comes before.
fn first_gap(keys: &[SigningKey], now: Timestamp, latest: Timestamp) -> Timestamp {
    let mut moment = now;
    while moment < latest {
        match keys.iter().find(|key| key.can_sign(moment)) {
            Some(key) => moment = key.verifies_until().unwrap_or(latest),
            None => return moment,
        }
    }
    latest.max(now)
}

impl VerifyingKeys {
    /// Reads a ring to verify with: a JWK Set, or a single JWK.
    ///
    /// # Errors
    /// [`RingError`] names the key that can't be used and says why.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let jwks = jwk::read(text)?.keys;
        if jwks.is_empty() {
            return Err(RingError::Empty);
        }
        let mut ring = Self::default();
        for (index, jwk) in jwks.iter().enumerate() {
            VerifyingKey::load(jwk).and_then(|(id, key)| ring.add(id, key)).map_err(refused(index, jwk))?;
        }
        Ok(ring)
    }

    /// Adds a public key, to be found until `expires` or its own `exp`, whichever comes first. What this
    /// takes is public: it refuses secrets of HS256, and never replaces a key.
    ///
    /// # Errors
    /// [`RingError`] says why the key can't be used.
    pub fn insert(&mut self, jwk_json: &str, expires: Option<Timestamp>) -> Result<(), RingError> {
        let jwk = jwk::read_one(jwk_json)?;
        VerifyingKey::load(&jwk)
            .and_then(|(id, mut key)| {
                if key.algorithm == Algorithm::Hs256 {
                    return Err(KeyProblem::Private);
                }
                key.expires = [key.expires, expires].into_iter().flatten().min();
                self.add(id, key)
            })
            .map_err(refused(0, &jwk))
    }

    /// Adds the HS256 keys of a private ring, whose public keys come another way, except those that
    /// `dropped` names by their `kid`. Where a `kid` is there already, the private ring's is the one to
    /// believe.
    pub fn insert_secrets(&mut self, ring: &SigningKeys, dropped: impl Fn(&str) -> bool) {
        for key in ring.keys().filter(|key| key.algorithm == Algorithm::Hs256 && !dropped(&key.id)) {
            // A key that a signing ring has loaded can't be refused here: `for_verifier` leaves out `key_ops`.
            if let Ok((id, secret)) = VerifyingKey::load(&key.jwk.for_verifier()) {
                self.by_id.insert(id, secret);
            }
        }
    }

    /// The key of exactly this `kid`, unless its end has come.
    #[must_use]
    pub fn find(&self, id: &str, now: Timestamp) -> Option<&VerifyingKey> {
        self.by_id.get(id).filter(|key| key.expires.is_none_or(|end| now < end))
    }

    /// Whether the ring is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many keys there are, those whose end has come among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    fn add(&mut self, id: String, key: VerifyingKey) -> Result<(), KeyProblem> {
        match self.by_id.entry(id) {
            Entry::Occupied(_) => Err(KeyProblem::Repeated),
            Entry::Vacant(place) => {
                place.insert(key);
                Ok(())
            }
        }
    }
}

/// Names the key that has the problem.
fn refused(index: usize, jwk: &Jwk) -> impl Fn(KeyProblem) -> RingError + use<> {
    let kid = jwk.kid.clone().unwrap_or_default();
    move |problem| RingError::Key { position: index + 1, kid: kid.clone(), problem }
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
