//! Members of the header that would change how a token is read.

use serde_json::{Value, json};
use shared::access_token::Refusal;

use crate::forge::{all, assert_accepted, assert_refused, claims, encode, with, with_raw, without};

#[test]
fn whatever_is_critical_is_refused() {
    for forger in all() {
        for value in [
            json!([]),
            json!(["exp"]),
            json!(["b64"]),
            json!(["alg", "kid", "typ"]),
            json!(["http://example.com/UNDEFINED"]),
            json!([""]),
            json!([null]),
            json!("exp"),
            json!(""),
            json!(true),
            json!(false),
            json!(0),
            json!({}),
            Value::Null,
        ] {
            let why = value.to_string();
            assert_refused(&forger.token_under(&with(forger.header(), "crit", value)), Refusal::Critical, &why);
        }
        let escaped = with_raw(&forger.header(), "typ", r#""at+jwt","\u0063rit":[]"#);
        assert_refused(&forger.sign_text(escaped, claims().to_string()), Refusal::Critical, "escaped");
        // In the claims it is a claim.
        assert_accepted(&forger.token_of(&with(claims(), "crit", json!(["exp"]))), "a claim");
    }
}

#[test]
fn the_payload_is_base64url_whatever_b64_says() {
    for forger in all() {
        let (raw, unencoded) = (claims().to_string(), with(forger.header(), "b64", json!(false)));
        let critical = with(unencoded.clone(), "crit", json!(["b64"]));
        for header in [&unencoded, &critical] {
            let why = header.to_string();
            let plain = forger.sign_parts(&encode(header.to_string()), &raw);
            let signed_plain = forger.signature(format!("{}.{raw}", encode(header.to_string())).as_bytes());
            let mixed = format!("{}.{}.{}", encode(header.to_string()), encode(&raw), encode(signed_plain));
            if header == &critical {
                assert_refused(&mixed, Refusal::Critical, &why);
                assert_refused(&forger.token_under(header), Refusal::Critical, &why);
            } else {
                assert_refused(&mixed, Refusal::Signature, &why);
                assert_accepted(&forger.token_under(header), &why);
            }
            // Claims have dots in them, and with those there are more than three parts.
            assert_refused(&plain, Refusal::Form, &why);
            let dotless = forger.sign_parts(&encode(header.to_string()), "{}");
            assert_refused(&dotless, if header == &critical { Refusal::Critical } else { Refusal::Form }, &why);
        }
    }
}

#[test]
fn nothing_is_inflated() {
    for forger in all() {
        let raw = claims().to_string();
        let length = u16::try_from(raw.len()).unwrap();
        // DEFLATE's block without compression (RFC 1951 section 3.2.4).
        let deflated = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), raw.as_bytes()].concat();
        for zip in ["DEF", "DEFLATE", "GZIP"] {
            let header = with(forger.header(), "zip", json!(zip)).to_string();
            assert_refused(&forger.sign_text(header, &deflated), Refusal::Claims, zip);
        }
        // Of a signed token `zip` says nothing (RFC 7516 section 4.1.3 has it for encrypted ones).
        assert_accepted(&forger.token_under(&with(forger.header(), "zip", json!("DEF"))), "zip alone");
    }
}

#[test]
fn claims_in_the_header_are_no_claims() {
    for forger in all() {
        for claim in ["iss", "sub", "aud", "exp", "sid"] {
            let header = with(forger.header(), claim, claims()[claim].clone());
            let token = forger.sign(&header, &without(claims(), claim));
            assert_refused(&token, Refusal::Claims, claim);
        }
        for (claim, value) in [("sub", json!("admin")), ("scope", json!("users:write")), ("exp", json!(0))] {
            let token = forger.token_under(&with(forger.header(), claim, value));
            let verified = crate::forge::verify(&token).unwrap();
            assert_eq!((verified.subject.as_str(), verified.scopes.to_string().as_str()), ("johndoe", "read write"));
        }
    }
}

#[test]
fn the_header_has_all_three_of_its_members_as_texts() {
    for forger in all() {
        for member in ["alg", "kid", "typ"] {
            assert_refused(&forger.token_under(&without(forger.header(), member)), Refusal::Header, member);
            for value in [Value::Null, json!(1), json!(true), json!([forger.header()[member]]), json!({})] {
                let header = with(forger.header(), member, value);
                assert_refused(&forger.token_under(&header), Refusal::Header, &header.to_string());
            }
        }
    }
}
