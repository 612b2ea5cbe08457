//! Makes tokens of any kind, and puts them before the verifier and the authorizer.
//!
//! It signs by aws-lc itself: no code of ours that makes tokens takes part.

use std::{sync::LazyLock, time::Duration};

use authorizer::{Answer, Authorizer, AuthorizerError, RouteScopes};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::{
    access_token::{self, Refusal, Verified},
    aws::{key_cache::KeyCache, key_readers::VerifyingRing},
    issuer::Issuer,
    key::{Algorithm, VerifyingKeys},
    origin::Origins,
    time::{Clock, Timestamp},
};
use tokio::runtime::Runtime;

pub const ISSUER: &str = "https://api.example.com/prod";
pub const AUDIENCE: &str = "gatehouse";
pub const NOW: Timestamp = Timestamp(1_800_000_000);

/// Our ring: the keys of RFC 7515 appendix A.3.1, RFC 8037 appendix A.1, RFC 7515 appendices A.2.1 and A.1.1.
const RING: &str = include_str!("../vectors/ring.json");

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A key with which tokens are made: one of ours, or an attacker's.
pub struct Forger {
    pub algorithm: Algorithm,
    pub kid: String,
    /// What the verifier has of it.
    pub public: Value,
    pub pair: Pair,
}

pub enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
    Hs256(Vec<u8>),
}

impl Forger {
    fn read(jwk: &Value) -> Self {
        let member = |name: &str| decode(jwk[name].as_str().unwrap());
        let algorithm: Algorithm = jwk["alg"].as_str().unwrap().parse().unwrap();
        let pair = match algorithm {
            Algorithm::Es256 => {
                let point = [&[4], member("x").as_slice(), &member("y")].concat();
                Pair::Es256(
                    EcdsaKeyPair::from_private_key_and_public_key(
                        &ECDSA_P256_SHA256_FIXED_SIGNING,
                        &member("d"),
                        &point,
                    )
                    .unwrap(),
                )
            }
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::from_seed_unchecked(&member("d")).unwrap()),
            Algorithm::Rs256 => Pair::Rs256(Box::new(
                RsaKeyPair::from_components(&rsa::KeyPairComponents {
                    public_key: rsa::PublicKeyComponents { n: member("n"), e: member("e") },
                    d: member("d"),
                    p: member("p"),
                    q: member("q"),
                    dP: member("dp"),
                    dQ: member("dq"),
                    qInv: member("qi"),
                })
                .unwrap(),
            )),
            Algorithm::Hs256 => Pair::Hs256(member("k")),
        };
        let mut public = jwk.clone();
        public.as_object_mut().unwrap().retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        Self { algorithm, kid: jwk["kid"].as_str().unwrap().to_owned(), public, pair }
    }

    /// An attacker's key of the algorithm, which calls itself as ours does. RSA's is RFC 7520's, from section 3.4.
    pub fn stranger(algorithm: Algorithm) -> Self {
        let ours = ours(algorithm);
        let jwk = match algorithm {
            Algorithm::Rs256 => serde_json::from_str(include_str!("../vectors/stranger_rsa.json")).unwrap(),
            Algorithm::Es256 => {
                let keys = shared::key::SigningKeys::generate(algorithm, NOW, &mut randomness()).unwrap();
                let set: Value = serde_json::from_str(&keys.to_private_jwks()).unwrap();
                set["keys"][0].clone()
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
                let x = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref().to_vec();
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(x), "d": encode([7; 32]) })
            }
            Algorithm::Hs256 => json!({ "kty": "oct", "k": encode((0..32).collect::<Vec<u8>>()) }),
        };
        Self::read(&with(with(jwk, "kid", json!(ours.kid)), "alg", json!(algorithm.name())))
    }

    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm.name(), "kid": self.kid, "typ": "at+jwt" })
    }

    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::Hs256(secret) => hmac256(secret, message),
        }
    }

    /// Signs two parts as they are, encoded or not.
    pub fn sign_parts(&self, header: &str, payload: &str) -> String {
        let message = format!("{header}.{payload}");
        format!("{message}.{}", encode(self.signature(message.as_bytes())))
    }

    /// Signs any header and payload, whatever they say.
    pub fn sign_text(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_parts(&encode(header), &encode(payload))
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(header.to_string(), claims.to_string())
    }

    /// A token with our header and these claims.
    pub fn token_of(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }

    /// A token with this header and good claims.
    pub fn token_under(&self, header: &Value) -> String {
        self.sign(header, &claims())
    }

    pub fn token(&self) -> String {
        self.token_of(&claims())
    }
}

pub fn hmac256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

pub fn randomness() -> impl rand::CryptoRng {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}

/// Our key of the algorithm.
pub fn ours(algorithm: Algorithm) -> &'static Forger {
    static OURS: LazyLock<Vec<Forger>> = LazyLock::new(|| {
        let ring: Value = serde_json::from_str(RING).unwrap();
        ring["keys"].as_array().unwrap().iter().map(Forger::read).collect()
    });
    OURS.iter().find(|forger| forger.algorithm == algorithm).unwrap()
}

/// Our keys, one for each algorithm.
pub fn all() -> impl Iterator<Item = &'static Forger> {
    Algorithm::ALL.into_iter().map(ours)
}

/// Our keys that have a public half.
pub fn asymmetric() -> impl Iterator<Item = &'static Forger> {
    all().filter(|forger| forger.algorithm != Algorithm::Hs256)
}

pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "johndoe", "aud": AUDIENCE, "iat": NOW.0, "nbf": NOW.0, "exp": NOW.0 + 1800,
        "jti": "AAAAAAAAAAAAAAAAAAAAAA", "sid": "AAAAAAAAAAAAAAAAAAAAAA", "client_id": "web", "scope": "read write",
    })
}

/// The object with a member set to a value, JSON's `null` included.
pub fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

pub fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member).unwrap();
    object
}

/// The object's text with a member's value replaced by this JSON, which no [`Value`] may be able to hold.
pub fn with_raw(object: &Value, member: &str, raw: &str) -> String {
    with(object.clone(), member, json!("@")).to_string().replacen("\"@\"", raw, 1)
}

/// The ring that the verifier holds: our four keys.
pub fn ring() -> String {
    json!({ "keys": all().map(|forger| forger.public.clone()).collect::<Vec<_>>() }).to_string()
}

pub fn keys() -> &'static VerifyingKeys {
    static KEYS: LazyLock<VerifyingKeys> = LazyLock::new(|| VerifyingKeys::parse(&ring()).unwrap());
    &KEYS
}

pub fn verify(token: &str) -> Result<Verified, Refusal> {
    access_token::verify(token, keys(), ISSUER, AUDIENCE, NOW)
}

/// What an authorizer makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    Refused,
    Outage,
}

/// An authorizer, and what it runs on.
pub struct Gate {
    authorizer: Authorizer,
    runtime: Runtime,
}

impl Gate {
    pub fn new(issuer: Issuer, audience: &str) -> Self {
        let clock = Clock::stopped(NOW);
        let authorizer = Authorizer {
            keys: KeyCache::new(VerifyingRing::Inline(ring().into()), Duration::from_mins(5), clock.clone()),
            issuer,
            audience: audience.to_owned(),
            origins: Origins::default(),
            routes: "none".parse::<RouteScopes>().unwrap(),
            revocation: None,
            clock,
        };
        Self { authorizer, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() }
    }

    pub fn ours() -> Self {
        Self::new(Issuer::Fixed(ISSUER.to_owned()), AUDIENCE)
    }

    pub fn answer(&self, event: &str) -> Result<Answer, AuthorizerError> {
        self.runtime.block_on(self.authorizer.handle(event.as_bytes())).0
    }

    pub fn decide(&self, event: &str) -> Decision {
        match self.answer(event) {
            Ok(Answer::Simple { is_authorized: false, .. }) | Err(AuthorizerError::Unauthorized) => Decision::Refused,
            Ok(Answer::Simple { is_authorized: true, .. } | Answer::Policy { .. }) => Decision::Allowed,
            Err(AuthorizerError::Unavailable) => Decision::Outage,
        }
    }
}

/// A REST API's event of a request for `GET /protected` with these headers, each once.
pub fn rest(headers: &Value) -> Value {
    let lists: serde_json::Map<String, Value> =
        headers.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    json!({
        "type": "REQUEST", "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/protected",
        "resource": "/protected", "path": "/protected", "httpMethod": "GET", "headers": headers,
        "multiValueHeaders": lists, "requestContext": { "domainName": "api.example.com", "stage": "prod" },
    })
}

/// The same of an HTTP API.
pub fn http(headers: &Value) -> Value {
    json!({
        "version": "2.0", "type": "REQUEST", "routeKey": "GET /protected", "rawPath": "/protected",
        "headers": headers, "requestContext": {
            "domainName": "api.example.com", "stage": "prod", "http": { "method": "GET" },
        },
    })
}

pub fn bearer(token: &str) -> Value {
    json!({ "authorization": format!("Bearer {token}") })
}

/// What the authorizer says of the token to each kind of gateway; both have to agree.
pub fn decide(token: &str) -> Decision {
    let gate = Gate::ours();
    let [one, other] = [rest, http].map(|event| gate.decide(&event(&bearer(token)).to_string()));
    assert_eq!(one, other, "{token}");
    one
}

/// Asserts that the token is refused for this reason, and by the authorizer.
#[track_caller]
pub fn assert_refused(token: &str, refusal: Refusal, why: &str) {
    assert_eq!(verify(token).map(drop), Err(refusal), "{why}: {token}");
    assert_eq!(decide(token), Decision::Refused, "{why}: {token}");
}

/// Asserts that the token is good: what was changed in it doesn't matter.
#[track_caller]
pub fn assert_accepted(token: &str, why: &str) {
    assert_eq!(verify(token).map(drop), Ok(()), "{why}: {token}");
    assert_eq!(decide(token), Decision::Allowed, "{why}: {token}");
}
