//! The algorithm: `none`, another one than the key's, and public keys as secrets of HMAC (CVE-2015-9235).

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    signature::KeyPair,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use shared::{
    access_token::Refusal,
    key::{Algorithm, VerifyingKeys},
};

use crate::forge::{
    Forger, NOW, Pair, all, assert_accepted, assert_refused, asymmetric, claims, decode, encode, hmac256, ours, with,
    without,
};

#[test]
fn none_is_refused_in_every_spelling_whatever_the_signature() {
    let in_all_cases = (0..16u8).map(|upper| {
        let letters = "none".char_indices();
        letters.map(|(at, letter)| if upper >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter }).collect()
    });
    let others = [
        "",
        " ",
        "none ",
        " none",
        "none\t",
        "none\n",
        "none\0",
        "nоne",
        "ｎｏｎｅ",
        "n",
        "null",
        "undefined",
        "plain",
    ];
    let spellings: Vec<String> = in_all_cases.chain(others.map(str::to_owned)).collect();
    assert_eq!(spellings.len(), 16 + others.len());
    for forger in all() {
        for alg in &spellings {
            let signed = forger.token_under(&with(forger.header(), "alg", json!(alg)));
            let (message, _) = signed.rsplit_once('.').unwrap();
            for signature in ["", "AA", "none", "bm9uZQ"] {
                assert_refused(&format!("{message}.{signature}"), Refusal::Algorithm, alg);
            }
            assert_refused(&signed, Refusal::Algorithm, alg);
            assert_refused(message, Refusal::Form, alg);
        }
    }
}

#[test]
fn none_is_refused_however_json_writes_it() {
    for forger in all() {
        let header = with(forger.header(), "alg", json!("@")).to_string();
        for alg in [r#""\u006eone""#, r#""\u006E\u006F\u006E\u0065""#, r#""no\u006ee""#] {
            assert_refused(
                &forger.sign_text(header.replace("\"@\"", alg), claims().to_string()),
                Refusal::Algorithm,
                alg,
            );
        }
        for alg in ["null", "true", "0", "[]", "{}", r#"["none"]"#, r#"[null,"ES256"]"#, "none"] {
            assert_refused(&forger.sign_text(header.replace("\"@\"", alg), claims().to_string()), Refusal::Header, alg);
        }
        assert_refused(&forger.token_under(&without(forger.header(), "alg")), Refusal::Header, "no alg");
    }
}

#[test]
fn an_algorithm_of_another_key_or_of_none_of_ours_is_refused() {
    let names = [
        "ES256",
        "EdDSA",
        "RS256",
        "HS256",
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES384",
        "ES512",
        "ES256K",
        "Ed25519",
        "Ed448",
        "HMAC",
        "HMACSHA256",
        "RSA",
        "SHA256withRSA",
        "dir",
        "RSA-OAEP",
        "RSA1_5",
        "A128KW",
        "ECDH-ES",
        "PBES2-HS256+A128KW",
    ];
    for forger in all() {
        let own = forger.algorithm.name();
        for alg in names.into_iter().filter(|alg| *alg != own) {
            assert_refused(&forger.token_under(&with(forger.header(), "alg", json!(alg))), Refusal::Algorithm, alg);
        }
        for alg in [own.to_lowercase(), own.to_uppercase() + " ", format!(" {own}"), format!("{own}\0"), own.repeat(2)]
        {
            assert_refused(&forger.token_under(&with(forger.header(), "alg", json!(alg))), Refusal::Algorithm, &alg);
        }
    }
}

/// Everything that an attacker may know of a public key and that a careless verifier may take for a secret.
fn public_texts(forger: &Forger) -> Vec<Vec<u8>> {
    let spki = match &forger.pair {
        Pair::Es256(pair) => AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
        Pair::EdDsa(pair) => AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
        Pair::Rs256(pair) => AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
        Pair::Hs256(_) => panic!("it has no public half"),
    };
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let mut pem = |label: &str, der: &[u8]| {
        let lines: Vec<String> =
            STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        for end in ["\n", "\r\n"] {
            let body = lines.join(end);
            for text in [
                format!("-----BEGIN {label}-----{end}{body}{end}-----END {label}-----"),
                format!("-----BEGIN {label}-----{end}{body}{end}-----END {label}-----{end}"),
                body,
            ] {
                texts.push(text.into_bytes());
            }
        }
        texts.push(STANDARD.encode(der).into_bytes());
        texts.push(der.to_vec());
    };
    pem("PUBLIC KEY", &spki);
    if let Pair::Rs256(pair) = &forger.pair {
        pem("RSA PUBLIC KEY", pair.public_key().as_ref());
    }

    let jwk = &forger.public;
    let members = |names: &[&str]| {
        let chosen: Vec<String> = names.iter().map(|name| format!("{}:{}", json!(name), jwk[*name])).collect();
        format!("{{{}}}", chosen.join(",")).into_bytes()
    };
    let numbers: Vec<Vec<u8>> =
        ["x", "y", "n", "e"].iter().filter_map(|name| jwk[*name].as_str()).map(decode).collect();
    texts.push(jwk.to_string().into_bytes());
    texts.push(serde_json::to_string_pretty(jwk).unwrap().into_bytes());
    texts.push(json!({ "keys": [jwk] }).to_string().into_bytes());
    // As it is hashed for a thumbprint (RFC 7638 section 3).
    texts.push(match forger.algorithm {
        Algorithm::Es256 => members(&["crv", "kty", "x", "y"]),
        Algorithm::EdDsa => members(&["crv", "kty", "x"]),
        Algorithm::Rs256 | Algorithm::Hs256 => members(&["e", "kty", "n"]),
    });
    texts.extend(numbers.iter().map(|number| encode(number).into_bytes()));
    texts.extend(numbers.iter().cloned());
    if let [x, y] = numbers.as_slice() {
        texts.push([x.as_slice(), y].concat());
        texts.push([&[4], x.as_slice(), y].concat());
        texts.push([&[2 + (y.last().unwrap() & 1)], x.as_slice()].concat());
    }
    texts.push(forger.kid.clone().into_bytes());
    texts.push(Vec::new());
    texts
}

#[test]
fn a_public_key_is_no_secret_of_hmac_in_any_of_its_forms() {
    for forger in asymmetric() {
        let texts = public_texts(forger);
        assert!(texts.len() >= 15);
        for secret in texts {
            for (alg, refusal) in [("HS256", Refusal::Algorithm), (forger.algorithm.name(), Refusal::Signature)] {
                let header = with(forger.header(), "alg", json!(alg));
                let message = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
                let forged = format!("{message}.{}", encode(hmac256(&secret, message.as_bytes())));
                assert_refused(&forged, refusal, &String::from_utf8_lossy(&secret));
            }
            // Nor is it the secret of the key that is one of HMAC.
            let secrets = ours(Algorithm::Hs256);
            let message = format!("{}.{}", encode(secrets.header().to_string()), encode(claims().to_string()));
            let forged = format!("{message}.{}", encode(hmac256(&secret, message.as_bytes())));
            assert_refused(&forged, Refusal::Signature, &String::from_utf8_lossy(&secret));
        }
    }
}

#[test]
fn a_secret_of_hmac_makes_no_signature_of_another_hash() {
    let forger = ours(Algorithm::Hs256);
    let Pair::Hs256(secret) = &forger.pair else { panic!("it is one of HMAC") };
    for (algorithm, alg) in [(aws_lc_rs::hmac::HMAC_SHA384, "HS384"), (aws_lc_rs::hmac::HMAC_SHA512, "HS512")] {
        let key = aws_lc_rs::hmac::Key::new(algorithm, secret);
        for (alg, refusal) in [("HS256", Refusal::Signature), (alg, Refusal::Algorithm)] {
            let header = with(forger.header(), "alg", json!(alg)).to_string();
            let message = format!("{}.{}", encode(header), encode(claims().to_string()));
            let signature = aws_lc_rs::hmac::sign(&key, message.as_bytes());
            assert_refused(&format!("{message}.{}", encode(signature)), refusal, alg);
            assert_refused(&format!("{message}.{}", encode(&signature.as_ref()[..32])), refusal, alg);
        }
    }
}

#[test]
fn a_key_is_loaded_for_the_one_algorithm_that_fits_its_type() {
    for forger in all() {
        assert_accepted(&forger.token(), "the key's own");
        for alg in ["none", "HS256", "RS256", "ES256", "EdDSA", "PS256", "RS512", "HS512"] {
            let ring = VerifyingKeys::parse(&with(forger.public.clone(), "alg", json!(alg)).to_string());
            assert_eq!(ring.is_ok(), alg == forger.algorithm.name(), "{} {alg}", forger.kid);
        }
        // A key without an algorithm would be one for all of its type.
        let unbound: Value = without(forger.public.clone(), "alg");
        assert!(VerifyingKeys::parse(&unbound.to_string()).is_err());
        assert!(crate::forge::keys().find(&forger.kid, NOW).is_some());
    }
}
