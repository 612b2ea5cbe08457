//! Signatures that are none, and those of other kinds.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
    },
};
use shared::{access_token::Refusal, key::Algorithm};

use crate::forge::{Forger, Pair, all, assert_accepted, assert_refused, decode, encode, ours, verify};

/// The order of the group of P-256 (SEC 2 section 2.4.2).
const ORDER_P256: [u64; 4] =
    [0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF_FFFF_FFFF, 0xBCE6_FAAD_A717_9E84, 0xF3B9_CAC2_FC63_2551];
/// The order of the group of edwards25519 (RFC 8032 section 5.1), the lowest byte first.
const ORDER_25519: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn order() -> [u8; 32] {
    let bytes: Vec<u8> = ORDER_P256.iter().flat_map(|digit| digit.to_be_bytes()).collect();
    bytes.try_into().unwrap()
}

/// Big-endian `one - other`, with the borrow that is left.
fn minus(one: &[u8], other: &[u8]) -> (Vec<u8>, bool) {
    let mut borrow = false;
    let mut digits: Vec<u8> = Vec::new();
    for (one, other) in one.iter().zip(other).rev() {
        let (digit, under) = one.overflowing_sub(*other);
        let (digit, again) = digit.overflowing_sub(u8::from(borrow));
        borrow = under || again;
        digits.push(digit);
    }
    digits.reverse();
    (digits, borrow)
}

fn split(token: &str) -> (&str, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').unwrap();
    (message, decode(signature))
}

#[test]
fn a_signature_that_is_blank_cut_or_longer_is_refused() {
    for forger in all() {
        let token = forger.token();
        let (message, signature) = split(&token);
        let refuse = |bytes: &[u8], why: &str| {
            assert_refused(&format!("{message}.{}", encode(bytes)), Refusal::Signature, why);
        };
        for length in (0..signature.len()).step_by(if signature.len() > 64 { 17 } else { 1 }) {
            refuse(&signature[..length], "cut");
            refuse(&signature[signature.len() - length..], "cut in front");
        }
        for extra in [&[0][..], &[0; 32], &[0xFF], signature.as_slice()] {
            refuse(&[signature.as_slice(), extra].concat(), "longer");
            refuse(&[extra, signature.as_slice()].concat(), "longer in front");
        }
        for byte in [0, 1, 0x7F, 0x80, 0xFF] {
            for length in [1, 32, 63, 64, 65, 96, 256] {
                refuse(&vec![byte; length], "all one byte");
            }
        }
        let reversed: Vec<u8> = signature.iter().copied().rev().collect();
        refuse(&reversed, "reversed");
    }
}

#[test]
fn every_bit_of_a_signature_counts() {
    for forger in all() {
        let token = forger.token();
        let (message, signature) = split(&token);
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                verify(&format!("{message}.{}", encode(changed))).map(drop),
                Err(Refusal::Signature),
                "bit {bit}"
            );
        }
    }
}

#[test]
fn an_ecdsa_signature_with_a_number_out_of_range_is_refused() {
    let token = ours(Algorithm::Es256).token();
    let (message, signature) = split(&token);
    let (r, s) = signature.split_at(32);
    let (zero, mut one, order) = ([0; 32], [0; 32], order());
    one[31] = 1;
    let (below, _) = minus(&order, &one);
    let mut above = order;
    above[31] += 1;
    // CVE-2022-21449 is the first of these.
    for (r, s) in [
        (&zero[..], &zero[..]),
        (&zero, s),
        (r, &zero),
        (&order, &order),
        (&order, s),
        (r, &order),
        (&order, &zero),
        (&zero, &order),
        (&above, &above),
        (&above, s),
        (r, &above),
        (&one, &one),
        (&one, &zero),
        (&below, &below),
        (&below, &one),
        (&[0xFF; 32], &[0xFF; 32]),
        (s, r),
        (r, r),
        (s, s),
    ] {
        assert_refused(&format!("{message}.{}", encode([r, s].concat())), Refusal::Signature, "out of range");
    }
}

#[test]
fn an_ecdsa_signature_verifies_in_both_of_its_forms() {
    let token = ours(Algorithm::Es256).token();
    let (message, signature) = split(&token);
    let (r, s) = signature.split_at(32);
    // Whoever has (r, s) has (r, n - s) too, and RFC 7518 section 3.4 takes both. It says what the first says: nothing
    // here tells tokens apart by their text. Sessions are ended by `sid`.
    let (twin, _) = minus(&order(), s);
    assert_accepted(&format!("{message}.{}", encode([r, &twin].concat())), "the twin");
    assert_eq!(verify(&format!("{message}.{}", encode([r, &twin].concat()))), verify(&token));
    let (negative, _) = minus(&order(), r);
    assert_refused(&format!("{message}.{}", encode([&negative, s].concat())), Refusal::Signature, "n - r");
}

#[test]
fn an_ecdsa_signature_in_der_is_refused() {
    let forger = ours(Algorithm::Es256);
    let token = forger.token();
    let (message, signature) = split(&token);
    // What X.509 and TLS have, of the very numbers of the good one.
    let integer = |number: &[u8]| {
        let mut digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        if digits[0] >= 0x80 {
            digits.insert(0, 0);
        }
        [&[2, u8::try_from(digits.len()).unwrap()], digits.as_slice()].concat()
    };
    let numbers = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [&[0x30, u8::try_from(numbers.len()).unwrap()], numbers.as_slice()].concat();
    assert_refused(&format!("{message}.{}", encode(der)), Refusal::Signature, "DER");

    let d = serde_json::from_str::<serde_json::Value>(include_str!("../vectors/ring.json")).unwrap();
    let member = |name: &str| decode(d["keys"][0][name].as_str().unwrap());
    let point = [&[4], member("x").as_slice(), &member("y")].concat();
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &member("d"), &point).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    assert_refused(&format!("{message}.{}", encode(signature)), Refusal::Signature, "DER by aws-lc");
}

#[test]
fn an_ed25519_signature_is_the_only_one_of_its_message() {
    let token = ours(Algorithm::EdDsa).token();
    let (message, signature) = split(&token);
    let (point, number) = signature.split_at(32);
    // S plus the order, which RFC 8032 section 5.1.7 refuses.
    let mut carry = 0u16;
    let shifted: Vec<u8> = number
        .iter()
        .zip(ORDER_25519)
        .map(|(digit, order)| {
            carry += u16::from(*digit) + u16::from(order);
            let low = carry.to_le_bytes()[0];
            carry >>= 8;
            low
        })
        .collect();
    assert_eq!(carry, 0);
    // The neutral point, another spelling of it, and points of order 2 and 4.
    let (mut neutral, mut spelled, mut order_2) = ([0; 32], [0xFF; 32], [0xFF; 32]);
    neutral[0] = 1;
    (spelled[0], spelled[31]) = (0xEE, 0x7F);
    (order_2[0], order_2[31]) = (0xEC, 0x7F);
    let zero = [0; 32];
    for (point, number) in [
        (point, shifted.as_slice()),
        (point, &zero),
        (point, &ORDER_25519),
        (&zero, &zero),
        (&neutral, &zero),
        (&neutral, number),
        (&spelled, &zero),
        (&order_2, &zero),
        (&ORDER_25519, &ORDER_25519),
        (number, point),
    ] {
        assert_refused(&format!("{message}.{}", encode([point, number].concat())), Refusal::Signature, "Ed25519");
    }
}

#[test]
fn an_rsa_signature_of_another_hash_or_padding_is_refused() {
    let forger = ours(Algorithm::Rs256);
    let Pair::Rs256(pair) = &forger.pair else { panic!("it is one of RSA") };
    let token = forger.token();
    let (message, good) = split(&token);
    for encoding in [&RSA_PKCS1_SHA384 as &'static dyn RsaEncoding, &RSA_PKCS1_SHA512, &RSA_PSS_SHA256] {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        assert_refused(&format!("{message}.{}", encode(signature)), Refusal::Signature, "another padding");
    }
    // Modulo n these are the good one, or its negative.
    let n = decode(forger.public["n"].as_str().unwrap());
    let (negative, _) = minus(&n, &good);
    assert_refused(&format!("{message}.{}", encode(negative)), Refusal::Signature, "n - s");
    let (sum, fits) = minus(&good, &minus(&vec![0; n.len()], &n).0);
    let sum = if fits { sum } else { [&[1], sum.as_slice()].concat() };
    assert_refused(&format!("{message}.{}", encode(sum)), Refusal::Signature, "s + n");
    // What an exponent of 1 would take: the padded hash itself (PKCS #1, RFC 8017 section 9.2).
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message.as_bytes());
    let info = [
        &[
            0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
            0x20,
        ][..],
        hash.as_ref(),
    ]
    .concat();
    let padded = [&[0, 1], vec![0xFF; n.len() - info.len() - 3].as_slice(), &[0], &info].concat();
    assert_refused(&format!("{message}.{}", encode(&padded)), Refusal::Signature, "padding");
    assert_refused(&format!("{message}.{}", encode(&n)), Refusal::Signature, "n");
}

#[test]
fn a_signature_of_other_text_is_refused() {
    for forger in all() {
        let token = forger.token();
        let (message, _) = split(&token);
        let (header, payload) = message.split_once('.').unwrap();
        let others: [&[u8]; 8] = [
            b"",
            b".",
            header.as_bytes(),
            payload.as_bytes(),
            &decode(payload),
            &[decode(header), b".".to_vec(), decode(payload)].concat(),
            &[message.as_bytes(), b"."].concat(),
            token.as_bytes(),
        ];
        for other in others {
            let signature = encode(forger.signature(other));
            assert_refused(&format!("{message}.{signature}"), Refusal::Signature, "of other text");
        }
        let stranger = Forger::stranger(forger.algorithm);
        let signature = encode(stranger.signature(message.as_bytes()));
        assert_refused(&format!("{message}.{signature}"), Refusal::Signature, "of another key");
    }
}
