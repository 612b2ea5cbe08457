//! The access token that login issues, as another program sees it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use shared::key::Algorithm;

use crate::api::{AUDIENCE, Api, PASSWORD, Setup, now};

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub fn header(token: &str) -> Value {
    part(token, 0)
}

pub fn claims(token: &str) -> Value {
    part(token, 1)
}

#[tokio::test]
async fn has_the_shape_of_rfc_9068() {
    let api = Api::start().await;
    let before = now().0;
    let token =
        api.login(&[("username", "johndoe"), ("password", PASSWORD), ("client_id", "web")]).await.access_token();
    let after = now().0;
    assert_eq!(part(&token, 0), json!({ "alg": "ES256", "kid": api.keys.newest().unwrap().id(), "typ": "at+jwt" }));
    let claims = claims(&token);
    let issued_at = claims["iat"].as_u64().unwrap();
    assert!((before..=after).contains(&issued_at));
    assert_eq!(claims["nbf"], issued_at);
    assert_eq!(claims["exp"], issued_at + 1800);
    assert_eq!(claims["iss"], api.stack.url());
    assert_eq!(claims["sub"], "johndoe");
    assert_eq!(claims["aud"], AUDIENCE);
    assert_eq!(claims["client_id"], "web");
    assert_eq!(claims["scope"], "read write");
    assert_eq!(claims["sid"].as_str().unwrap().len(), 22);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    assert_eq!(claims.as_object().unwrap().len(), 10);
}

#[tokio::test]
async fn verifies_by_the_ring_alone_in_both_algorithms() {
    for algorithm in [Algorithm::Es256, Algorithm::Hs256] {
        let api = Api::with(Setup { algorithm, ..Setup::default() }).await;
        let token = api.token().await;
        let ring: JwkSet = serde_json::from_str(&api.keys.to_verifying_jwks()).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let key = DecodingKey::from_jwk(ring.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[api.stack.url()]);
        jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 200);
    }
}

#[tokio::test]
async fn lifetime_issuer_and_audience_are_settings() {
    let api = Api::with(Setup {
        parameters: vec![("AccessTokenLifetime", "60"), ("Issuer", "https://id.example.com"), ("Audience", "notes")],
        ..Setup::default()
    })
    .await;
    let answer = api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await;
    assert_eq!(answer.json()["expires_in"], 60);
    let token = answer.access_token();
    let claims = claims(&token);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some("https://id.example.com"), Some("notes")));
    assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 200);
}

#[tokio::test]
async fn without_the_setting_the_issuer_is_the_address_of_the_request() {
    let empty = || String::new();
    let api = Api::with(Setup {
        environment: vec![("login", "ISSUER", empty()), ("authorizer", "ISSUER", empty())],
        ..Setup::default()
    })
    .await;
    let token = api.token().await;
    let issuer = claims(&token)["iss"].as_str().unwrap().to_owned();
    let host = api.stack.url().strip_prefix("http://").unwrap();
    assert!(issuer.starts_with(&format!("https://{host}/")), "{issuer}");
    assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 200);
}
