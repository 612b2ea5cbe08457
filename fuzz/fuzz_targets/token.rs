//! Tokens as texts, which nobody without a key can make, and signed ones whose header and claims are anything.
#![no_main]

use fuzz::{
    GOOD,
    forge::{AUDIENCE, Decision, Gate, ISSUER, NOW, bearer, http, keys, ours, rest, verify},
    model,
};
use libfuzzer_sys::fuzz_target;
use shared::{
    access_token::{self, MAX_LENGTH},
    key::Algorithm,
};

thread_local! {
    static GATE: Gate = Gate::ours();
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind {
        b'1' => signed(rest, Algorithm::Hs256),
        b'2' => signed(rest, Algorithm::EdDsa),
        _ => as_it_is(data),
    }
});

/// Whatever the text: it is let in only where it is one of ours, byte for byte, and by both gateways or neither.
fn as_it_is(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let is_good = GOOD.contains(&text);
    assert_eq!(verify(text).is_ok(), is_good);
    let is_good = GOOD.contains(&text.trim_start_matches(' '));
    for event in [rest, http] {
        let decision = GATE.with(|gate| gate.decide(&event(&bearer(text)).to_string()));
        assert_eq!(decision, if is_good { Decision::Allowed } else { Decision::Refused });
    }
    // Somewhere else, or later, none is good.
    assert!(access_token::verify(text, keys(), "https://other.example", AUDIENCE, NOW).is_err());
    assert!(access_token::verify(text, keys(), ISSUER, "another", NOW).is_err());
    assert!(access_token::verify(text, keys(), ISSUER, AUDIENCE, shared::time::Timestamp(NOW.0 + 1800)).is_err());
}

/// Header and claims, with a line's end between them, under a good signature: the verifier says what the model says.
fn signed(data: &[u8], algorithm: Algorithm) {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (header, claims) = (&data[..at], &data[at + 1..]);
    let forger = ours(algorithm);
    let token = forger.sign_text(header, claims);
    let expected = token.len() <= MAX_LENGTH && model::takes(header, claims, algorithm, &forger.kid);
    match verify(&token) {
        Ok(verified) => {
            assert!(expected, "the verifier takes what the model refuses");
            assert!(verified.expires > NOW);
        }
        Err(refusal) => assert!(!expected, "the verifier refuses what the model takes: {refusal}"),
    }
}
