//! Keys that a token brings along or points to (CVE-2018-0114 and its like): they are never looked at.

use serde_json::{Value, json};
use shared::{access_token::Refusal, key::Algorithm};

use crate::forge::{Forger, all, assert_accepted, assert_refused, encode, with, without};

/// What the header of a token may say of its key, pointing to this JWK.
fn headers(jwk: &Value) -> Vec<(&'static str, Value)> {
    vec![
        ("jwk", jwk.clone()),
        ("jwk", json!({ "keys": [jwk] })),
        ("jwk", json!(jwk.to_string())),
        ("jwks", json!({ "keys": [jwk] })),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("jku", json!("https://api.example.com/prod/.well-known/jwks.json@attacker.example")),
        ("jku", json!("https://api.example.com/prod/redirect?to=https://attacker.example/jwks.json")),
        ("jku", json!("http://169.254.169.254/latest/meta-data/iam/security-credentials/")),
        ("jku", json!("file:///proc/self/environ")),
        ("x5u", json!("https://attacker.example/certificate.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([encode(jwk.to_string())])),
        ("x5t", json!(encode([0; 20]))),
        ("x5t#S256", json!(encode([0; 32]))),
        ("key", jwk.clone()),
    ]
}

#[test]
fn a_token_that_brings_its_own_key_gains_nothing_by_it() {
    for algorithm in Algorithm::ALL {
        let stranger = Forger::stranger(algorithm);
        for (member, value) in headers(&stranger.public) {
            let header = with(stranger.header(), member, value);
            assert_refused(&stranger.token_under(&header), Refusal::Signature, member);
            let other = with(header.clone(), "kid", json!("attacker"));
            assert_refused(&stranger.token_under(&other), Refusal::UnknownKey, member);
            assert_refused(&stranger.token_under(&without(header, "kid")), Refusal::Header, member);
        }
    }
}

#[test]
fn a_good_token_is_as_good_with_them() {
    for forger in all() {
        let stranger = Forger::stranger(forger.algorithm);
        for (member, value) in headers(&stranger.public) {
            assert_accepted(&forger.token_under(&with(forger.header(), member, value)), member);
        }
    }
}

#[test]
fn a_key_of_another_type_in_the_header_changes_no_algorithm() {
    for forger in all() {
        for algorithm in Algorithm::ALL.into_iter().filter(|other| *other != forger.algorithm) {
            let stranger = Forger::stranger(algorithm);
            let header = with(with(stranger.header(), "kid", json!(forger.kid)), "jwk", stranger.public.clone());
            assert_refused(&stranger.token_under(&header), Refusal::Algorithm, algorithm.name());
            let disguised = with(header, "alg", json!(forger.algorithm.name()));
            assert_refused(&stranger.token_under(&disguised), Refusal::Signature, algorithm.name());
        }
    }
}
