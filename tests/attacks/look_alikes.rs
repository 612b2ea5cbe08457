//! Texts that look like others, or that careless comparison folds into others.

use serde_json::json;
use shared::{access_token::Refusal, key::Algorithm};

use crate::forge::{assert_refused, claims, ours, with};

#[test]
fn a_subject_that_looks_like_another_is_none() {
    let forger = ours(Algorithm::Es256);
    for sub in [
        "jоhndoe",
        "ｊｏｈｎｄｏｅ",
        "johndoe\u{200b}",
        "john\u{200d}doe",
        "\u{202e}eodnhoj",
        "johndo\u{65}\u{301}",
        "johndoé",
        "𝗷ohndoe",
        "johndoe\u{feff}",
        "johndoe\0",
        "johndoe\0admin",
        "johndoe\n",
        " johndoe",
        "johndoe ",
        "john doe",
        "\u{212a}ohndoe",
        "johndo\u{0435}",
        "ｊohndoe@example.com",
        "johndoe,admin",
        "johndoe#USER",
        "johndoe/../admin",
        "",
    ] {
        assert_refused(&forger.token_of(&with(claims(), "sub", json!(sub))), Refusal::Claims, sub);
    }
}

#[test]
fn an_issuer_is_compared_byte_for_byte() {
    let forger = ours(Algorithm::Es256);
    for iss in [
        "https://api.example.com/prod/",
        "https://api.example.com/prod?",
        "https://api.example.com/prod#",
        "https://api.example.com/Prod",
        "https://api.example.com/pro",
        "https://api.example.com/prod2",
        "https://api.example.com/dev",
        "https://api.example.com/dev/../prod",
        "https://api.example.com//prod",
        "https://api.example.com/%70rod",
        "https://API.example.com/prod",
        "HTTPS://api.example.com/prod",
        "http://api.example.com/prod",
        "https://api.example.com:443/prod",
        "https://api.example.com./prod",
        "https://user@api.example.com/prod",
        "https://api.example.com.attacker.example/prod",
        "https://attacker.example/https://api.example.com/prod",
        "api.example.com/prod",
        "https://аpi.example.com/prod",
        "https://xn--pi-7kc.example.com/prod",
        "https://api。example。com/prod",
        "https://api.example.com/ｐrod",
        "https://api.example.com\u{200b}/prod",
        " https://api.example.com/prod",
        "https://api.example.com/prod\0",
        "https://api.example.com/prod\n",
        "",
    ] {
        assert_refused(&forger.token_of(&with(claims(), "iss", json!(iss))), Refusal::Issuer, iss);
    }
}

#[test]
fn an_audience_is_compared_byte_for_byte() {
    let forger = ours(Algorithm::Es256);
    for aud in [
        "Gatehouse",
        "GATEHOUSE",
        "gatehouse ",
        " gatehouse",
        "gatehouse\0",
        "gatehous",
        "gatehouse2",
        "gаtehouse",
        "ｇatehouse",
        "gate\u{ad}house",
        "gatehouse,another",
        "another gatehouse",
        "*",
        "",
        "null",
    ] {
        assert_refused(&forger.token_of(&with(claims(), "aud", json!(aud))), Refusal::Audience, aud);
    }
}

#[test]
fn typ_and_alg_are_compared_byte_for_byte() {
    let forger = ours(Algorithm::Es256);
    // Media types know no case, but whoever makes our tokens does.
    for typ in [
        "AT+JWT",
        "At+jwt",
        "at+jwt ",
        " at+jwt",
        "at＋jwt",
        "аt+jwt",
        "at+jwt\0",
        "at +jwt",
        "at%2Bjwt",
        "at+jwt;v=1",
        "application/AT+JWT",
        "application/application/at+jwt",
        "application/ at+jwt",
        "text/at+jwt",
    ] {
        assert_refused(&forger.token_under(&with(forger.header(), "typ", json!(typ))), Refusal::Type, typ);
    }
    for alg in
        ["es256", "Es256", "ES256 ", "ЕS256", "ＥＳ２５６", "ES\u{200b}256", "ES256\0", "ES-256", "ES2S6", "E𝐒256"]
    {
        assert_refused(&forger.token_under(&with(forger.header(), "alg", json!(alg))), Refusal::Algorithm, alg);
    }
}

#[test]
fn a_scope_is_printable_ascii_between_single_spaces() {
    let forger = ours(Algorithm::Es256);
    for scope in [
        "read  write",
        " read",
        "read ",
        "read\twrite",
        "read\nusers:write",
        "read\u{a0}write",
        "read\u{2003}write",
        "rеad",
        "read\0write",
        "read\"write",
        "read\\write",
        "read,\u{200b}write",
    ] {
        assert_refused(&forger.token_of(&with(claims(), "scope", json!(scope))), Refusal::Claims, scope);
    }
}
