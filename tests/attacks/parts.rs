//! Tokens of other numbers of parts and of other serialisations, and tokens within tokens.

use serde_json::json;
use shared::{
    access_token::{MAX_LENGTH, Refusal},
    key::Algorithm,
};

use crate::forge::{Decision, all, assert_accepted, assert_refused, claims, decide, encode, ours, verify, with};

#[test]
fn a_token_has_three_parts() {
    for forger in all() {
        let token = forger.token();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = message.split_once('.').unwrap();
        for text in [
            header.to_owned(),
            message.to_owned(),
            format!("{header}.{signature}"),
            format!("{header}.{payload}{signature}"),
            format!("{token}."),
            format!("{token}.{signature}"),
            format!("{token}.{token}"),
            format!("{message}..{signature}"),
            format!("{header}..{payload}.{signature}"),
            format!("{header}.{payload}.{payload}.{payload}.{signature}"),
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        ] {
            assert_refused(&text, Refusal::Form, "parts");
        }
        assert_refused(&format!(".{token}"), Refusal::Form, "an empty part in front");
        assert_refused(&format!(".{payload}.{signature}"), Refusal::Header, "no header");
        assert_refused(&format!("{header}..{signature}"), Refusal::Signature, "a detached payload");
        assert_refused(".", Refusal::Form, "one dot");
        assert_refused("..", Refusal::Header, "two dots");
        assert_refused("...", Refusal::Form, "three dots");
        assert_refused("....", Refusal::Form, "four dots");
        assert_eq!(verify("").map(drop), Err(Refusal::Form));
        assert_eq!(decide(""), Decision::Refused);
    }
}

#[test]
fn an_encrypted_token_is_none_that_we_know() {
    for forger in all() {
        for (alg, enc) in [("dir", "A256GCM"), ("RSA-OAEP", "A128CBC-HS256"), ("PBES2-HS256+A128KW", "A128GCM")] {
            let header = json!({ "alg": alg, "enc": enc, "kid": forger.kid, "typ": "at+jwt", "p2c": 2_147_483_647 });
            let parts = [header.to_string(), String::new(), "iv".to_owned(), forger.token(), "tag".to_owned()];
            let token = parts.map(encode).join(".");
            assert_refused(&token, Refusal::Form, alg);
            assert_refused(&forger.token_under(&header), Refusal::Algorithm, alg);
        }
    }
}

#[test]
fn a_token_within_a_token_is_no_claims() {
    for forger in all() {
        let nested = with(forger.header(), "cty", json!("JWT"));
        let token = forger.sign_text(nested.to_string(), forger.token());
        assert_refused(&token, Refusal::Claims, "nested");
        assert_refused(
            &forger.sign_text(nested.to_string(), json!(forger.token()).to_string()),
            Refusal::Claims,
            "quoted",
        );
        // What `cty` says changes nothing where the payload is what it should be.
        assert_accepted(&forger.token_under(&nested), "cty alone");
    }
}

#[test]
fn other_serialisations_are_no_tokens() {
    for forger in all() {
        let token = forger.token();
        let parts: Vec<&str> = token.split('.').collect();
        let (protected, payload, signature) = (parts[0], parts[1], parts[2]);
        for text in [
            json!({ "protected": protected, "payload": payload, "signature": signature }).to_string(),
            json!({ "payload": payload, "signatures": [{ "protected": protected, "signature": signature }] })
                .to_string(),
            format!("{{\"a\":\"{token}\"}}"),
            format!("{token}~"),
            format!("{token}~WyJzYWx0Iiwic2NvcGUiLCJhZG1pbiJd~"),
            format!("{token}|{token}"),
            format!("{token} {token}"),
            format!("{token},{token}"),
            format!("\"{token}\""),
            format!("<{token}>"),
        ] {
            assert!(verify(&text).is_err(), "{text}");
            assert_eq!(decide(&text), Decision::Refused, "{text}");
        }
    }
}

#[test]
fn a_token_of_more_than_4_kib_is_refused_however_good_it_is() {
    for forger in all() {
        let of = |padding: usize| forger.token_of(&with(claims(), "padding", json!("x".repeat(padding))));
        let longest = (0..4000).rev().map(of).find(|token| token.len() <= MAX_LENGTH).unwrap();
        assert!(longest.len() > MAX_LENGTH - 3);
        assert_accepted(&longest, "4 KiB");
        for padding in [4000, 10_000, 100_000, 1_000_000] {
            assert_refused(&of(padding), Refusal::TooLong, "more");
        }
    }
    assert_refused(&".".repeat(5000), Refusal::TooLong, "dots");
    assert_refused(&"A".repeat(1_000_000), Refusal::TooLong, "a megabyte");
}

#[test]
fn nothing_but_dots_or_braces_is_refused() {
    let forger = ours(Algorithm::Es256);
    for text in [".".repeat(MAX_LENGTH), "A.".repeat(MAX_LENGTH / 2), "=".repeat(MAX_LENGTH)] {
        assert!(verify(&text).is_err());
        assert_eq!(decide(&text), Decision::Refused);
    }
    let deep = "{\"a\":".repeat(500);
    assert_refused(&forger.sign_text(&deep, "{}"), Refusal::Header, "deep");
    assert_refused(&forger.sign_text(forger.header().to_string(), &deep), Refusal::Claims, "deep");
}
