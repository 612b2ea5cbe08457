//! JSON that readers disagree on: members that stand twice, numbers at the edges, texts that are no UTF-8.

use serde_json::{Value, json};
use shared::{
    access_token::{self, Refusal},
    time::Timestamp,
};

use crate::forge::{
    AUDIENCE, ISSUER, NOW, all, assert_accepted, assert_refused, claims, keys, ours, verify, with, with_raw,
};

/// The object's text with another value for the member in front of it, and behind all.
fn twice(object: &Value, member: &str, value: &Value) -> [String; 3] {
    let text = object.to_string();
    let escaped = format!("\\u{:04x}{}", u32::from(member.chars().next().unwrap()), &member[1..]);
    [
        text.replacen('{', &format!("{{{}:{value},", json!(member)), 1),
        format!("{},{}:{value}}}", &text[..text.len() - 1], json!(member)),
        format!("{},\"{escaped}\":{value}}}", &text[..text.len() - 1]),
    ]
}

#[test]
fn a_member_of_the_header_that_stands_twice_is_refused() {
    for forger in all() {
        for (member, other) in
            [("alg", json!("none")), ("alg", json!("HS256")), ("kid", json!("attacker")), ("typ", json!("JWT"))]
        {
            let header = forger.header();
            for value in [&other, &header[member]] {
                for text in twice(&header, member, value) {
                    assert_refused(&forger.sign_text(&text, claims().to_string()), Refusal::Header, &text);
                }
            }
        }
        let critical = with(forger.header(), "crit", json!([]));
        for text in twice(&critical, "crit", &json!(["exp"])) {
            assert_refused(&forger.sign_text(&text, claims().to_string()), Refusal::Header, &text);
        }
    }
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    for forger in all() {
        for (claim, other) in [
            ("iss", json!("https://attacker.example")),
            ("sub", json!("admin")),
            ("aud", json!("another")),
            ("exp", json!(NOW.0 + 99_999_999)),
            ("nbf", json!(0)),
            ("iat", json!(0)),
            ("sid", json!("BBBBBBBBBBBBBBBBBBBBBA")),
            ("scope", json!("users:write")),
        ] {
            for value in [&other, &claims()[claim]] {
                for text in twice(&claims(), claim, value) {
                    assert_refused(&forger.sign_text(forger.header().to_string(), &text), Refusal::Claims, &text);
                }
            }
        }
    }
}

#[test]
fn names_are_exact() {
    let forger = ours(shared::key::Algorithm::Es256);
    for (member, other) in [("alg", "Alg"), ("alg", "ALG"), ("kid", "KID"), ("typ", "Typ"), ("typ", "typ\0")] {
        let mut header = forger.header();
        let value = header.as_object_mut().unwrap().remove(member).unwrap();
        assert_refused(&forger.token_under(&with(header, other, value)), Refusal::Header, other);
    }
    for (claim, other) in [("iss", "Iss"), ("sub", "SUB"), ("aud", "aud "), ("exp", "Exp"), ("sid", "ѕid")] {
        let mut claims = claims();
        let value = claims.as_object_mut().unwrap().remove(claim).unwrap();
        assert_refused(&forger.token_of(&with(claims, other, value)), Refusal::Claims, other);
    }
}

#[test]
fn a_time_is_a_whole_number_of_seconds_and_nothing_else() {
    let forger = ours(shared::key::Algorithm::Es256);
    for raw in [
        "\"1800001800\"",
        "\"\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"never\"",
        "1800001800.0",
        "1800001800.9",
        "1.8000018e9",
        "1e400",
        "1e308",
        "-1e400",
        "1e-400",
        "-1",
        "-0",
        "-9223372036854775808",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "99999999999999999999999999999999999999999999999999",
        "NaN",
        "Infinity",
        "-Infinity",
        "0x7fffffff",
        "01800001800",
        "+1800001800",
        "1_800_001_800",
        "1800001800.",
        "1,800",
        "null",
        "true",
        "[1800001800]",
        "{}",
        "{\"$numberLong\":\"1800001800\"}",
        "\"2027-01-15T08:30:00Z\"",
    ] {
        for claim in ["exp", "nbf", "iat"] {
            let text = with_raw(&claims(), claim, raw);
            assert_refused(&forger.sign_text(forger.header().to_string(), &text), Refusal::Claims, &text);
        }
    }
}

#[test]
fn the_largest_times_are_far_ahead_and_overflow_nothing() {
    let forger = ours(shared::key::Algorithm::Es256);
    for far in [i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs() + 1, u64::MAX - 1, u64::MAX] {
        let endless = with(claims(), "exp", json!(far));
        assert_accepted(&forger.token_of(&endless), "a key of ours has signed it");
        assert_refused(&forger.token_of(&with(claims(), "nbf", json!(far))), Refusal::NotYetValid, "nbf");
        assert_refused(&forger.token_of(&with(claims(), "iat", json!(far))), Refusal::IssuedLater, "iat");
    }
    // With the clock at its end, the leeway doesn't bring it round to 0.
    let at_the_end =
        |claims: &Value| access_token::verify(&forger.token_of(claims), keys(), ISSUER, AUDIENCE, Timestamp(u64::MAX));
    for exp in [0, NOW.0, u64::MAX] {
        assert_eq!(at_the_end(&with(claims(), "exp", json!(exp))).map(drop), Err(Refusal::Expired));
    }
    let last = access_token::verify(
        &forger.token_of(&with(claims(), "exp", json!(u64::MAX))),
        keys(),
        ISSUER,
        AUDIENCE,
        Timestamp(u64::MAX - 1),
    );
    assert_eq!(last.map(drop), Ok(()));
    // Before 1970 the clock says 0: nothing is valid yet.
    let token = forger.token();
    assert_eq!(
        access_token::verify(&token, keys(), ISSUER, AUDIENCE, Timestamp(0)).map(drop),
        Err(Refusal::NotYetValid)
    );
}

#[test]
fn the_leeway_ends_at_its_second() {
    let forger = ours(shared::key::Algorithm::Es256);
    for (claim, refusal) in [("nbf", Refusal::NotYetValid), ("iat", Refusal::IssuedLater)] {
        assert_accepted(&forger.token_of(&with(claims(), claim, json!(NOW.0 + 5))), claim);
        assert_refused(&forger.token_of(&with(claims(), claim, json!(NOW.0 + 6))), refusal, claim);
    }
    // And `exp` has none.
    assert_accepted(&forger.token_of(&with(claims(), "exp", json!(NOW.0 + 1))), "a second left");
    assert_refused(&forger.token_of(&with(claims(), "exp", json!(NOW.0))), Refusal::Expired, "now");
}

#[test]
fn parts_are_objects_with_nothing_before_or_behind() {
    let forger = ours(shared::key::Algorithm::Es256);
    let (header, payload) = (forger.header().to_string(), claims().to_string());
    // The members' values in the order in which the verifier's own struct has them.
    let in_order = |object: &Value, names: &[&str]| json!(names.iter().map(|name| &object[*name]).collect::<Vec<_>>());
    let header_list = in_order(&forger.header(), &["alg", "kid", "typ"]).to_string();
    let claims_list = in_order(&claims(), &["iss", "sub", "aud", "exp", "nbf", "iat", "sid", "scope"]).to_string();
    let wrap = |text: &str| {
        vec![
            format!("[{text}]"),
            format!("{text}{text}"),
            format!("{text},"),
            format!("{text}x"),
            format!("{text}\0"),
            format!("\u{feff}{text}"),
            format!("\0{text}"),
            format!("/**/{text}"),
            format!("{text}//"),
            json!(text).to_string(),
            text[..text.len() - 1].to_owned(),
            text.replace('"', "'"),
            text.replacen('{', "{,", 1),
            text.replacen(',', ",,", 1),
            text.replacen('}', ",}", 1),
            String::new(),
            "null".to_owned(),
            "{}".to_owned(),
            "[]".to_owned(),
            "\"\"".to_owned(),
            "0".to_owned(),
            "{".repeat(1000),
            "[".repeat(1000),
        ]
    };
    for text in wrap(&header).into_iter().chain([header_list]) {
        assert_refused(&forger.sign_text(&text, &payload), Refusal::Header, &text);
    }
    for text in wrap(&payload).into_iter().chain([claims_list]) {
        assert_refused(&forger.sign_text(&header, &text), Refusal::Claims, &text);
    }
    // However deep the lists in a member that nobody reads, they take no stack.
    let deep = |text: &str| text.replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(500), "]".repeat(500)), 1);
    assert_accepted(&forger.sign_text(deep(&header), deep(&payload)), "deep");
    // White space around it is JSON's.
    assert_accepted(&forger.sign_text(format!(" \r\n{header}\t"), format!("\n{payload} ")), "white space");
}

#[test]
fn a_part_is_utf_8_and_its_escapes_are_characters() {
    let forger = ours(shared::key::Algorithm::Es256);
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (header, payload) = (forger.header().to_string(), claims().to_string());
    assert_refused(&forger.sign_text(utf16(&header), &payload), Refusal::Header, "UTF-16");
    assert_refused(&forger.sign_text(&header, utf16(&payload)), Refusal::Claims, "UTF-16");
    for bytes in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"john\xc0\x80doe",
        b"\\ud800",
        b"\\udc00\\ud800",
        b"\\u12",
        b"\\x41",
        b"\n",
    ] {
        let put = |object: &Value, member: &str| {
            let text = with(object.clone(), member, json!("@")).to_string().into_bytes();
            let at = text.windows(3).position(|window| window == b"\"@\"").unwrap() + 1;
            [&text[..at], bytes, &text[at + 1..]].concat()
        };
        assert_refused(&forger.sign_text(put(&forger.header(), "kid"), &payload), Refusal::Header, "kid");
        for claim in ["sub", "iss", "aud", "scope"] {
            assert_refused(&forger.sign_text(&header, put(&claims(), claim)), Refusal::Claims, claim);
        }
    }
    // An escape is the character that it names, as everywhere in JSON.
    let escaped = with_raw(&claims(), "sub", r#""\u006aohndoe""#);
    assert_eq!(verify(&forger.sign_text(&header, escaped)).unwrap().subject.as_str(), "johndoe");
}
