//! RFC 9068, "JWT Profile for OAuth 2.0 Access Tokens": a test for each rule that concerns who issues or verifies.

use std::time::Duration;

use serde_json::{Value, json};
use shared::{
    access_token::{self, Grant, Refusal},
    key::{Algorithm, SigningKeys},
    scope::Scopes,
    session::SessionId,
    username::Username,
};

use crate::forge::{
    AUDIENCE, Decision, Forger, ISSUER, NOW, all, assert_accepted, assert_refused, claims, decide, decode, randomness,
    verify, with, without,
};

/// Header and claims of a token that login would issue, for each algorithm.
fn issued(scopes: &str) -> Vec<(Algorithm, String, Value, Value)> {
    let keys = SigningKeys::parse(include_str!("../vectors/ring.json")).unwrap();
    let tokens = keys.keys().map(|key| {
        let grant = Grant {
            issuer: ISSUER,
            audience: AUDIENCE,
            subject: &Username::parse("johndoe").unwrap(),
            client_id: "web",
            scopes: &Scopes::parse(scopes).unwrap(),
            session: &SessionId::generate(&mut randomness()),
            lifetime: Duration::from_mins(30),
        };
        let token = access_token::issue(&grant, key, NOW, &mut randomness()).unwrap().expose().to_owned();
        let part = |at: usize| serde_json::from_slice(&decode(token.split('.').nth(at).unwrap())).unwrap();
        let (header, claims) = (part(0), part(1));
        (key.algorithm(), token, header, claims)
    });
    tokens.collect()
}

#[test]
fn section_2_1_the_header_says_at_jwt_and_a_real_algorithm() {
    for (algorithm, token, header, _) in issued("read") {
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!(header["alg"], algorithm.name());
        assert_ne!(token.rsplit_once('.').unwrap().1, "");
        assert_accepted(&token, "as issued");
    }
    // RS256 is the one that everyone has to know.
    assert!(Algorithm::ALL.contains(&Algorithm::Rs256));
}

#[test]
fn section_2_2_an_issued_token_has_every_required_claim() {
    for (_, _, _, claims) in issued("read") {
        for claim in ["iss", "sub", "aud", "client_id", "jti"] {
            assert!(claims[claim].as_str().is_some_and(|text| !text.is_empty()), "{claim}");
        }
        for claim in ["exp", "iat"] {
            assert!(claims[claim].as_u64().is_some(), "{claim}");
        }
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(AUDIENCE)));
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("johndoe"), &json!("web")));
        assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(NOW.0), Some(NOW.0 + 1800)));
    }
    // Each token has a `jti` of its own.
    let names: std::collections::HashSet<String> =
        (0..50).flat_map(|_| issued("read")).map(|(_, _, _, claims)| claims["jti"].to_string()).collect();
    assert_eq!(names.len(), 50 * Algorithm::ALL.len());
}

#[test]
fn section_2_2_the_verifier_requires_what_it_decides_by() {
    for forger in all() {
        for claim in ["iss", "exp", "aud", "sub"] {
            assert_refused(&forger.token_of(&without(claims(), claim)), Refusal::Claims, claim);
        }
        // `client_id`, `iat` and `jti` are for others to read; section 4 asks nothing of them, and nothing here is
        // decided by them, but that a token is not of the future.
        for claim in ["client_id", "iat", "jti"] {
            assert_accepted(&forger.token_of(&without(claims(), claim)), claim);
        }
        assert_refused(&forger.token_of(&with(claims(), "iat", json!(NOW.0 + 60))), Refusal::IssuedLater, "iat");
    }
}

#[test]
fn section_2_2_1_and_2_2_2_no_claim_tells_of_sign_in_or_person() {
    // `auth_time`, `acr` and `amr` are optional; there is one way to sign in, and no client of ours asks which. Of a
    // person the token has the name of the account and no more: it travels, and isn't encrypted.
    for (_, _, _, claims) in issued("read write") {
        let mut names: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sid", "sub"]);
    }
    // Where they are there they change nothing.
    for forger in all() {
        for (claim, value) in
            [("auth_time", json!(0)), ("acr", json!("0")), ("amr", json!(["pwd"])), ("email", json!("a@b"))]
        {
            assert_accepted(&forger.token_of(&with(claims(), claim, value)), claim);
        }
    }
}

#[test]
fn section_2_2_3_scope_is_a_spaced_list_and_roles_are_no_scopes() {
    for (_, token, _, claims) in issued("write read") {
        assert_eq!(claims["scope"], "read write");
        assert_eq!(verify(&token).unwrap().scopes.to_string(), "read write");
    }
    for (_, token, _, claims) in issued("") {
        assert!(claims.get("scope").is_none());
        assert!(verify(&token).unwrap().scopes.is_empty());
    }
    for forger in all() {
        for claim in ["roles", "groups", "entitlements", "scopes", "scp", "permissions"] {
            let claims = with(without(claims(), "scope"), claim, json!(["users:write"]));
            assert!(verify(&forger.token_of(&claims)).unwrap().scopes.is_empty(), "{claim}");
        }
        for scope in [json!(["read", "write"]), json!({ "read": true }), json!(1), json!(true), Value::Null] {
            let why = scope.to_string();
            assert_refused(&forger.token_of(&with(claims(), "scope", scope)), Refusal::Claims, &why);
        }
    }
}

#[test]
fn section_3_a_token_is_for_one_audience() {
    // There is one resource here, the setting's, whatever a client asks for.
    for (_, _, _, claims) in issued("read") {
        assert_eq!(claims["aud"], AUDIENCE);
    }
}

#[test]
fn section_4_the_type_is_at_jwt_in_either_spelling_and_no_other() {
    for forger in all() {
        assert_accepted(&forger.token(), "at+jwt");
        assert_accepted(&forger.token_under(&with(forger.header(), "typ", json!("application/at+jwt"))), "in full");
        for typ in ["JWT", "", "id+jwt", "AT+JWT"] {
            assert_refused(&forger.token_under(&with(forger.header(), "typ", json!(typ))), Refusal::Type, typ);
        }
    }
}

#[test]
fn section_4_an_encrypted_token_is_refused() {
    let part = crate::forge::encode(json!({ "alg": "dir", "enc": "A256GCM", "typ": "at+jwt" }).to_string());
    assert_refused(&format!("{part}..aXY.Y2lwaGVy.dGFn"), Refusal::Form, "JWE");
}

#[test]
fn section_4_the_issuer_matches_exactly() {
    for forger in all() {
        for iss in ["https://api.example.com/prod/", "https://API.example.com/prod", "https://api.example.com"] {
            assert_refused(&forger.token_of(&with(claims(), "iss", json!(iss))), Refusal::Issuer, iss);
        }
    }
}

#[test]
fn section_4_the_audience_is_the_resource_server() {
    for forger in all() {
        for aud in ["another", "gatehouse/", ""] {
            assert_refused(&forger.token_of(&with(claims(), "aud", json!(aud))), Refusal::Audience, aud);
        }
        // The section would take a list that holds ours. We issue none.
        assert_refused(&forger.token_of(&with(claims(), "aud", json!([AUDIENCE, "x"]))), Refusal::Claims, "a list");
    }
}

#[test]
fn section_4_the_issuers_keys_decide_and_none_is_refused() {
    for forger in all() {
        let unsigned = forger.token_under(&with(forger.header(), "alg", json!("none")));
        let (message, _) = unsigned.rsplit_once('.').unwrap();
        assert_refused(&format!("{message}."), Refusal::Algorithm, "none");
        assert_refused(&Forger::stranger(forger.algorithm).token(), Refusal::Signature, "another's key");
    }
}

#[test]
fn section_4_the_time_is_before_exp() {
    for forger in all() {
        assert_accepted(&forger.token_of(&with(claims(), "exp", json!(NOW.0 + 1))), "a second left");
        for exp in [NOW.0, NOW.0 - 1, 0] {
            assert_refused(&forger.token_of(&with(claims(), "exp", json!(exp))), Refusal::Expired, "over");
        }
    }
}

#[test]
fn section_4_a_refusal_is_a_401_to_both_kinds_of_gateway() {
    // The challenge with `invalid_token` is the gateway's, in template.yaml.
    for forger in all() {
        assert_eq!(decide(&forger.token()), Decision::Allowed);
        assert_eq!(decide(&forger.token_of(&with(claims(), "exp", json!(0)))), Decision::Refused);
    }
}

#[test]
fn section_5_a_jwt_of_another_use_is_no_access_token() {
    for forger in all() {
        let id_token = json!({ "iss": ISSUER, "sub": "johndoe", "aud": "web", "exp": NOW.0 + 60, "iat": NOW.0 });
        let header = with(forger.header(), "typ", json!("JWT"));
        assert_refused(&forger.sign(&header, &id_token), Refusal::Type, "an ID token");
        assert_refused(&forger.token_of(&id_token), Refusal::Claims, "under our type");
    }
}

#[test]
fn section_5_a_client_cannot_choose_a_users_name() {
    // The section warns of clients whose identifier becomes `sub`. Here `sub` is always an account's, and a client's
    // name is in `client_id`, which nothing is decided by.
    for (_, token, _, claims) in issued("read") {
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("johndoe"), &json!("web")));
        assert_eq!(verify(&token).unwrap().subject.as_str(), "johndoe");
    }
}
