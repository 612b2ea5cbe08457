//! Other kinds of tokens in the place of an access token, and access tokens of another place.

use serde_json::{Value, json};
use shared::{
    access_token::Refusal,
    issuer::Issuer,
    key::{Algorithm, SigningKeys},
    refresh_token::{self, RefreshToken},
    session::SessionId,
    username::Username,
};

use crate::forge::{
    AUDIENCE, Decision, Gate, NOW, all, assert_accepted, assert_refused, bearer, claims, encode, http, ours, rest,
    ring, verify, with, without,
};

#[test]
fn a_token_of_another_type_is_refused() {
    for forger in all() {
        for typ in [
            "JWT",
            "jwt",
            "",
            "JOSE",
            "JOSE+JSON",
            "id+jwt",
            "ID",
            "Bearer",
            "rt+jwt",
            "refresh+jwt",
            "logout+jwt",
            "dpop+jwt",
            "secevent+jwt",
            "client-authentication+jwt",
            "oauth-authz-req+jwt",
            "token-introspection+jwt",
            "vc+sd-jwt",
            "application/jwt",
            "at",
            "jwt+at",
        ] {
            assert_refused(&forger.token_under(&with(forger.header(), "typ", json!(typ))), Refusal::Type, typ);
        }
        assert_accepted(&forger.token_under(&with(forger.header(), "typ", json!("application/at+jwt"))), "in full");
    }
}

#[test]
fn an_id_token_is_no_access_token() {
    for forger in all() {
        let id_claims = json!({
            "iss": claims()["iss"], "sub": "johndoe", "aud": "web", "exp": NOW.0 + 600, "iat": NOW.0, "nonce": "n",
            "auth_time": NOW.0, "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng",
        });
        for typ in ["JWT", "id+jwt"] {
            let token = forger.sign(&with(forger.header(), "typ", json!(typ)), &id_claims);
            assert_refused(&token, Refusal::Type, "an ID token");
        }
        assert_refused(&forger.sign(&without(forger.header(), "typ"), &id_claims), Refusal::Header, "without typ");
        // Even under our type: it is for the client, and of no session.
        assert_refused(&forger.token_of(&id_claims), Refusal::Claims, "no session");
        let with_session = with(id_claims, "sid", claims()["sid"].clone());
        assert_refused(&forger.token_of(&with_session), Refusal::Audience, "for the client");
    }
}

fn private_ring() -> SigningKeys {
    SigningKeys::parse(include_str!("../vectors/ring.json")).unwrap()
}

#[test]
fn a_refresh_token_is_no_access_token() {
    let keys = private_ring();
    for key in keys.keys() {
        let (username, session) =
            (Username::parse("johndoe").unwrap(), SessionId::parse(claims()["sid"].as_str().unwrap()));
        let token = RefreshToken::issue(&username, &session.unwrap(), 0, key.refresh_key());
        assert_refused(token.expose(), Refusal::Form, "a refresh token");
        // Nor is it one as the parts of one, or in the place of the signature.
        let forger = ours(key.algorithm());
        let good = forger.token();
        let (message, _) = good.rsplit_once('.').unwrap();
        assert!(verify(&format!("{message}.{}", token.expose())).is_err());
        assert_refused(&forger.sign_text(forger.header().to_string(), token.expose()), Refusal::Claims, "inside");
    }
}

#[test]
fn an_access_token_is_no_refresh_token() {
    let keys = private_ring();
    for forger in all() {
        let token = forger.token();
        assert_eq!(refresh_token::verify(&token, &keys).unwrap_err(), refresh_token::Refusal::Form);
        for part in token.split('.') {
            assert!(refresh_token::verify(part, &keys).is_err(), "{part}");
        }
        // The secret of HS256 makes no code of a refresh token: that has a key of its own.
        let message = [&[1][..], b"johndoe", &[0; 16], &[0; 8]].concat();
        let forged = encode([message.as_slice(), &forger.signature(&message)].concat());
        assert!(refresh_token::verify(&forged, &keys).is_err());
    }
}

#[test]
fn a_token_of_another_issuer_or_audience_is_refused() {
    for forger in all() {
        for iss in ["https://other.example/prod", "https://api.example.com/dev", "https://accounts.google.com"] {
            assert_refused(&forger.token_of(&with(claims(), "iss", json!(iss))), Refusal::Issuer, iss);
        }
        for aud in ["another", "web", "https://api.example.com/prod"] {
            assert_refused(&forger.token_of(&with(claims(), "aud", json!(aud))), Refusal::Audience, aud);
        }
        for lists in
            [json!([AUDIENCE]), json!([AUDIENCE, "another"]), json!([]), json!({ AUDIENCE: true }), Value::Null]
        {
            assert_refused(&forger.token_of(&with(claims(), "aud", lists)), Refusal::Claims, "no single text");
        }
    }
}

#[test]
fn a_token_of_one_stage_or_api_is_refused_at_another() {
    let gate = Gate::new(Issuer::OfRequest, AUDIENCE);
    for forger in all() {
        let token = forger.token();
        for event in [rest(&bearer(&token)), http(&bearer(&token))] {
            assert_eq!(gate.decide(&event.to_string()), Decision::Allowed);
            for (domain, stage) in [
                ("api.example.com", "dev"),
                ("api.example.com", "PROD"),
                ("api.example.com", "$default"),
                ("other.example.com", "prod"),
                ("api.example.com/prod", ""),
            ] {
                let mut other = event.clone();
                other["requestContext"]["domainName"] = json!(domain);
                other["requestContext"]["stage"] = json!(stage);
                let expected = if stage.is_empty() { Decision::Allowed } else { Decision::Refused };
                assert_eq!(gate.decide(&other.to_string()), expected, "{domain} {stage}");
            }
            // A client says nothing of it: `Host` and what proxies add don't count.
            let mut spoofed = event.clone();
            spoofed["requestContext"]["stage"] = json!("dev");
            for name in ["Host", "X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded"] {
                spoofed["headers"][name] = json!("api.example.com/prod");
            }
            assert_eq!(gate.decide(&spoofed.to_string()), Decision::Refused);
        }
    }
}

#[test]
fn a_setting_of_another_audience_refuses_our_token() {
    let gate = Gate::new(Issuer::Fixed(crate::forge::ISSUER.to_owned()), "another");
    for forger in all() {
        assert_eq!(gate.decide(&rest(&bearer(&forger.token())).to_string()), Decision::Refused);
    }
    assert!(ring().contains("\"es\"") && ours(Algorithm::Es256).kid == "es");
}
