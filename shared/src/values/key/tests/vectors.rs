//! Public vectors, of `tests/vectors`: keys that our loader takes or refuses, and signatures that those keys verify or
//! not.
//!
//! What is signed there is no access token of ours: it has no `typ` and no claims. So the verifier refuses all of them,
//! and the signature is checked by what the verifier calls for it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::values::access_token;

/// A file of vectors: keys, each with messages and signatures, or with whole tokens.
#[derive(Deserialize)]
struct File<T> {
    groups: Vec<Group<T>>,
}

#[derive(Deserialize)]
struct Group<T> {
    key: Value,
    tests: Vec<T>,
}

/// Number, message, signature, result; bytes are in hexadecimal.
type Signature = (u32, String, String, String);
/// Name, token, result.
type Token = (Value, String, String);

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// What came of the vectors: how often each result of theirs led to which of ours.
type Tally = BTreeMap<(String, &'static str), usize>;

fn signatures(text: &str, algorithm: Algorithm) -> Tally {
    let file: File<Signature> = serde_json::from_str(text).unwrap();
    let mut tally = Tally::new();
    for group in file.groups {
        let ring = VerifyingKeys::parse(&group.key.to_string());
        for (number, message, signature, result) in group.tests {
            let ours = match &ring {
                Err(RingError::Key { problem, .. }) => match problem {
                    KeyProblem::Exponent => "exponent",
                    KeyProblem::ShortSecret => "short secret",
                    other => panic!("{number}: {other}"),
                },
                Err(other) => panic!("{number}: {other}"),
                Ok(ring) => {
                    let key = ring.find("none", NOW).unwrap();
                    assert_eq!(key.algorithm(), algorithm);
                    let signature = jwk::encode(&bytes(&signature));
                    if key.verifies(&bytes(&message), &signature).unwrap() { "taken" } else { "refused" }
                }
            };
            assert!(!(result == "invalid" && ours == "taken"), "{algorithm} {number}");
            *tally.entry((result, ours)).or_default() += 1;
        }
    }
    tally
}

fn tally<const N: usize>(counts: [(&str, &'static str, usize); N]) -> Tally {
    counts.into_iter().map(|(result, ours, count)| ((result.to_owned(), ours), count)).collect()
}

#[test]
fn es256_takes_and_refuses_as_wycheproof_has_it() {
    let file = include_str!("../../../../../tests/vectors/wycheproof_es256.json");
    assert_eq!(signatures(file, Algorithm::Es256), tally([("invalid", "refused", 89), ("valid", "taken", 173)]));
}

#[test]
fn eddsa_takes_and_refuses_as_wycheproof_has_it() {
    let file = include_str!("../../../../../tests/vectors/wycheproof_eddsa.json");
    assert_eq!(signatures(file, Algorithm::EdDsa), tally([("invalid", "refused", 63), ("valid", "taken", 88)]));
}

#[test]
fn rs256_agrees_with_wycheproof_but_for_the_exponent_3() {
    let file = include_str!("../../../../../tests/vectors/wycheproof_rs256.json");
    // The loader wants exponents from 65537 on. The acceptable one leaves out a NULL, which aws-lc wants.
    let expected = tally([
        ("acceptable", "refused", 1),
        ("invalid", "refused", 249),
        ("valid", "exponent", 2),
        ("valid", "taken", 7),
    ]);
    assert_eq!(signatures(file, Algorithm::Rs256), expected);
}

#[test]
fn hs256_agrees_with_wycheproof_but_for_short_keys_and_codes() {
    let file = include_str!("../../../../../tests/vectors/wycheproof_hs256.json");
    // Half of the vectors are for codes of 128 bits: HS256's have 256. Keys of 128 bits are too short for it.
    let expected = tally([
        ("invalid", "refused", 108),
        ("valid", "refused", 30),
        ("valid", "short secret", 6),
        ("valid", "taken", 30),
    ]);
    assert_eq!(signatures(file, Algorithm::Hs256), expected);
}

/// Whether the token is signed by the key that it names, or, where it names none, by the only one.
fn is_signed(text: &str, ring: &VerifyingKeys, only: Option<&str>) -> bool {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
        kid: Option<String>,
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return false };
    let Ok(header) = URL_SAFE_NO_PAD.decode(header) else { return false };
    let Ok(Header { alg, kid }) = serde_json::from_slice(&header) else { return false };
    let Some(key) = kid.as_deref().or(only).and_then(|kid| ring.find(kid, NOW)) else { return false };
    let message = text.rsplit_once('.').unwrap().0;
    !payload.is_empty() && alg == key.algorithm().name() && key.verifies(message.as_bytes(), signature) == Some(true)
}

fn refused_as_access_token(text: &str, ring: &VerifyingKeys) {
    assert!(access_token::verify(text, ring, "https://api.example.com", "gatehouse", NOW).is_err(), "{text}");
}

#[test]
fn whole_signatures_of_wycheproof_are_taken_and_refused() {
    let file: File<Token> =
        serde_json::from_str(include_str!("../../../../../tests/vectors/wycheproof_jws.json")).unwrap();
    let mut counts = (0, 0);
    for group in file.groups {
        let ring = VerifyingKeys::parse(&group.key.to_string()).unwrap();
        for (number, text, result) in group.tests {
            assert_eq!(is_signed(&text, &ring, None), result == "valid", "{number}");
            refused_as_access_token(&text, &ring);
            if result == "valid" { counts.0 += 1 } else { counts.1 += 1 }
        }
    }
    assert_eq!(counts, (3, 42));
}

#[test]
fn key_sets_of_wycheproof_are_taken_and_refused() {
    let file: File<Token> =
        serde_json::from_str(include_str!("../../../../../tests/vectors/wycheproof_jwk.json")).unwrap();
    let mut tests = 0;
    for group in file.groups {
        let ring = VerifyingKeys::parse(&group.key.to_string());
        for (number, text, result) in group.tests {
            tests += 1;
            let ours = ring.as_ref().is_ok_and(|ring| is_signed(&text, ring, None));
            match number.as_u64().unwrap() {
                // A secret beside a public key is how a ring looks while it changes from one to the other. Wycheproof
                // calls it ambiguous; here each key has its one algorithm.
                1 => assert!(ours, "{number}"),
                // HS384 and HS512 are none of ours.
                14 | 15 => assert!(!ours && result == "valid", "{number}"),
                _ => assert_eq!(ours, result == "valid", "{number}"),
            }
            if let Ok(ring) = &ring {
                refused_as_access_token(&text, ring);
            } else {
                assert!(result == "invalid" || number == 14 || number == 15, "{number}");
            }
        }
    }
    assert_eq!(tests, 26);
}

#[test]
fn signatures_of_the_rfcs_are_taken() {
    let file: File<Token> = serde_json::from_str(include_str!("../../../../../tests/vectors/rfc_jws.json")).unwrap();
    let mut counts = (0, 0);
    for group in file.groups {
        let ring = VerifyingKeys::parse(&group.key.to_string()).unwrap();
        let kid = group.key["kid"].as_str().unwrap();
        for (name, text, result) in group.tests {
            let header_is_protected = !text.starts_with('.');
            let ours = if header_is_protected {
                is_signed(&text, &ring, Some(kid))
            } else {
                // RFC 7520 section 4.7 has nothing in the header that is signed.
                let (message, signature) = text.rsplit_once('.').unwrap();
                ring.find(kid, NOW).unwrap().verifies(message.as_bytes(), signature) == Some(true)
            };
            assert_eq!(ours, result == "valid", "{name}");
            refused_as_access_token(&text, &ring);
            if ours { counts.0 += 1 } else { counts.1 += 1 }
        }
    }
    assert_eq!(counts, (9, 5));
}
