mod vectors;

use super::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::crypto;
use proptest::prelude::*;
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(1_800_000_000);
const ASYMMETRIC: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

/// RFC 7515 appendix A.1.1.
const RFC_7515_SECRET: &str = r#"{"kty":"oct",
    "k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
/// RFC 7515 appendix A.2.1.
const RFC_7515_RSA: &str = r#"{"kty":"RSA",
    "n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e":"AQAB",
    "d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
    "p":"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    "q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
    "dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
    "dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
    "qi":"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}"#;
/// RFC 7515 appendix A.3.1.
const RFC_7515_EC: &str = r#"{"kty":"EC","crv":"P-256",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
/// RFC 7520 section 3.4.
const RFC_7520_RSA: &str = r#"{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig",
    "n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
    "e":"AQAB",
    "d":"bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ",
    "p":"3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2fvuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k",
    "q":"uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHTeZu2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc",
    "dp":"B8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt26gljYfKU_E9xn-RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik",
    "dq":"CLDmDGduhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6og5iTbwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8",
    "qi":"3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7ZMaQj8VfBdYkssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4"}"#;
/// RFC 8037 appendix A.1.
const RFC_8037_ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

/// A private ring of one key, of a `kid` of its own. Finding primes takes seconds without optimisation:
/// the RSA key is always the same one.
pub(crate) fn ring(algorithm: Algorithm, now: Timestamp) -> SigningKeys {
    match algorithm {
        Algorithm::Rs256 => {
            let jwk = named(RFC_7520_RSA, algorithm, &crate::values::session::random_identifier(&mut rng()));
            SigningKeys::parse(&with(with(jwk, "iat", json!(now)), "nbf", json!(now)).to_string()).unwrap()
        }
        _ => SigningKeys::generate(algorithm, now, &mut rng()).unwrap(),
    }
}

/// A sound private key of the algorithm, to be damaged by the test.
pub(super) fn private(algorithm: Algorithm) -> Value {
    let set: Value = serde_json::from_str(&ring(algorithm, NOW).to_private_jwks()).unwrap();
    set["keys"][0].clone()
}

/// The public half of it, or the secret.
pub(super) fn public(algorithm: Algorithm) -> Value {
    let set: Value = serde_json::from_str(&ring(algorithm, NOW).to_verifying_jwks()).unwrap();
    set["keys"][0].clone()
}

/// A key of an RFC, made into one of a ring.
fn named(jwk: &str, algorithm: Algorithm, kid: &str) -> Value {
    with(with(serde_json::from_str(jwk).unwrap(), "alg", json!(algorithm.name())), "kid", json!(kid))
}

pub(super) fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    match value {
        Value::Null => jwk.as_object_mut().unwrap().remove(member),
        value => jwk.as_object_mut().unwrap().insert(member.to_owned(), value),
    };
    jwk
}

pub(super) fn signing_problem(jwk: &Value) -> KeyProblem {
    match SigningKeys::parse(&jwk.to_string()) {
        Err(RingError::Key { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

/// The same whichever way the key comes.
pub(super) fn verifying_problem(jwk: &Value) -> KeyProblem {
    let inserted = VerifyingKeys::default().insert(&jwk.to_string(), None);
    match VerifyingKeys::parse(&jwk.to_string()) {
        Err(RingError::Key { problem, .. }) => {
            assert!(matches!(inserted, Err(RingError::Key { problem: same, .. }) if same == problem));
            problem
        }
        other => panic!("{other:?}"),
    }
}

fn ids(ring: &SigningKeys) -> Vec<&str> {
    ring.keys().map(SigningKey::id).collect()
}

#[test]
fn an_algorithm_reads_back_from_its_name() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
    }
    for name in ["", "none", "es256", "EDDSA", "Ed25519", "RS512", "HS256 "] {
        let error = name.parse::<Algorithm>().unwrap_err();
        assert_eq!(error.to_string(), "must be ES256, EdDSA, RS256 or HS256", "{name}");
    }
}

#[test]
fn a_generated_ring_reads_back_for_signing_and_for_verifying() {
    for algorithm in Algorithm::ALL {
        // Here RSA keys are new ones, too.
        let ring = SigningKeys::generate(algorithm, NOW, &mut rng()).unwrap();
        let again = SigningKeys::parse(&ring.to_private_jwks()).unwrap();
        assert_eq!(again.to_private_jwks(), ring.to_private_jwks());
        let key = again.signing(NOW).unwrap();
        assert_eq!((key.id(), key.algorithm()), (ring.newest().unwrap().id(), algorithm));
        assert_eq!((key.made(), key.signs_from(), key.verifies_until()), (Some(NOW), NOW, None));
        let verifying = VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap();
        assert_eq!(verifying.find(key.id(), NOW).unwrap().algorithm(), algorithm);
        assert!(verifying.find("another", NOW).is_none());
        let signature = crypto::sign(b"message", key.in_library(), algorithm.in_library()).unwrap();
        let key = verifying.find(key.id(), NOW).unwrap();
        assert_eq!(key.verifies(b"message", &signature), Some(true), "{algorithm}");
        assert_eq!(key.verifies(b"massage", &signature), Some(false), "{algorithm}");
    }
}

#[test]
fn the_keys_of_the_rfcs_verify_the_signatures_of_the_rfcs() {
    for (jwk, algorithm, message, signature) in [
        (
            RFC_7515_SECRET,
            Algorithm::Hs256,
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            RFC_7515_RSA,
            Algorithm::Rs256,
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            RFC_7515_EC,
            Algorithm::Es256,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            // RFC 8037 appendix A.4.
            RFC_8037_ED25519,
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let ring = SigningKeys::parse(&named(jwk, algorithm, "rfc").to_string()).unwrap();
        let verifying = VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap();
        let key = verifying.find("rfc", NOW).unwrap();
        assert_eq!(key.verifies(message.as_bytes(), signature), Some(true), "{algorithm}");
        // All but ES256 give one signature for one message.
        if algorithm != Algorithm::Es256 {
            let key = ring.signing(NOW).unwrap().in_library();
            assert_eq!(crypto::sign(message.as_bytes(), key, algorithm.in_library()).unwrap(), signature);
        }
    }
    SigningKeys::parse(&named(RFC_7520_RSA, Algorithm::Rs256, "bilbo.baggins@hobbiton.example").to_string()).unwrap();
}

#[test]
fn a_verifier_gets_no_private_half() {
    for algorithm in ASYMMETRIC {
        let jwk = public(algorithm);
        for member in ["d", "p", "q", "dp", "dq", "qi", "k", "iat", "nbf"] {
            assert!(jwk.get(member).is_none(), "{algorithm} {member}");
        }
        VerifyingKeys::parse(&jwk.to_string()).unwrap();
        assert_eq!(verifying_problem(&private(algorithm)), KeyProblem::Private);
        for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            let bad = with(jwk.clone(), member, json!("AQ"));
            assert_eq!(verifying_problem(&bad), KeyProblem::Private, "{algorithm} {member}");
        }
    }
}

#[test]
fn the_public_jwk_has_the_public_members_and_nothing_else() {
    for (algorithm, members) in [
        (Algorithm::Es256, vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
        (Algorithm::EdDsa, vec!["alg", "crv", "kid", "kty", "use", "x"]),
        (Algorithm::Rs256, vec!["alg", "e", "kid", "kty", "n", "use"]),
    ] {
        let ring = ring(algorithm, NOW).rotated_for_test();
        for key in ring.keys() {
            let text = key.public_jwk().unwrap();
            let jwk: Value = serde_json::from_str(&text).unwrap();
            let mut names: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            if key.algorithm() == algorithm {
                assert_eq!(names, members);
            }
            assert_eq!((&jwk["use"], &jwk["kid"]), (&json!("sig"), &json!(key.id())));
            let mut verifying = VerifyingKeys::default();
            verifying.insert(&text, None).unwrap();
            assert_eq!(verifying.find(key.id(), NOW).unwrap().algorithm(), key.algorithm());
        }
    }
    assert_eq!(ring(Algorithm::Hs256, NOW).newest().unwrap().public_jwk(), None);
}

impl SigningKeys {
    /// With an ES256 key in front, so that the older one has all its times.
    fn rotated_for_test(&self) -> Self {
        self.rotated(Algorithm::Es256, NOW, &retention(NOW, NOW.after(DAY)), &|_| KeyStatus::Kept, &mut rng()).unwrap()
    }
}

#[test]
fn the_first_key_signs_and_a_single_jwk_is_a_ring() {
    let (one, two) = (private(Algorithm::Es256), private(Algorithm::Hs256));
    let ring = SigningKeys::parse(&json!({ "keys": [one, two] }).to_string()).unwrap();
    assert_eq!(ring.signing(NOW).unwrap().id(), one["kid"]);
    assert_eq!(ids(&ring), [one["kid"].as_str().unwrap(), two["kid"].as_str().unwrap()]);
    assert_eq!(SigningKeys::parse(&two.to_string()).unwrap().signing(NOW).unwrap().id(), two["kid"]);
}

#[test]
fn reads_what_the_template_generates() {
    // SecretStringTemplate with a GenerateStringKey of 64 characters.
    let text = r#"{"kty":"oct","alg":"HS256","use":"sig","kid":"a",
        "k":"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ab"}"#;
    SigningKeys::parse(text).unwrap();
    VerifyingKeys::parse(text).unwrap();
}

#[test]
fn refuses_what_is_no_ring() {
    for text in ["", "null", "[]", "{", "\"abc\"", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"kty":"oct","k":1}"#] {
        assert!(matches!(SigningKeys::parse(text), Err(RingError::Form { .. })), "{text}");
        assert!(matches!(VerifyingKeys::parse(text), Err(RingError::Form { .. })), "{text}");
        assert!(matches!(VerifyingKeys::default().insert(text, None), Err(RingError::Form { .. })), "{text}");
    }
    let set = json!({ "keys": [public(Algorithm::Es256)] }).to_string();
    assert!(matches!(VerifyingKeys::default().insert(&set, None), Err(RingError::Form { .. })));
}

#[test]
fn a_private_ring_may_be_empty_and_then_signs_nothing() {
    let ring = SigningKeys::parse(r#"{"keys":[]}"#).unwrap();
    assert!(ring.signing(NOW).is_none() && ring.newest().is_none() && ring.keys().next().is_none());
    assert_eq!(ring.to_private_jwks().as_str(), r#"{"keys":[]}"#);
    assert_eq!(VerifyingKeys::parse(r#"{"keys":[]}"#).unwrap_err(), RingError::Empty);
    let none = VerifyingKeys::default();
    assert_eq!((none.is_empty(), none.len()), (true, 0));
}

#[test]
fn times_are_whole_seconds_or_absent() {
    for member in ["iat", "nbf", "exp"] {
        for value in ["null", "\"1800000000\"", "1.8e9", "1800000000.5", "-1", "[1800000000]"] {
            for algorithm in [Algorithm::Es256, Algorithm::Hs256] {
                let text = public(algorithm).to_string().replacen('{', &format!(r#"{{"{member}":{value},"#), 1);
                assert!(matches!(VerifyingKeys::parse(&text), Err(RingError::Form { .. })), "{text}");
                assert!(matches!(SigningKeys::parse(&text), Err(RingError::Form { .. })), "{text}");
            }
        }
    }
    let untimed = with(with(private(Algorithm::EdDsa), "iat", Value::Null), "nbf", Value::Null);
    let ring = SigningKeys::parse(&untimed.to_string()).unwrap();
    let key = ring.signing(Timestamp(0)).unwrap();
    assert_eq!((key.made(), key.signs_from(), key.verifies_until()), (None, Timestamp(0), None));
    assert!(ring.signing(Timestamp(u64::MAX)).is_some());
}

#[test]
fn refuses_keys_that_do_not_say_what_they_are_for() {
    for algorithm in Algorithm::ALL {
        let (signing, verifying) = (private(algorithm), public(algorithm));
        for (member, value, problem) in [
            ("kid", Value::Null, KeyProblem::KeyId),
            ("kid", json!(""), KeyProblem::KeyId),
            ("kid", json!("a\u{0}"), KeyProblem::KeyId),
            ("kid", json!("k".repeat(129)), KeyProblem::KeyId),
            ("alg", Value::Null, KeyProblem::Algorithm),
            ("alg", json!("none"), KeyProblem::Algorithm),
            ("alg", json!("es256"), KeyProblem::Algorithm),
            ("alg", json!("PS256"), KeyProblem::Algorithm),
            ("kty", json!(""), KeyProblem::Type),
            ("use", json!("enc"), KeyProblem::Use),
            ("key_ops", json!([]), KeyProblem::Operations),
            ("key_ops", json!(["encrypt"]), KeyProblem::Operations),
        ] {
            assert_eq!(signing_problem(&with(signing.clone(), member, value.clone())), problem, "{member}");
            assert_eq!(verifying_problem(&with(verifying.clone(), member, value)), problem, "{member}");
        }
        assert_eq!(verifying_problem(&with(verifying, "key_ops", json!(["sign"]))), KeyProblem::Operations);
        assert_eq!(signing_problem(&with(signing.clone(), "key_ops", json!(["verify"]))), KeyProblem::Operations);
        // A key for signing alone still has a verifying half.
        let ring = SigningKeys::parse(&with(signing, "key_ops", json!(["sign"])).to_string()).unwrap();
        VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap();
    }
}

#[test]
fn refuses_an_algorithm_of_another_type_of_key() {
    for algorithm in Algorithm::ALL {
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            let alg = json!(other.name());
            assert_eq!(signing_problem(&with(private(algorithm), "alg", alg.clone())), KeyProblem::Type);
            assert_eq!(verifying_problem(&with(public(algorithm), "alg", alg)), KeyProblem::Type);
        }
    }
}

#[test]
fn refuses_weak_or_damaged_secrets() {
    let good = private(Algorithm::Hs256);
    for (value, problem) in [
        (Value::Null, KeyProblem::Material),
        (json!("not base64!"), KeyProblem::Material),
        (json!(""), KeyProblem::ShortSecret),
        (json!(jwk::encode(&[7; 31])), KeyProblem::ShortSecret),
    ] {
        let bad = with(good.clone(), "k", value);
        assert_eq!(signing_problem(&bad), problem);
        assert_eq!(verifying_problem(&bad), problem);
    }
    let bytes: Vec<u8> = (0..32).collect();
    SigningKeys::parse(&with(good, "k", json!(jwk::encode(&bytes))).to_string()).unwrap();
}

#[test]
fn refuses_secrets_that_are_text_or_repeat_themselves() {
    let good = private(Algorithm::Hs256);
    let repeated = |different: u8| (0..different).cycle().take(48).collect::<Vec<u8>>();
    for (secret, problem) in [
        // jwt.io's, FastAPI's and the like; a line break at the end, and a table of them.
        (b"a-string-secret-at-least-256-bits-long".to_vec(), KeyProblem::TextSecret),
        (b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7".to_vec(), KeyProblem::TextSecret),
        (b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7\n".to_vec(), KeyProblem::TextSecret),
        (b"correct horse\tbattery staple\r\n ~~~".to_vec(), KeyProblem::TextSecret),
        (vec![b'x'; 64], KeyProblem::TextSecret),
        (vec![0; 32], KeyProblem::RepetitiveSecret),
        (vec![7; 4096], KeyProblem::RepetitiveSecret),
        (repeated(15), KeyProblem::RepetitiveSecret),
    ] {
        let bad = with(good.clone(), "k", json!(jwk::encode(&secret)));
        assert_eq!(signing_problem(&bad), problem);
        assert_eq!(verifying_problem(&bad), problem);
        let message = problem.to_string();
        assert!(message.ends_with(r"openssl rand -base64 32 | tr '+/' '-_' | tr -d '=\n'"), "{message}");
    }
    let text_but_for_one_byte = [b"a-string-secret-at-least-256-bits-long".as_slice(), &[0x7F]].concat();
    for secret in [repeated(16), text_but_for_one_byte] {
        SigningKeys::parse(&with(good.clone(), "k", json!(jwk::encode(&secret))).to_string()).unwrap();
    }
}

#[test]
fn refuses_other_curves() {
    for (algorithm, curves) in [
        (Algorithm::Es256, ["P-384", "P-521", "secp256k1", "p-256", "Ed25519"]),
        (Algorithm::EdDsa, ["Ed448", "X25519", "X448", "ed25519", "P-256"]),
    ] {
        for curve in curves {
            assert_eq!(signing_problem(&with(private(algorithm), "crv", json!(curve))), KeyProblem::Curve);
            assert_eq!(verifying_problem(&with(public(algorithm), "crv", json!(curve))), KeyProblem::Curve);
        }
        assert_eq!(signing_problem(&with(private(algorithm), "crv", Value::Null)), KeyProblem::Curve);
    }
}

#[test]
fn refuses_points_off_the_curve_and_halves_that_do_not_match() {
    let (good, other) = (private(Algorithm::Es256), private(Algorithm::Es256));
    assert_eq!(signing_problem(&with(good.clone(), "x", other["x"].clone())), KeyProblem::Curve);
    assert_eq!(signing_problem(&with(good.clone(), "y", json!("AA"))), KeyProblem::Material);
    assert_eq!(signing_problem(&with(good.clone(), "d", other["d"].clone())), KeyProblem::Mismatch);
    assert_eq!(verifying_problem(&with(public(Algorithm::Es256), "x", other["x"].clone())), KeyProblem::Curve);

    let (good, other) = (private(Algorithm::EdDsa), private(Algorithm::EdDsa));
    assert_eq!(signing_problem(&with(good.clone(), "d", other["d"].clone())), KeyProblem::Mismatch);
    assert_eq!(signing_problem(&with(good.clone(), "x", other["x"].clone())), KeyProblem::Mismatch);
    for length in [0, 31, 33, 57] {
        let wrong = json!(jwk::encode(&vec![3; length]));
        assert_eq!(signing_problem(&with(good.clone(), "d", wrong.clone())), KeyProblem::Material);
        assert_eq!(verifying_problem(&with(public(Algorithm::EdDsa), "x", wrong)), KeyProblem::Material);
    }
    let zero = json!(jwk::encode(&[0; 32]));
    assert_eq!(verifying_problem(&with(public(Algorithm::EdDsa), "x", zero)), KeyProblem::SmallOrder);

    for algorithm in ASYMMETRIC {
        assert_eq!(signing_problem(&public(algorithm)), KeyProblem::Public);
    }
}

#[test]
fn refuses_one_kid_for_two_keys_and_names_it() {
    let secret = private(Algorithm::Hs256);
    let set = json!({ "keys": [secret, secret] }).to_string();
    for error in [SigningKeys::parse(&set).unwrap_err(), VerifyingKeys::parse(&set).unwrap_err()] {
        let RingError::Key { position: 2, kid, problem: KeyProblem::Repeated } = error else { panic!("{error}") };
        assert_eq!(kid, secret["kid"]);
    }
}

#[test]
fn an_inserted_key_is_found_until_the_earlier_of_its_ends() {
    let (one, two) = (public(Algorithm::Es256), public(Algorithm::EdDsa));
    let (kid, later) = (one["kid"].as_str().unwrap(), NOW.after(DAY));
    for (exp, expires) in [(Some(NOW), None), (None, Some(NOW)), (Some(NOW), Some(later)), (Some(later), Some(NOW))] {
        let jwk = with(one.clone(), "exp", exp.map_or(Value::Null, |exp| json!(exp)));
        let mut ring = VerifyingKeys::default();
        ring.insert(&jwk.to_string(), expires).unwrap();
        assert!(ring.find(kid, Timestamp(NOW.0 - 1)).is_some());
        assert!(ring.find(kid, NOW).is_none());
        assert!(!ring.is_empty() && ring.len() == 1);
    }
    let mut ring = VerifyingKeys::parse(&with(one.clone(), "exp", json!(NOW)).to_string()).unwrap();
    assert!(ring.find(kid, Timestamp(NOW.0 - 1)).is_some() && ring.find(kid, NOW).is_none());
    // An end that has come doesn't make room for another key of the same name.
    let other = with(two.clone(), "kid", json!(kid)).to_string();
    assert!(matches!(ring.insert(&other, None), Err(RingError::Key { problem: KeyProblem::Repeated, .. })));
    ring.insert(&two.to_string(), None).unwrap();
    assert_eq!(ring.len(), 2);
    assert!(ring.find(two["kid"].as_str().unwrap(), Timestamp(u64::MAX)).is_some());
}

#[test]
fn a_secret_is_no_public_key() {
    let secret = private(Algorithm::Hs256).to_string();
    let refused = VerifyingKeys::default().insert(&secret, None);
    assert!(matches!(refused, Err(RingError::Key { problem: KeyProblem::Private, .. })));
}

#[test]
fn a_verifier_takes_only_the_secrets_of_a_private_ring() {
    let secret = with(with(private(Algorithm::Hs256), "exp", json!(NOW)), "key_ops", json!(["sign"]));
    let (dropped, point) = (private(Algorithm::Hs256), private(Algorithm::Es256));
    let ring = SigningKeys::parse(&json!({ "keys": [point, secret, dropped] }).to_string()).unwrap();
    let mut verifying = VerifyingKeys::default();
    verifying.insert_secrets(&ring, |kid| dropped["kid"] == kid);
    assert_eq!(verifying.len(), 1);
    let kid = secret["kid"].as_str().unwrap();
    assert_eq!(verifying.find(kid, Timestamp(NOW.0 - 1)).unwrap().algorithm(), Algorithm::Hs256);
    assert!(verifying.find(kid, NOW).is_none());

    let mut verifying = VerifyingKeys::default();
    verifying.insert(&with(public(Algorithm::Es256), "kid", json!(kid)).to_string(), None).unwrap();
    verifying.insert_secrets(&ring, |_| false);
    assert_eq!(verifying.find(kid, Timestamp(0)).unwrap().algorithm(), Algorithm::Hs256);
}

#[test]
fn neither_keys_nor_errors_print_private_members() {
    for algorithm in Algorithm::ALL {
        let jwk = private(algorithm);
        let ring = SigningKeys::parse(&jwk.to_string()).unwrap();
        let bad = with(jwk.clone(), "use", json!("enc")).to_string();
        let texts = [
            format!("{ring:?} {:?}", ring.newest()),
            format!("{:?}", VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap()),
            format!("{:?}", SigningKeys::parse(&bad).unwrap_err()),
            format!("{:?}", VerifyingKeys::parse(&jwk.to_string())),
        ];
        for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            if let Some(value) = jwk.get(member).and_then(Value::as_str) {
                assert!(texts.iter().all(|text| !text.contains(value)), "{algorithm} {member}");
                let form = json!({ "kty": { member: value } }).to_string();
                assert!(!format!("{:?}", SigningKeys::parse(&form).unwrap_err()).contains(value));
            }
        }
    }
}

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

fn retention(signs_from: Timestamp, verifies_until: Timestamp) -> Retention {
    Retention { signs_from, verifies_until, sessions: 90 * DAY }
}

#[test]
fn a_rotation_puts_the_new_key_first_and_gives_others_an_end() {
    let mut old = json!({ "keys": [private(Algorithm::EdDsa), private(Algorithm::Rs256), private(Algorithm::Hs256)] });
    old["keys"][1]["exp"] = json!(NOW.after(HOUR));
    old["keys"][2]["exp"] = json!(NOW);
    let old = SigningKeys::parse(&old.to_string()).unwrap();
    let before = old.to_private_jwks();
    let (from, until) = (NOW.after(HOUR), NOW.after(DAY));
    let new = old.rotated(Algorithm::Es256, NOW, &retention(from, until), &|_| KeyStatus::Kept, &mut rng()).unwrap();

    let first = new.newest().unwrap();
    assert_eq!(first.algorithm(), Algorithm::Es256);
    assert_eq!((first.made(), first.signs_from(), first.verifies_until()), (Some(NOW), from, None));
    // The one whose end has come is gone; the one that had an end keeps it.
    assert_eq!(ids(&new)[1..], ids(&old)[..2]);
    let ends: Vec<_> = new.keys().map(SigningKey::verifies_until).collect();
    assert_eq!(ends, [None, Some(until), Some(NOW.after(HOUR))]);
    assert_eq!(new.signing(NOW).unwrap().id(), ids(&old)[0]);
    assert_eq!(new.signing(from).unwrap().id(), first.id());
    // The old ring stays as it was, and the new one reads back with all its times.
    assert_eq!(*old.to_private_jwks(), *before);
    let again = SigningKeys::parse(&new.to_private_jwks()).unwrap();
    assert_eq!(*again.to_private_jwks(), *new.to_private_jwks());
    let verifying = VerifyingKeys::parse(&new.to_verifying_jwks()).unwrap();
    assert!(verifying.find(ids(&old)[0], Timestamp(until.0 - 1)).is_some());
    assert!(verifying.find(ids(&old)[0], until).is_none());
    assert!(verifying.find(first.id(), until).is_some());
}

#[test]
fn where_no_other_key_signs_the_new_one_does_not_wait() {
    let (from, until) = (NOW.after(HOUR), NOW.after(DAY));
    let rotate = |ring: &SigningKeys, fate: KeyStatus| {
        let new = ring.rotated(Algorithm::EdDsa, NOW, &retention(from, until), &|_| fate, &mut rng()).unwrap();
        new.newest().unwrap().signs_from()
    };
    assert_eq!(rotate(&SigningKeys::parse(r#"{"keys":[]}"#).unwrap(), KeyStatus::Kept), NOW);
    let ring = ring(Algorithm::Es256, NOW);
    assert_eq!(rotate(&ring, KeyStatus::Kept), from);
    assert_eq!(rotate(&ring, KeyStatus::Unpublished), NOW);
    let timed =
        |member, time| SigningKeys::parse(&with(private(Algorithm::Es256), member, json!(time)).to_string()).unwrap();
    assert_eq!(rotate(&timed("exp", NOW), KeyStatus::Kept), NOW);
    assert_eq!(rotate(&timed("nbf", NOW.after(HOUR / 2)), KeyStatus::Kept), NOW);
    // Nor does it leave a gap where the last of the others ends before its time.
    assert_eq!(rotate(&timed("exp", NOW.after(HOUR / 2)), KeyStatus::Kept), NOW.after(HOUR / 2));
    assert_eq!(rotate(&timed("exp", NOW.after(HOUR)), KeyStatus::Kept), from);
}

#[test]
fn a_dropped_key_is_gone() {
    let ring = ring(Algorithm::Hs256, NOW).rotated_for_test().rotated_for_test();
    let bad = ids(&ring)[1].to_owned();
    for (fate, refreshes) in [(KeyStatus::Retired, false), (KeyStatus::Unpublished, true)] {
        let fate_of = |kid: &str| if kid == bad { fate } else { KeyStatus::Kept };
        let new = ring.rotated(Algorithm::Hs256, NOW, &retention(NOW, NOW.after(DAY)), &fate_of, &mut rng()).unwrap();
        assert_eq!(ids(&new)[1..], [ids(&ring)[0], ids(&ring)[2]]);
        assert_eq!(new.refresh_keys().any(|key| key.id() == bad), refreshes);
    }
}

#[test]
fn a_refresh_key_outlives_its_signing_key_by_a_session() {
    for algorithm in Algorithm::ALL {
        let first = ring(algorithm, NOW);
        let id = ids(&first)[0].to_owned();
        let code = first.newest().unwrap().refresh_key().code(b"message");
        let verifies = |ring: &SigningKeys| {
            let again = SigningKeys::parse(&ring.to_private_jwks()).unwrap();
            again.refresh_keys().any(|key| key.id() == id && key.is_code(b"message", &code))
        };
        let rotate = |ring: &SigningKeys, now: Timestamp| {
            ring.rotated(Algorithm::Es256, now, &retention(now, now.after(DAY)), &|_| KeyStatus::Kept, &mut rng())
                .unwrap()
        };
        let mut ring = rotate(&first, NOW);
        // Its own end is a day later, and the last session that began with it ends 90 days after that.
        for day in 1..=90 {
            ring = rotate(&ring, NOW.after(DAY * day));
            assert!(verifies(&ring), "day {day}");
            assert!(!ids(&ring).contains(&id.as_str()));
            // Nothing is left that could sign or verify an access token.
            let verifying = VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap();
            assert!(verifying.find(&id, NOW).is_none());
            let mut secrets = VerifyingKeys::default();
            secrets.insert_secrets(&ring, |_| false);
            assert!(secrets.find(&id, NOW).is_none());
        }
        // At a rotation a day, this is as large as a ring gets. A secret holds 64 KiB.
        assert!(ring.to_private_jwks().len() < 20_000, "{}", ring.to_private_jwks().len());
        ring = rotate(&ring, NOW.after(DAY * 91));
        assert!(!verifies(&ring));
    }
}

#[test]
fn refresh_keys_differ_and_none_is_its_signing_keys_secret() {
    let (one, other) = (ring(Algorithm::Hs256, NOW), ring(Algorithm::Hs256, NOW));
    let code = |ring: &SigningKeys| ring.newest().unwrap().refresh_key().code(b"message");
    assert_ne!(code(&one), code(&other));
    let jwk: Value = serde_json::from_str(&one.to_private_jwks()).unwrap();
    let secret = URL_SAFE_NO_PAD.decode(jwk["keys"][0]["k"].as_str().unwrap()).unwrap();
    let plain = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret), b"message");
    assert_ne!(plain.as_ref(), code(&one));
}

#[test]
fn a_damaged_refresh_key_is_an_error() {
    let good = json!({ "kty": "oct", "kid": "old", "k": "A".repeat(43), "exp": 1 });
    let ring = |key: &Value| SigningKeys::parse(&json!({ "keys": [], "refresh_keys": [key] }).to_string());
    assert_eq!(ring(&good).unwrap().refresh_keys().count(), 1);
    assert_eq!(ring(&with(good.clone(), "k", json!("AA"))).unwrap_err(), RingError::Refresh(KeyProblem::Material));
    assert_eq!(ring(&with(good.clone(), "kty", json!("EC"))).unwrap_err(), RingError::Refresh(KeyProblem::Type));
    for member in ["kty", "kid", "k", "exp"] {
        assert!(matches!(ring(&with(good.clone(), member, Value::Null)), Err(RingError::Form { .. })), "{member}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Time goes on in small steps; now and then the ring rotates, with whatever head start.
    #[test]
    fn rotations_always_leave_a_signer_and_every_tokens_key(
        steps in prop::collection::vec((1u64..40, prop::option::weighted(0.3, 0u64..60)), 1..60),
        lifetime in 1u64..100,
    ) {
        let mut now = NOW;
        let mut ring = SigningKeys::parse(r#"{"keys":[]}"#).unwrap();
        // The keys that have signed, and when their last token expires.
        let mut needed: HashMap<String, Timestamp> = HashMap::new();
        for (step, rotation) in steps {
            if let Some(head_start) = rotation.or_else(|| ring.newest().is_none().then_some(0)) {
                let from = Timestamp(now.0 + head_start);
                let until = Timestamp(from.0 + lifetime);
                let before: Vec<String> = ids(&ring).into_iter().map(str::to_owned).collect();
                let rotated = ring.rotated(Algorithm::Hs256, now, &retention(from, until), &|_| KeyStatus::Kept, &mut rng()).unwrap();
                // Newest first: the new key, then those that were there, in their order.
                prop_assert!(!before.iter().any(|id| id == rotated.newest().unwrap().id()));
                let kept: Vec<_> = before.iter().filter(|id| ids(&rotated).contains(&id.as_str())).collect();
                prop_assert!(kept.iter().map(|id| id.as_str()).eq(ids(&rotated).into_iter().skip(1)));
                // No key is lost before its end, and none stays after it.
                for key in ring.keys() {
                    let over = key.verifies_until().is_some_and(|end| end <= now);
                    prop_assert_eq!(ids(&rotated).contains(&key.id()), !over);
                }
                ring = rotated;
            }
            let verifying = VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap();
            for second in now.0..now.0 + step {
                let second = Timestamp(second);
                // Exactly the newest active key signs.
                let active: Vec<_> = ring
                    .keys()
                    .filter(|key| key.signs_from() <= second && key.verifies_until().is_none_or(|end| second < end))
                    .collect();
                let signer = ring.signing(second).unwrap();
                prop_assert_eq!(signer.id(), active[0].id());
                needed.insert(signer.id().to_owned(), Timestamp(second.0 + lifetime));
                // Every token so far verifies until it expires.
                for (id, expires) in &needed {
                    prop_assert!(second >= *expires || verifying.find(id, second).is_some());
                }
            }
            now = Timestamp(now.0 + step);
        }
    }
}
