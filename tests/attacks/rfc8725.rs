//! RFC 8725, "JSON Web Token Best Current Practices": a test for each section of its chapter 3.

use serde_json::{Value, json};
use shared::{
    access_token::{self, Refusal},
    key::{Algorithm, SigningKeys, VerifyingKeys},
};

use crate::forge::{
    AUDIENCE, Forger, ISSUER, NOW, all, assert_accepted, assert_refused, asymmetric, claims, encode, hmac256, keys,
    ours, randomness, with, with_raw, without,
};

/// A JWK Set of one key is refused by both loaders.
fn assert_no_key(jwk: &Value, why: &str) {
    assert!(VerifyingKeys::parse(&jwk.to_string()).is_err(), "{why}");
    assert!(SigningKeys::parse(&jwk.to_string()).is_err(), "{why}");
}

/// The private key of the algorithm.
fn private(algorithm: Algorithm) -> Value {
    let ring: Value = serde_json::from_str(include_str!("../vectors/ring.json")).unwrap();
    let mut keys = ring["keys"].as_array().unwrap().iter();
    keys.find(|key| key["alg"] == algorithm.name()).unwrap().clone()
}

#[test]
fn section_3_1_each_key_is_used_with_exactly_one_algorithm() {
    for forger in all() {
        assert_accepted(&forger.token(), "its own");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != forger.algorithm) {
            // The header says another algorithm, and the signature is of that.
            let stranger = Forger::stranger(other);
            let header = with(stranger.header(), "kid", json!(forger.kid));
            assert_refused(&stranger.token_under(&header), Refusal::Algorithm, other.name());
            // The key's own says that it is for another.
            assert_no_key(&with(private(forger.algorithm), "alg", json!(other.name())), other.name());
        }
        assert_no_key(&without(private(forger.algorithm), "alg"), "no algorithm");
    }
}

#[test]
fn section_3_2_only_current_algorithms_and_never_none() {
    for forger in all() {
        for alg in ["none", "NONE", "RSA1_5", "RSA-OAEP", "HS1", "RS1", "MD5", "ES256K"] {
            assert_refused(&forger.token_under(&with(forger.header(), "alg", json!(alg))), Refusal::Algorithm, alg);
            assert_no_key(&with(private(forger.algorithm), "alg", json!(alg)), alg);
        }
    }
    // Deterministic ECDSA is left to aws-lc, which mixes the key into its randomness: two signatures of one message
    // differ, in r too, which would be equal where one random number was used twice.
    let (one, other) = (ours(Algorithm::Es256).token(), ours(Algorithm::Es256).token());
    let r = |token: &str| crate::forge::decode(token.rsplit_once('.').unwrap().1)[..32].to_vec();
    assert_ne!(r(&one), r(&other));
}

#[test]
fn section_3_3_one_failed_operation_refuses_the_whole_token() {
    for forger in all() {
        let token = forger.token();
        let parts: Vec<&str> = token.split('.').collect();
        let other = forger.token_of(&with(claims(), "sub", json!("admin")));
        let others: Vec<&str> = other.split('.').collect();
        assert_refused(&[parts[0], others[1], parts[2]].join("."), Refusal::Signature, "other claims");
        assert_refused(&[parts[0], parts[1], others[2]].join("."), Refusal::Signature, "another signature");
        let spaced = encode(format!("{} ", forger.header()));
        assert_refused(&[&spaced, parts[1], parts[2]].join("."), Refusal::Signature, "another header");
        // A nested token is not read at all, so that none of its operations can be left out.
        assert_refused(&forger.sign_text(forger.header().to_string(), &token), Refusal::Claims, "nested");
    }
}

#[test]
fn section_3_4_cryptographic_inputs_are_validated() {
    // Points off the curve, off its encoding or of small order; moduli and exponents that are no RSA key's. Key
    // agreement, which the section names, is no part of signed tokens.
    let (es, ed, rs) = (private(Algorithm::Es256), private(Algorithm::EdDsa), private(Algorithm::Rs256));
    for (jwk, member, value) in [
        (&es, "x", encode([0; 32])),
        (&es, "y", encode([0; 32])),
        (&es, "y", encode([0xFF; 32])),
        (&es, "x", encode([1; 31])),
        (&es, "crv", "P-384".to_owned()),
        (&ed, "x", encode([0; 32])),
        (&ed, "x", encode([0xFF; 32])),
        (&ed, "x", encode([2; 31])),
        (&ed, "crv", "X25519".to_owned()),
        (&rs, "n", encode([0xFF; 128])),
        (&rs, "n", encode([0xFF; 256])),
        (&rs, "e", encode([1])),
        (&rs, "e", encode([3])),
    ] {
        assert_no_key(&with(jwk.clone(), member, json!(value)), &value);
        assert!(
            VerifyingKeys::parse(&with(public(jwk), member, json!(value)).to_string()).is_err(),
            "{member} {value}"
        );
    }
}

/// The public half.
fn public(jwk: &Value) -> Value {
    let mut public = jwk.clone();
    public.as_object_mut().unwrap().retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    public
}

#[test]
fn section_3_5_a_key_has_enough_entropy_and_no_password_is_one() {
    let secret = private(Algorithm::Hs256);
    for short in ["", "secret", "correct horse battery staple", &"x".repeat(31)] {
        assert_no_key(&with(secret.clone(), "k", json!(encode(short))), short);
    }
    // Nor is a text of 32 bytes or more, nor one byte many times.
    for weak in
        ["correct horse battery staple, and some more of it", "09d25e094faa6ca2556c818166b7a956", &"\0".repeat(64)]
    {
        assert_no_key(&with(secret.clone(), "k", json!(encode(weak))), weak);
    }
    // A text in place of base64url is none, however long.
    assert_no_key(&with(secret, "k", json!("correct horse battery staple, and some more of it")), "a phrase");
    // Those that we make ourselves have 32 random bytes.
    let made = || {
        let keys = SigningKeys::generate(Algorithm::Hs256, NOW, &mut randomness()).unwrap();
        let set: Value = serde_json::from_str(&keys.to_private_jwks()).unwrap();
        crate::forge::decode(set["keys"][0]["k"].as_str().unwrap())
    };
    assert_eq!(made().len(), 32);
    assert_ne!(made(), made());
    // And nothing weak is the secret of the ring in use.
    for weak in ["", "secret", "password", "0", "hs", AUDIENCE, ISSUER] {
        let message =
            format!("{}.{}", encode(ours(Algorithm::Hs256).header().to_string()), encode(claims().to_string()));
        let forged = format!("{message}.{}", encode(hmac256(weak.as_bytes(), message.as_bytes())));
        assert_refused(&forged, Refusal::Signature, weak);
    }
}

#[test]
fn section_3_6_nothing_is_compressed() {
    // Ours are not encrypted. A compressed payload is no JSON, whatever `zip` says of it.
    for forger in all() {
        let stored = [&[1, 2, 0, 0xFD, 0xFF], &b"{}"[..]].concat();
        let header = with(forger.header(), "zip", json!("DEF")).to_string();
        assert_refused(&forger.sign_text(header, stored), Refusal::Claims, "DEFLATE");
    }
}

#[test]
fn section_3_7_header_and_claims_are_utf_8() {
    for forger in all() {
        let (header, payload) = (forger.header().to_string(), claims().to_string());
        let latin_1: Vec<u8> =
            with_raw(&claims(), "client_id", "\"caf@\"").bytes().map(|b| if b == b'@' { 0xE9 } else { b }).collect();
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let utf_32 = |text: &str| text.chars().flat_map(|char| u32::from(char).to_be_bytes()).collect::<Vec<u8>>();
        for wrong in [utf_16(&payload), utf_32(&payload), [&[0xEF, 0xBB, 0xBF], payload.as_bytes()].concat()] {
            assert_refused(&forger.sign_text(&header, wrong), Refusal::Claims, "claims");
        }
        for wrong in [utf_16(&header), utf_32(&header)] {
            assert_refused(&forger.sign_text(wrong, &payload), Refusal::Header, "header");
        }
        // Also where it stands in a claim that nobody reads.
        let subject: Vec<u8> =
            with_raw(&claims(), "sub", "\"jos@\"").bytes().map(|b| if b == b'@' { 0xE9 } else { b }).collect();
        assert_refused(&forger.sign_text(&header, subject), Refusal::Claims, "Latin-1");
        assert_refused(&forger.sign_text(&header, latin_1), Refusal::Claims, "Latin-1");
    }
}

#[test]
fn section_3_8_the_issuer_its_keys_and_the_subject_are_checked() {
    for forger in all() {
        for iss in ["https://attacker.example", "https://api.example.com/prod/", ""] {
            assert_refused(&forger.token_of(&with(claims(), "iss", json!(iss))), Refusal::Issuer, iss);
        }
        for claim in ["iss", "sub"] {
            assert_refused(&forger.token_of(&without(claims(), claim)), Refusal::Claims, claim);
            assert_refused(&forger.token_of(&with(claims(), claim, json!([claims()[claim]]))), Refusal::Claims, claim);
        }
        for sub in ["", "no such name", "a/b", "johndoe\0", &"x".repeat(65)] {
            assert_refused(&forger.token_of(&with(claims(), "sub", json!(sub))), Refusal::Claims, sub);
        }
        // A key of another issuer doesn't verify tokens in the name of ours.
        assert_refused(&Forger::stranger(forger.algorithm).token(), Refusal::Signature, "another's key");
    }
}

#[test]
fn section_3_9_the_audience_is_required_and_must_be_ours() {
    for forger in all() {
        assert_refused(&forger.token_of(&without(claims(), "aud")), Refusal::Claims, "none");
        for aud in ["another", "", "Gatehouse"] {
            assert_refused(&forger.token_of(&with(claims(), "aud", json!(aud))), Refusal::Audience, aud);
        }
        // RFC 7519 has lists too. Ours is one text, so that a token for us and somebody else can't be made by mistake.
        assert_refused(&forger.token_of(&with(claims(), "aud", json!([AUDIENCE]))), Refusal::Claims, "a list");
        let elsewhere = access_token::verify(&forger.token(), keys(), ISSUER, "another", NOW).map(drop);
        assert_eq!(elsewhere, Err(Refusal::Audience));
    }
}

#[test]
fn section_3_10_no_received_claim_is_trusted_or_fetched() {
    for forger in all() {
        // `kid` is looked up in a map and nowhere else.
        for kid in ["../../etc/passwd", "x' OR '1'='1", "http://169.254.169.254/", "ldap://attacker.example"] {
            assert_refused(&forger.token_under(&with(forger.header(), "kid", json!(kid))), Refusal::UnknownKey, kid);
        }
        // `jku`, `x5u` and keys that are brought along are not looked at: the function has nothing that could fetch them.
        for member in ["jku", "x5u", "jwk", "x5c"] {
            let header = with(forger.header(), member, json!("https://attacker.example/"));
            assert_accepted(&forger.token_under(&header), member);
            assert_refused(&Forger::stranger(forger.algorithm).token_under(&header), Refusal::Signature, member);
        }
        // Claims are read after the signature is found to be good: bad ones of a stranger's are its signature's fault.
        let stranger = Forger::stranger(forger.algorithm);
        assert_refused(&stranger.sign_text(stranger.header().to_string(), "no JSON"), Refusal::Signature, "claims");
    }
}

#[test]
fn section_3_11_the_type_is_explicit() {
    for forger in all() {
        assert_eq!(forger.header()["typ"], "at+jwt");
        assert_accepted(&forger.token_under(&with(forger.header(), "typ", json!("application/at+jwt"))), "in full");
        assert_refused(&forger.token_under(&without(forger.header(), "typ")), Refusal::Header, "none");
        for typ in ["JWT", "secevent+jwt", "application/jwt", ""] {
            assert_refused(&forger.token_under(&with(forger.header(), "typ", json!(typ))), Refusal::Type, typ);
        }
    }
}

#[test]
fn section_3_12_no_other_kind_of_token_meets_the_rules() {
    let keys = SigningKeys::parse(include_str!("../vectors/ring.json")).unwrap();
    for forger in asymmetric() {
        // By `typ`, by the claims that are required, by `aud` and by `iss`.
        assert_refused(&forger.token_under(&with(forger.header(), "typ", json!("JWT"))), Refusal::Type, "typ");
        assert_refused(&forger.token_of(&without(claims(), "sid")), Refusal::Claims, "claims");
        assert_refused(&forger.token_of(&with(claims(), "aud", json!("web"))), Refusal::Audience, "aud");
        assert_refused(
            &forger.token_of(&with(claims(), "iss", json!("https://other.example"))),
            Refusal::Issuer,
            "iss",
        );
        // Refresh tokens are no JWTs.
        assert!(shared::refresh_token::verify(&forger.token(), &keys).is_err());
    }
}
