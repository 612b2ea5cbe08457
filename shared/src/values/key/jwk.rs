//! The written form of a key (RFC 7517), and of a set of them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::{Algorithm, KeyProblem, RingError, refresh::RefreshJwk};
use crate::values::time::Timestamp;

/// A `kid` is looked up and logged: longer ones than this are of no use to anyone.
const KEY_ID_BYTES: usize = 128;

/// A JWK as it is written, private members included.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Jwk {
    pub(super) kty: String,
    pub(super) kid: Option<String>,
    pub(super) alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_ops: Option<Vec<String>>,

    // EC (RFC 7518 section 6.2) and OKP (RFC 8037 section 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) y: Option<String>,

    // RSA (RFC 7518 section 6.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) e: Option<String>,

    // The private members: `d` of all three, the others of RSA, and `k` of oct.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) d: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) q: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dp: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dq: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) qi: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) k: Option<Zeroizing<String>>,

    // When it was made, signs from and verifies until, as the historical keys of OpenID Federation 1.0 have it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<Timestamp>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<Timestamp>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<Timestamp>,
}

/// A member that may be absent, but not `null`: a key whose end can't be read must not live forever.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Timestamp::deserialize(deserializer).map(Some)
}

impl Jwk {
    /// Checks what keys of all types have in common, and gives `kid` and algorithm.
    pub(super) fn identify(&self, operation: &str) -> Result<(String, Algorithm), KeyProblem> {
        let id = self.kid.as_deref().ok_or(KeyProblem::KeyId)?;
        if !(1..=KEY_ID_BYTES).contains(&id.len()) || !id.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
            return Err(KeyProblem::KeyId);
        }
        let algorithm: Algorithm =
            self.alg.as_deref().and_then(|name| name.parse().ok()).ok_or(KeyProblem::Algorithm)?;
        if self.kty != algorithm.key_type() {
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

    /// Whether a member is there that only the key's owner may know, of whatever type of key.
    pub(super) fn is_private(&self) -> bool {
        [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.k].into_iter().any(Option::is_some)
    }

    /// The public half: nothing private, and no times.
    pub(super) fn public(&self) -> Self {
        Self {
            kty: self.kty.clone(),
            kid: self.kid.clone(),
            alg: self.alg.clone(),
            usage: Some("sig".to_owned()),
            crv: self.crv.clone(),
            x: self.x.clone(),
            y: self.y.clone(),
            n: self.n.clone(),
            e: self.e.clone(),
            ..Self::default()
        }
    }

    /// What a verifier needs: the public half or the secret, and until when.
    pub(super) fn for_verifier(&self) -> Self {
        Self { k: self.k.clone(), exp: self.exp, ..self.public() }
    }
}

/// The bytes of a member that must be there.
pub(super) fn bytes<T: AsRef<str>>(member: Option<&T>) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let text = member.ok_or(KeyProblem::Material)?;
    URL_SAFE_NO_PAD.decode(text.as_ref()).map(Zeroizing::new).map_err(|_| KeyProblem::Material)
}

/// The bytes of a member that must be there, exactly `N` of them.
pub(super) fn array<const N: usize, T: AsRef<str>>(member: Option<&T>) -> Result<Zeroizing<[u8; N]>, KeyProblem> {
    bytes(member)?.as_slice().try_into().map(Zeroizing::new).map_err(|_| KeyProblem::Material)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn encode_private(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(encode(bytes))
}

/// A ring as it is written: a JWK Set, with a member of our own (RFC 7517 section 5 has others ignore it).
#[derive(Serialize, Deserialize)]
pub(super) struct JwkSet<K, R> {
    pub(super) keys: Vec<K>,
    /// The refresh keys of signing keys that have ended.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(super) refresh_keys: Vec<R>,
}

/// Reads a set, or the single JWK as a set of one.
pub(super) fn read(text: &str) -> Result<JwkSet<Jwk, RefreshJwk>, RingError> {
    /// A set has this member; whether its value is one is for the second reading to say.
    #[derive(Deserialize)]
    struct Probe {
        keys: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_str::<Probe>(text).map_err(form)?.keys {
        Some(_) => serde_json::from_str(text).map_err(form),
        None => Ok(JwkSet { keys: vec![read_one(text)?], refresh_keys: Vec::new() }),
    }
}

/// Reads a single JWK.
pub(super) fn read_one(text: &str) -> Result<Jwk, RingError> {
    serde_json::from_str(text).map_err(form)
}

/// Only where the reader stopped: its own text may quote the value that it stopped at.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn form(error: serde_json::Error) -> RingError {
    RingError::Form { line: error.line(), column: error.column() }
}

/// Writes a set.
pub(super) fn write(set: &JwkSet<&Jwk, RefreshJwk>) -> Zeroizing<String> {
    // Strings, numbers and lists of strings always have a JSON form.
    Zeroizing::new(serde_json::to_string(set).unwrap_or_default())
}
