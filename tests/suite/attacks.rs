//! Attacks on access tokens, over HTTP against the real authorizer: one of each kind. All of them are in
//! `tests/attacks`, in the process.

#[path = "../attacks/forge.rs"]
#[expect(dead_code, reason = "here are fewer attacks than there")]
mod forge;

use std::{io::ErrorKind, net::TcpListener};

use serde_json::{Value, json};
use shared::key::Algorithm;

use crate::api::{AUDIENCE, Api, FORM, Setup, form, now};
use forge::{Forger, all, asymmetric, encode, hmac256, ours, with, without};

/// A stack whose authorizer has the forgers' keys, and the claims of a token that it takes.
async fn api() -> (Api, Value) {
    let api = Api::with(Setup {
        environment: vec![("authorizer", "VERIFYING_KEYS", forge::ring())],
        parameters: vec![("LiveRevocation", "off")],
        ..Setup::default()
    })
    .await;
    let claims = json!({
        "iss": api.stack.url(), "sub": "johndoe", "aud": AUDIENCE, "iat": now().0, "nbf": now().0,
        "exp": now().0 + 1800, "sid": "AAAAAAAAAAAAAAAAAAAAAA", "client_id": "web", "scope": "read write",
    });
    (api, claims)
}

async fn status(api: &Api, token: &str) -> u16 {
    api.keep_secret(token);
    let answer = api.protected(&format!("Bearer {token}")).await;
    if answer.status == 401 {
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    answer.status
}

#[tokio::test]
async fn forged_tokens_of_each_kind_are_refused() {
    let (api, claims) = api().await;
    for forger in all() {
        let (good, stranger) = (forger.token_of(&claims), Forger::stranger(forger.algorithm));
        assert_eq!(status(&api, &good).await, 200, "{}", forger.kid);
        let header = forger.header();
        let (message, signature) = good.rsplit_once('.').unwrap();
        let unsigned = forger.sign(&with(header.clone(), "alg", json!("nOnE")), &claims);
        let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
        for (why, token) in [
            ("none", format!("{unsigned}.")),
            ("blank", format!("{message}.")),
            ("zeroes", format!("{message}.{}", encode(vec![0; forge::decode(signature).len()]))),
            ("another's key", stranger.token_of(&claims)),
            ("an embedded key", stranger.sign(&with(header.clone(), "jwk", stranger.public.clone()), &claims)),
            ("kid", forger.sign(&with(header.clone(), "kid", json!("../../../dev/null")), &claims)),
            ("kid with NUL", forger.sign(&with(header.clone(), "kid", json!("\0")), &claims)),
            ("no kid", forger.sign(&without(header.clone(), "kid"), &claims)),
            ("typ", forger.sign(&with(header.clone(), "typ", json!("JWT")), &claims)),
            ("crit", forger.sign(&with(header.clone(), "crit", json!(["b64"])), &claims)),
            ("iss", forger.token_of(&with(claims.clone(), "iss", json!("https://attacker.example")))),
            ("aud", forger.token_of(&with(claims.clone(), "aud", json!("another")))),
            ("aud as a list", forger.token_of(&with(claims.clone(), "aud", json!([AUDIENCE])))),
            ("sub", forger.token_of(&with(claims.clone(), "sub", json!("jоhndoe")))),
            ("exp", forger.token_of(&with(claims.clone(), "exp", json!(now().0 - 1)))),
            ("exp as a text", forger.token_of(&with(claims.clone(), "exp", json!("9999999999")))),
            ("nbf", forger.token_of(&with(claims.clone(), "nbf", json!(now().0 + 600)))),
            ("padding", format!("{good}=")),
            ("two parts", message.to_owned()),
            ("five parts", format!("{good}.{good}")),
            ("nested", forger.sign_text(header.to_string(), &good)),
            ("long", forger.token_of(&with(claims.clone(), "padding", json!("x".repeat(4096))))),
        ] {
            assert_eq!(status(&api, &token).await, 401, "{why} {}", forger.kid);
        }
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret_and_nobodys_address_is_called() {
    let (api, claims) = api().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    for forger in asymmetric() {
        for secret in [forger.public.to_string(), json!({ "keys": [forger.public] }).to_string(), String::new()] {
            let header = with(forger.header(), "alg", json!("HS256")).to_string();
            let message = format!("{}.{}", encode(header), encode(claims.to_string()));
            let token = format!("{message}.{}", encode(hmac256(secret.as_bytes(), message.as_bytes())));
            assert_eq!(status(&api, &token).await, 401, "{secret}");
        }
        let stranger = Forger::stranger(forger.algorithm);
        for member in ["jku", "x5u", "kid"] {
            let header = with(stranger.header(), member, json!(address));
            assert_eq!(status(&api, &stranger.sign(&header, &claims)).await, 401, "{member}");
        }
        let pointing = with(with(forger.header(), "jku", json!(address)), "x5u", json!(address));
        assert_eq!(status(&api, &forger.sign(&pointing, &claims)).await, 200);
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn two_credentials_are_refused() {
    let (api, claims) = api().await;
    let [one, other] = [Algorithm::Es256, Algorithm::Rs256].map(|algorithm| ours(algorithm).token_of(&claims));
    api.keep_secret(&one);
    api.keep_secret(&other);
    let (a, b) = (format!("Bearer {one}"), format!("Bearer {other}"));
    for headers in [
        vec![("Authorization", a.as_str()), ("Authorization", b.as_str())],
        vec![("Authorization", a.as_str()), ("Authorization", a.as_str())],
        vec![("Authorization", &format!("{a}, {b}"))],
        vec![("Authorization", &format!("{a},{a}"))],
        vec![("Authorization", a.as_str()), ("Cookie", &format!("__Host-access_token={other}"))],
        vec![("Cookie", &format!("__Host-access_token={one}; __Host-access_token={one}"))],
    ] {
        assert_eq!(api.get("/protected", &headers).await.status, 401, "{headers:?}");
    }
    assert_eq!(api.get("/protected", &[("Authorization", &a)]).await.status, 200);
}

#[tokio::test]
async fn an_access_token_is_no_refresh_token_and_the_other_way_round() {
    let api = Api::start().await;
    let answer = api.sign_in().await;
    let (access, refresh) = (answer.access_token(), answer.refresh_token());
    assert_eq!(status(&api, &refresh).await, 401);
    api.refresh(&access).await.error(400, "invalid_grant");
    for token in [format!("{access}."), access.split('.').nth(1).unwrap().to_owned(), format!("{refresh}=")] {
        api.refresh(&token).await.error(400, "invalid_grant");
        assert_eq!(status(&api, &token).await, 401);
    }
    // Each where it belongs.
    assert_eq!(status(&api, &access).await, 200);
    assert_eq!(api.refresh(&refresh).await.status, 200);
    // And a body that has both gets nothing of either.
    let body = form(&[("grant_type", "refresh_token"), ("refresh_token", &access), ("refresh_token", &refresh)]);
    let answer = api.send(reqwest::Method::POST, "/login", &[("Content-Type", FORM)], body).await;
    assert_eq!(answer.error(400, "invalid_request"), "refresh_token is repeated");
}
