//! Access tokens: signed JWTs of the shape of RFC 9068, verified by the rules of RFC 8725.
//!
//! The verifier finds the key by `kid` and takes the algorithm from the key. `jsonwebtoken` signs tokens
//! here, and verifies none: its own validation accepts tokens without `aud` or `iss`, any `typ` and
//! `crit`, takes the time from the system, and parses the key for each token. The key checks the
//! signature, and all other rules stand below, each with a name in [`Refusal`].

use std::{borrow::Cow, fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use zeroize::Zeroizing;

use crate::values::{
    key::{SigningKey, VerifyingKeys},
    scope::Scopes,
    session::{SessionId, random_identifier},
    time::{Seconds, Timestamp},
    username::Username,
};

/// The longest token that is looked at, in bytes.
pub const MAX_LENGTH: usize = 4096;

/// How far `nbf` and `iat` may lie ahead, since clocks of two machines differ. `exp` is taken as it stands.
const LEEWAY: Duration = Duration::from_secs(5);

/// The `typ` of an access token (RFC 9068 section 2.1).
const TYPE: &str = "at+jwt";
/// The same as a whole media type; RFC 9068 section 4 has both accepted.
const MEDIA_TYPE: &str = "application/at+jwt";

/// How long an access token is valid, in seconds: a minute to a day.
pub type Lifetime = Seconds<60, 86400>;

/// A signed access token. It can't be printed by accident.
pub struct AccessToken {
    text: Zeroizing<String>,
    expires: Timestamp,
}

impl AccessToken {
    /// The token's text, for the answer to its holder and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The time at which the token expires.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// The claims of a new token.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The issuer (`iss`).
    pub issuer: &'a str,
    /// The audience (`aud`).
    pub audience: &'a str,
    /// The account that the token is for (`sub`).
    pub subject: &'a Username,
    /// The client that it was issued to (`client_id` of RFC 8693 section 4.3).
    pub client_id: &'a str,
    /// The scopes (`scope` of the same section); an empty set is left out of the token.
    pub scopes: &'a Scopes,
    /// The session that the token belongs to (`sid`).
    pub session: &'a SessionId,
    /// How long the token is valid.
    pub lifetime: Duration,
}

#[derive(Serialize)]
struct IssuedClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: Timestamp,
    nbf: Timestamp,
    exp: Timestamp,
    jti: String,
    sid: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
}

/// The token could not be signed; the cause is the library's.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SigningFailed(#[from] jsonwebtoken::errors::Error);

/// Signs a new token, valid from `now` on.
///
/// # Errors
/// [`SigningFailed`] where the cryptographic library fails.
pub fn issue(
    grant: &Grant<'_>,
    key: &SigningKey,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<AccessToken, SigningFailed> {
    let mut header = jsonwebtoken::Header::new(key.algorithm().in_library());
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(key.id().to_owned());
    let expires = now.after(grant.lifetime);
    let claims = IssuedClaims {
        iss: grant.issuer,
        sub: grant.subject.as_str(),
        aud: grant.audience,
        iat: now,
        nbf: now,
        exp: expires,
        jti: random_identifier(rng),
        sid: grant.session.as_str(),
        client_id: grant.client_id,
        scope: grant.scopes.to_string(),
    };
    let token = jsonwebtoken::encode(&header, &claims, key.in_library())?;
    Ok(AccessToken { text: Zeroizing::new(token), expires })
}

/// The claims of a token that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The account that the token is for (`sub`).
    pub subject: Username,
    /// The scopes (`scope`).
    pub scopes: Scopes,
    /// The session that the token belongs to (`sid`).
    pub session: SessionId,
    /// The time at which the token expires (`exp`).
    pub expires: Timestamp,
}

/// Why a token is refused: for the log, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than 4096 bytes.
    #[error("the token is longer than 4096 bytes")]
    TooLong,
    /// Not three parts of base64url.
    #[error("the token is not three parts of base64url")]
    Form,
    /// The header is not a JSON object in which `alg`, `kid` and `typ` stand once, as strings.
    #[error("the token's header is not a JSON object with single texts alg, kid and typ")]
    Header,
    /// `typ` is not `at+jwt`.
    #[error("typ is not at+jwt")]
    Type,
    /// `crit` is present.
    #[error("crit is present")]
    Critical,
    /// No key has this `kid`.
    #[error("no key has this kid")]
    UnknownKey,
    /// `alg` is not the key's.
    #[error("alg is not the key's")]
    Algorithm,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// A claim is missing, repeated or of a wrong type.
    #[error("a claim is missing, repeated or of a wrong type")]
    Claims,
    /// `iss` is not this API's issuer.
    #[error("iss is another")]
    Issuer,
    /// `aud` is not this API's audience.
    #[error("aud is another")]
    Audience,
    /// `exp` has passed.
    #[error("exp has passed")]
    Expired,
    /// `nbf` lies ahead.
    #[error("nbf lies ahead")]
    NotYetValid,
    /// `iat` lies ahead.
    #[error("iat lies ahead")]
    IssuedLater,
}

impl Refusal {
    /// The word for the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Form => "malformed",
            Self::Header => "header",
            Self::Type => "typ",
            Self::Critical => "crit",
            Self::UnknownKey => "unknown_kid",
            Self::Algorithm => "alg",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "iss",
            Self::Audience => "aud",
            Self::Expired => "expired",
            Self::NotYetValid => "nbf",
            Self::IssuedLater => "iat",
        }
    }
}

/// The header's members that matter; embedded keys and key addresses are never looked at. A member that
/// stands twice is an error.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    /// RFC 7515 section 4.1.11: what isn't understood must be refused, and nothing is understood here.
    #[serde(default)]
    crit: Presence,
}

/// Whether a member is there, with whatever value, `null` included.
#[derive(Default)]
struct Presence(bool);

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// The claims that matter. Each is a single string or a whole number of seconds.
#[derive(Deserialize)]
struct ReadClaims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    exp: Timestamp,
    /// Optional to RFC 7519; `null` and other types are errors.
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Timestamp>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<Timestamp>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    #[serde(borrow, default)]
    scope: Cow<'a, str>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Timestamp::deserialize(deserializer).map(Some)
}

/// Verifies a token. `issuer` and `audience` are compared byte for byte.
///
/// # Errors
/// [`Refusal`] names the rule that the token breaks; where it breaks several, the first that was
/// looked at.
pub fn verify(
    token: &str,
    keys: &VerifyingKeys,
    issuer: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Verified, Refusal> {
    // Cap before anything else: a long input must cost nothing.
    if token.len() > MAX_LENGTH {
        return Err(Refusal::TooLong);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Form)?;
    let (header, payload) = message.split_once('.').ok_or(Refusal::Form)?;
    if payload.contains('.') {
        return Err(Refusal::Form);
    }

    let header = decode(header, Refusal::Header)?;
    let header: Header<'_> = read(&header, Refusal::Header)?;
    if header.crit.0 {
        return Err(Refusal::Critical);
    }
    if header.typ != TYPE && header.typ != MEDIA_TYPE {
        return Err(Refusal::Type);
    }
    let key = keys.find(&header.kid, now).ok_or(Refusal::UnknownKey)?;
    if header.alg != key.algorithm().name() {
        return Err(Refusal::Algorithm);
    }
    if !key.verifies(message.as_bytes(), signature).ok_or(Refusal::Form)? {
        return Err(Refusal::Signature);
    }

    let claims = decode(payload, Refusal::Claims)?;
    let claims: ReadClaims<'_> = read(&claims, Refusal::Claims)?;
    if claims.iss != issuer {
        return Err(Refusal::Issuer);
    }
    if claims.aud != audience {
        return Err(Refusal::Audience);
    }
    if now >= claims.exp {
        return Err(Refusal::Expired);
    }
    let latest = now.after(LEEWAY);
    if claims.nbf.is_some_and(|nbf| nbf > latest) {
        return Err(Refusal::NotYetValid);
    }
    if claims.iat.is_some_and(|iat| iat > latest) {
        return Err(Refusal::IssuedLater);
    }
    Ok(Verified {
        subject: Username::parse(&claims.sub).map_err(|_| Refusal::Claims)?,
        scopes: Scopes::parse(&claims.scope).map_err(|_| Refusal::Claims)?,
        session: SessionId::parse(&claims.sid).map_err(|_| Refusal::Claims)?,
        expires: claims.exp,
    })
}

/// The text of a part of the token.
fn decode(part: &str, otherwise: Refusal) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Form)?;
    // All of it is UTF-8 (RFC 8725 section 3.7), also in members that nobody reads.
    String::from_utf8(bytes).map_err(|_| otherwise)
}

fn read<'a, T: Deserialize<'a>>(json: &'a str, otherwise: Refusal) -> Result<T, Refusal> {
    // A struct also reads from a JSON array, in the order of its members; a token's parts are objects.
    if !json.trim_ascii_start().starts_with('{') {
        return Err(otherwise);
    }
    serde_json::from_str(json).map_err(|_| otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::key::{self, Algorithm, SigningKeys};
    use jsonwebtoken::crypto;
    use proptest::prelude::*;
    use rand::{rand_core::UnwrapErr, rngs::SysRng};
    use serde_json::{Value, json};

    const ISSUER: &str = "https://api.example.com/prod";
    const AUDIENCE: &str = "gatehouse";
    const NOW: Timestamp = Timestamp(1_800_000_000);

    struct Rings {
        signing: SigningKeys,
        verifying: VerifyingKeys,
    }

    fn rings(algorithm: Algorithm) -> Rings {
        let signing = key::tests::ring(algorithm, NOW);
        let verifying = VerifyingKeys::parse(&signing.to_verifying_jwks()).unwrap();
        Rings { signing, verifying }
    }

    impl Rings {
        fn header(&self) -> Value {
            let key = self.signing.signing(NOW).unwrap();
            json!({ "alg": key.algorithm().name(), "kid": key.id(), "typ": "at+jwt" })
        }

        /// Signs any header and payload with the ring's key, whatever they say.
        fn sign(&self, header: &str, payload: &str) -> String {
            self.sign_bytes(header.as_bytes(), payload.as_bytes())
        }

        fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> String {
            let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
            let key = self.signing.signing(NOW).unwrap();
            let signature = crypto::sign(message.as_bytes(), key.in_library(), key.algorithm().in_library()).unwrap();
            format!("{message}.{signature}")
        }

        fn verify(&self, token: &str) -> Result<Verified, Refusal> {
            verify(token, &self.verifying, ISSUER, AUDIENCE, NOW)
        }

        fn verify_claims(&self, claims: &Value) -> Result<Verified, Refusal> {
            self.verify(&self.sign(&self.header().to_string(), &claims.to_string()))
        }

        fn verify_header(&self, header: &Value) -> Result<Verified, Refusal> {
            self.verify(&self.sign(&header.to_string(), &claims().to_string()))
        }
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "sub": "johndoe", "aud": AUDIENCE, "iat": NOW, "nbf": NOW, "exp": NOW.0 + 1800,
            "jti": "1", "sid": "AAAAAAAAAAAAAAAAAAAAAA", "client_id": "web", "scope": "read write",
        })
    }

    fn with(mut object: Value, member: &str, value: Value) -> Value {
        object[member] = value;
        object
    }

    fn without(mut object: Value, member: &str) -> Value {
        object.as_object_mut().unwrap().remove(member);
        object
    }

    fn issued(rings: &Rings) -> AccessToken {
        let grant = Grant {
            issuer: ISSUER,
            audience: AUDIENCE,
            subject: &Username::parse("JohnDoe").unwrap(),
            client_id: "web",
            scopes: &Scopes::parse("write read").unwrap(),
            session: &SessionId::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap(),
            lifetime: Duration::from_mins(30),
        };
        issue(&grant, rings.signing.signing(NOW).unwrap(), NOW, &mut UnwrapErr(SysRng)).unwrap()
    }

    #[test]
    fn an_issued_token_verifies_with_what_was_granted() {
        for algorithm in Algorithm::ALL {
            let rings = rings(algorithm);
            let verified = rings.verify(issued(&rings).expose()).unwrap();
            assert_eq!(verified.subject.as_str(), "JohnDoe");
            assert_eq!(verified.scopes.to_string(), "read write");
            assert_eq!(verified.session.as_str(), "AAAAAAAAAAAAAAAAAAAAAA");
            assert_eq!(verified.expires, Timestamp(NOW.0 + 1800));
        }
    }

    #[test]
    fn an_issued_token_has_the_shape_of_rfc_9068() {
        let rings = rings(Algorithm::Es256);
        let token = issued(&rings);
        let parts: Vec<Value> = token
            .expose()
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], rings.header());
        let jti = parts[1]["jti"].as_str().unwrap();
        assert_eq!(jti.len(), 22);
        assert_eq!(parts[1], with(with(claims(), "jti", json!(jti)), "sub", json!("JohnDoe")));
        assert_eq!(format!("{token:?}"), "AccessToken(..)");
    }

    #[test]
    fn accepts_the_longer_spelling_of_the_type_and_no_other() {
        let rings = rings(Algorithm::Es256);
        rings.verify_header(&with(rings.header(), "typ", json!("application/at+jwt"))).unwrap();
        for typ in ["JWT", "jwt", "AT+JWT", "at+jwt ", "", "id+jwt", "logout+jwt", "application/jwt"] {
            let refusal = rings.verify_header(&with(rings.header(), "typ", json!(typ)));
            assert_eq!(refusal, Err(Refusal::Type), "{typ}");
        }
    }

    #[test]
    fn refuses_headers_that_lack_or_repeat_or_misspell_a_member() {
        let rings = rings(Algorithm::Hs256);
        for member in ["alg", "kid", "typ"] {
            assert_eq!(rings.verify_header(&without(rings.header(), member)), Err(Refusal::Header), "{member}");
            for value in [Value::Null, json!(1), json!(["HS256"]), json!({})] {
                assert_eq!(rings.verify_header(&with(rings.header(), member, value)), Err(Refusal::Header), "{member}");
            }
        }
        let repeated = rings.header().to_string().replacen('{', r#"{"alg":"none","#, 1);
        assert_eq!(rings.verify(&rings.sign(&repeated, &claims().to_string())), Err(Refusal::Header));
        let array = json!(["HS256", rings.signing.signing(NOW).unwrap().id(), "at+jwt"]).to_string();
        assert_eq!(rings.verify(&rings.sign(&array, &claims().to_string())), Err(Refusal::Header));
    }

    #[test]
    fn refuses_any_crit() {
        let rings = rings(Algorithm::Es256);
        for value in [json!([]), json!(["exp"]), json!(["b64"]), json!("exp"), Value::Null] {
            assert_eq!(rings.verify_header(&with(rings.header(), "crit", value)), Err(Refusal::Critical));
        }
    }

    #[test]
    fn takes_the_algorithm_from_the_key() {
        for algorithm in Algorithm::ALL {
            let rings = rings(algorithm);
            for alg in ["none", "None", "NONE", "", "HS256", "ES256", "RS256", "EdDSA", "HS512", "es256", "HS256 "] {
                if alg != algorithm.name() {
                    let refusal = rings.verify_header(&with(rings.header(), "alg", json!(alg)));
                    assert_eq!(refusal, Err(Refusal::Algorithm), "{alg}");
                }
            }
        }
    }

    #[test]
    fn finds_the_key_by_kid_and_by_nothing_else() {
        let (rings, stranger) = (rings(Algorithm::Es256), self::rings(Algorithm::Es256));
        assert_eq!(stranger.verify(issued(&rings).expose()), Err(Refusal::UnknownKey));
        let kid = rings.signing.signing(NOW).unwrap().id();
        for wrong in [format!("{kid} "), format!("{kid}\0"), kid.to_uppercase() + "x", "../../dev/null".to_owned()] {
            let refusal = rings.verify_header(&with(rings.header(), "kid", json!(wrong)));
            assert_eq!(refusal, Err(Refusal::UnknownKey), "{wrong}");
        }
        // A token that brings its own key gains nothing by it.
        let jwks: Value = serde_json::from_str(&stranger.signing.to_verifying_jwks()).unwrap();
        let header = with(rings.header(), "jwk", jwks["keys"][0].clone());
        let forged = stranger.sign(&header.to_string(), &claims().to_string());
        assert_eq!(rings.verify(&forged), Err(Refusal::Signature));
    }

    #[test]
    fn a_key_whose_end_has_come_is_none() {
        let signing = key::tests::ring(Algorithm::Es256, NOW);
        for (end, refused) in [(NOW.0 + 1, false), (NOW.0, true), (NOW.0 - 1, true)] {
            let mut verifying = VerifyingKeys::default();
            let jwk = signing.newest().unwrap().public_jwk().unwrap();
            verifying.insert(&jwk, Some(Timestamp(end))).unwrap();
            let rings = Rings { signing: SigningKeys::parse(&signing.to_private_jwks()).unwrap(), verifying };
            let refusal = rings.verify(issued(&rings).expose()).err();
            assert_eq!(refusal, refused.then_some(Refusal::UnknownKey), "{end}");
        }
    }

    #[test]
    fn the_public_key_is_no_secret_for_hs256() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
            let rings = rings(algorithm);
            let public = rings.signing.to_verifying_jwks();
            let header = with(rings.header(), "alg", json!("HS256")).to_string();
            let message =
                format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims().to_string()));
            let key = jsonwebtoken::EncodingKey::from_secret(public.as_bytes());
            let signature = crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
            assert_eq!(rings.verify(&format!("{message}.{signature}")), Err(Refusal::Algorithm));
        }
    }

    #[test]
    fn refuses_claims_that_are_missing_or_of_a_wrong_type() {
        let rings = rings(Algorithm::Hs256);
        rings.verify_claims(&claims()).unwrap();
        for claim in ["iss", "sub", "aud", "exp", "sid"] {
            assert_eq!(rings.verify_claims(&without(claims(), claim)), Err(Refusal::Claims), "{claim}");
        }
        for claim in ["iss", "sub", "aud", "exp", "sid", "nbf", "iat", "scope"] {
            for value in [Value::Null, json!([claims()[claim]]), json!({}), json!(true)] {
                let refusal = rings.verify_claims(&with(claims(), claim, value));
                assert_eq!(refusal, Err(Refusal::Claims), "{claim}");
            }
        }
        for claim in ["exp", "nbf", "iat"] {
            for value in [json!("1800000000"), json!(-1), json!(1.8e9), json!(1e300)] {
                assert_eq!(rings.verify_claims(&with(claims(), claim, value)), Err(Refusal::Claims), "{claim}");
            }
        }
        for (claim, value) in [("sub", ""), ("sub", "a b"), ("sid", ""), ("sid", "x"), ("scope", "a  b")] {
            assert_eq!(rings.verify_claims(&with(claims(), claim, json!(value))), Err(Refusal::Claims), "{claim}");
        }
    }

    #[test]
    fn refuses_a_claim_that_stands_twice() {
        let rings = rings(Algorithm::Hs256);
        for claim in ["iss", "sub", "aud", "exp", "nbf", "iat", "sid", "scope"] {
            let twice = claims().to_string().replacen('{', &format!(r#"{{"{claim}":{},"#, claims()[claim]), 1);
            let token = rings.sign(&rings.header().to_string(), &twice);
            assert_eq!(rings.verify(&token), Err(Refusal::Claims), "{claim}");
        }
    }

    #[test]
    fn refuses_what_is_not_utf_8_also_where_nobody_reads_it() {
        let rings = rings(Algorithm::Hs256);
        let with_latin_1 = |object: Value| {
            let text = with(object, "x", json!("caf@")).to_string().into_bytes();
            text.into_iter().map(|byte| if byte == b'@' { 0xE9 } else { byte }).collect::<Vec<u8>>()
        };
        let (header, payload) = (rings.header().to_string(), claims().to_string());
        let header_alone = rings.sign_bytes(&with_latin_1(rings.header()), payload.as_bytes());
        assert_eq!(rings.verify(&header_alone), Err(Refusal::Header));
        let claims_alone = rings.sign_bytes(header.as_bytes(), &with_latin_1(claims()));
        assert_eq!(rings.verify(&claims_alone), Err(Refusal::Claims));
    }

    #[test]
    fn issuer_and_audience_are_exact() {
        let rings = rings(Algorithm::Es256);
        for issuer in ["https://api.example.com/prod/", "https://API.example.com/prod", "https://api.example.com", ""] {
            assert_eq!(rings.verify_claims(&with(claims(), "iss", json!(issuer))), Err(Refusal::Issuer), "{issuer}");
        }
        for audience in ["Gatehouse", "gatehouse ", "other", ""] {
            assert_eq!(rings.verify_claims(&with(claims(), "aud", json!(audience))), Err(Refusal::Audience));
        }
    }

    #[test]
    fn a_token_ends_at_the_second_that_it_names() {
        let rings = rings(Algorithm::Es256);
        rings.verify_claims(&with(claims(), "exp", json!(NOW.0 + 1))).unwrap();
        for exp in [NOW.0, NOW.0 - 1, 0] {
            assert_eq!(rings.verify_claims(&with(claims(), "exp", json!(exp))), Err(Refusal::Expired));
        }
    }

    #[test]
    fn nbf_and_iat_may_lie_five_seconds_ahead_and_may_be_absent() {
        let rings = rings(Algorithm::Es256);
        for (claim, refusal) in [("nbf", Refusal::NotYetValid), ("iat", Refusal::IssuedLater)] {
            rings.verify_claims(&without(claims(), claim)).unwrap();
            rings.verify_claims(&with(claims(), claim, json!(NOW.0 + 5))).unwrap();
            for ahead in [NOW.0 + 6, NOW.0 + 86400, u64::MAX] {
                assert_eq!(rings.verify_claims(&with(claims(), claim, json!(ahead))), Err(refusal));
            }
        }
    }

    #[test]
    fn refuses_what_is_longer_than_4096_bytes() {
        let rings = rings(Algorithm::Hs256);
        let padded = |padding: usize| {
            let claims = with(claims(), "padding", json!("x".repeat(padding)));
            rings.sign(&rings.header().to_string(), &claims.to_string())
        };
        let fits = (0..4096).rev().map(padded).find(|token| token.len() <= MAX_LENGTH).unwrap();
        assert!(fits.len() > MAX_LENGTH - 3);
        rings.verify(&fits).unwrap();
        assert_eq!(rings.verify(&padded(4096)), Err(Refusal::TooLong));
    }

    #[test]
    fn refuses_other_numbers_of_parts() {
        let rings = rings(Algorithm::Hs256);
        let token = issued(&rings);
        let token = token.expose();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = message.split_once('.').unwrap();
        for text in [
            "",
            ".",
            "..",
            "...",
            header,
            message,
            &format!("{message}."),
            &format!("{token}."),
            &format!(".{token}"),
            &format!("{header}..{payload}.{signature}"),
            &format!("{header}.{payload}.{payload}.{payload}.{signature}"),
        ] {
            assert!(rings.verify(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base64url_has_one_spelling() {
        let rings = rings(Algorithm::Hs256);
        let token = issued(&rings);
        let token = token.expose();
        for text in [
            format!("{token}="),
            format!("{token} "),
            format!("{token}\n"),
            format!(" {token}"),
            token.replacen('.', "=.", 1),
            token.replacen('.', " .", 1),
        ] {
            assert!(rings.verify(&text).is_err(), "{text}");
        }
        // 32 bytes leave two bits of the last character unused; only zeroes are accepted there.
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let accepted = alphabet.chars().filter(|&last| {
            let mut other = token[..token.len() - 1].to_owned();
            other.push(last);
            rings.verify(&other).is_ok()
        });
        assert_eq!(accepted.count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_changed_byte_is_refused(position in any::<prop::sample::Index>(), byte in 0x20u8..0x7F) {
            let rings = rings(Algorithm::Hs256);
            let mut token = issued(&rings).expose().as_bytes().to_vec();
            let position = position.index(token.len());
            prop_assume!(token[position] != byte);
            token[position] = byte;
            prop_assert!(rings.verify(std::str::from_utf8(&token).unwrap()).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), header in any::<String>(), payload in any::<String>()) {
            let rings = rings(Algorithm::Hs256);
            prop_assert!(rings.verify(&text).is_err());
            prop_assert!(rings.verify(&rings.sign(&header, &payload)).is_err());
        }
    }
}
