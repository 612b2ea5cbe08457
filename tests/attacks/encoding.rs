//! Base64url has one spelling: no padding, no other alphabet, no white space, no spare bits (RFC 7515 section 2).

use shared::access_token::Refusal;

use crate::forge::{Decision, all, assert_refused, claims, decide, encode, verify};

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text with the last character's unused bits set in each way but the right one.
fn with_spare_bits(part: &str) -> Vec<String> {
    let unused = match part.len() % 4 {
        2 => 4,
        3 => 2,
        _ => return Vec::new(),
    };
    let (rest, last) = part.split_at(part.len() - 1);
    let value = ALPHABET.find(last).unwrap();
    (1..1 << unused).map(|bits| format!("{rest}{}", &ALPHABET[value | bits..=value | bits])).collect()
}

/// The part in spellings that a lenient reader takes for the same bytes.
fn spellings(part: &str) -> Vec<String> {
    let (middle, end) = (part.len() / 2, part.len());
    let mut spellings: Vec<String> =
        ["=", "==", "===", "\n", "\r\n", "\t", " ", "\0", "%3D", "\u{b}", "\u{a0}", "\u{200b}", ",", "!", "*"]
            .into_iter()
            .flat_map(|extra| [0, middle, end].map(|at| format!("{}{extra}{}", &part[..at], &part[at..])))
            .collect();
    spellings.extend(with_spare_bits(part));
    spellings.push(part.replacen(&part[..1], &format!("%{:02X}", part.as_bytes()[0]), 1));
    spellings.push(encode(part));
    spellings.push(format!("\"{part}\""));
    for (own, standard) in [("-", "+"), ("_", "/")] {
        if part.contains(own) {
            spellings.push(part.replace(own, standard));
        }
    }
    spellings
}

#[test]
fn another_spelling_of_a_good_token_is_refused() {
    for forger in all() {
        let token = forger.token();
        let parts: Vec<&str> = token.split('.').collect();
        for at in 0..3 {
            for spelling in spellings(parts[at]) {
                let mut other = parts.clone();
                other[at] = &spelling;
                let other = other.join(".");
                assert!(verify(&other).is_err(), "{other}");
                // Spaces after `Bearer` are not the token's.
                if !other.starts_with(' ') {
                    assert_eq!(decide(&other), Decision::Refused, "{other}");
                }
            }
        }
    }
}

#[test]
fn another_spelling_is_refused_although_the_signature_is_for_it() {
    for forger in all() {
        // Of each length that a part can have: those that leave bits unused, and the one that takes no padding.
        for spaces in 0..3 {
            let spaces = " ".repeat(spaces);
            let (header, payload) =
                (encode(forger.header().to_string() + &spaces), encode(claims().to_string() + &spaces));
            for spelling in spellings(&header) {
                // Encoded twice it is base64url, of something else.
                let refusal = if spelling == encode(&header) { Refusal::Header } else { Refusal::Form };
                assert_eq!(verify(&forger.sign_parts(&spelling, &payload)).map(drop), Err(refusal), "{spelling}");
            }
            for spelling in spellings(&payload) {
                let refusal = if spelling == encode(&payload) { Refusal::Claims } else { Refusal::Form };
                assert_eq!(verify(&forger.sign_parts(&header, &spelling)).map(drop), Err(refusal), "{spelling}");
            }
        }
    }
}

#[test]
fn spare_bits_are_zero_in_every_part() {
    let mut tried = 0;
    for forger in all() {
        for spaces in 0..3 {
            let (header, payload) =
                (forger.header().to_string() + &" ".repeat(spaces), claims().to_string() + &" ".repeat(spaces));
            let (header, payload) = (encode(header), encode(payload));
            let token = forger.sign_parts(&header, &payload);
            let (message, signature) = token.rsplit_once('.').unwrap();
            for (other, refusal) in with_spare_bits(&header)
                .iter()
                .map(|header| (forger.sign_parts(header, &payload), Refusal::Form))
                .chain(
                    with_spare_bits(&payload)
                        .iter()
                        .map(|payload| (forger.sign_parts(&header, payload), Refusal::Form)),
                )
                .chain(
                    with_spare_bits(signature)
                        .iter()
                        .map(|signature| (format!("{message}.{signature}"), Refusal::Form)),
                )
            {
                assert_refused(&other, refusal, "spare bits");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn a_length_that_no_bytes_have_is_refused() {
    for forger in all() {
        let (header, payload) = (encode(forger.header().to_string()), encode(claims().to_string()));
        for part in ["A", "AAAAA"] {
            assert_refused(&forger.sign_parts(part, &payload), Refusal::Form, part);
            assert_refused(&forger.sign_parts(&header, part), Refusal::Form, part);
            assert_refused(&format!("{header}.{payload}.{part}"), Refusal::Form, part);
        }
    }
}
