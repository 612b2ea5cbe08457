//! The authorizer, called with the events of both kinds of gateway.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use serde_json::{Value, json};
use shared::{
    access_token::{self, Grant},
    key::{Algorithm, SigningKeys},
    scope::Scopes,
    session::SessionId,
    time::Timestamp,
    username::Username,
};

use crate::api::{AUDIENCE, Api, Setup, now};

const ARN: &str = "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/protected";

pub fn rest(headers: &Value) -> Value {
    let lists: serde_json::Map<String, Value> =
        headers.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    json!({
        "type": "REQUEST", "methodArn": ARN, "resource": "/protected", "path": "/protected", "httpMethod": "GET",
        "headers": headers, "multiValueHeaders": lists, "queryStringParameters": {}, "pathParameters": {},
        "stageVariables": {}, "requestContext": { "domainName": "a.example", "stage": "prod", "apiId": "abc123" },
    })
}

pub fn http(headers: &Value) -> Value {
    json!({
        "version": "2.0", "type": "REQUEST", "routeKey": "GET /protected", "rawPath": "/protected",
        "routeArn": "arn:aws:execute-api:eu-west-1:123456789012:abc123/$default/GET/protected",
        "identitySource": null, "rawQueryString": "", "headers": headers,
        "requestContext": { "domainName": "a.example", "stage": "$default", "http": { "method": "GET" } },
    })
}

/// A token of the ring of `api`, with everything as login would make it but for the time.
fn minted(api: &Api, keys: &SigningKeys, issued: Timestamp) -> String {
    let mut rng = UnwrapErr(SysRng);
    let grant = Grant {
        issuer: api.stack.url(),
        audience: AUDIENCE,
        subject: &Username::parse("johndoe").unwrap(),
        client_id: "web",
        scopes: &Scopes::parse("read write").unwrap(),
        session: &SessionId::generate(&mut rng),
        lifetime: Duration::from_mins(30),
    };
    api.issued(&access_token::issue(&grant, keys.newest().unwrap(), issued, &mut rng).unwrap())
}

fn bearer(token: &str) -> Value {
    json!({ "Authorization": format!("Bearer {token}") })
}

/// Asserts that both gateways are told to refuse.
async fn assert_refused(api: &Api, token: &str, why: &str) {
    let refused = api.invoke("authorizer", &rest(&bearer(token))).await;
    assert_eq!(refused, Err("Unauthorized".to_owned()), "{why}");
    let refused = api.invoke("authorizer", &http(&bearer(token))).await;
    assert_eq!(refused, Ok(json!({ "isAuthorized": false, "context": {} })), "{why}");
}

#[tokio::test]
async fn a_rest_api_gets_a_policy_for_this_request_alone() {
    let api = Api::stateless().await;
    let token = minted(&api, &api.keys, now());
    let session = &crate::token::claims(&token)["sid"];
    let users = "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/users";
    for (resource, arn, effect) in [("/protected", ARN, "Allow"), ("/users", users, "Deny")] {
        let mut event = rest(&bearer(&token));
        for (member, value) in [("resource", resource), ("path", resource), ("methodArn", arn)] {
            event[member] = json!(value);
        }
        let statement = json!({ "Action": "execute-api:Invoke", "Effect": effect, "Resource": [arn] });
        assert_eq!(
            api.invoke("authorizer", &event).await.unwrap(),
            json!({
                "principalId": "johndoe",
                "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
                "context": { "username": "johndoe", "scope": "read write", "session": session },
            })
        );
    }
}

#[tokio::test]
async fn a_path_that_is_a_pattern_in_a_policy_is_denied() {
    let api = Api::stateless().await;
    let mut event = rest(&bearer(&minted(&api, &api.keys, now())));
    for path in ["/*", "/protected*", "/protecte?", "/${aws:username}"] {
        event["path"] = json!(path);
        event["methodArn"] = json!(format!("arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET{path}"));
        let answer = api.invoke("authorizer", &event).await.unwrap();
        let statements = answer["policyDocument"]["Statement"].as_array().unwrap();
        assert!(statements.iter().all(|statement| statement["Effect"] == "Deny"), "{path}: {answer}");
    }
    assert!(api.log().contains("wildcard_in_path"));
}

#[tokio::test]
async fn an_http_api_gets_the_simple_answer() {
    let api = Api::stateless().await;
    let token = minted(&api, &api.keys, now());
    // An HTTP API sends header names in lower case.
    let event = http(&json!({ "authorization": format!("Bearer {token}") }));
    let answer = api.invoke("authorizer", &event).await.unwrap();
    let session = &crate::token::claims(&token)["sid"];
    let context = json!({ "username": "johndoe", "scope": "read write", "session": session });
    assert_eq!(answer, json!({ "isAuthorized": true, "context": context }));
}

#[tokio::test]
async fn a_missing_credential_is_refused() {
    let api = Api::stateless().await;
    for headers in [json!({}), json!({ "Host": "a.example" }), json!({ "Authorization": "" })] {
        assert_eq!(api.invoke("authorizer", &rest(&headers)).await, Err("Unauthorized".to_owned()));
        assert_eq!(api.invoke("authorizer", &http(&headers)).await.unwrap()["isAuthorized"], false);
    }
    let mut nulls = rest(&json!({}));
    nulls["headers"] = Value::Null;
    nulls["multiValueHeaders"] = Value::Null;
    assert_eq!(api.invoke("authorizer", &nulls).await, Err("Unauthorized".to_owned()));
}

#[tokio::test]
async fn a_token_is_valid_from_its_issue_until_it_expires() {
    let api = Api::stateless().await;
    let now = now();
    let earlier = |seconds| Timestamp(now.0 - seconds);
    for issued in [earlier(1740), earlier(60), Timestamp(now.0 + 2)] {
        let token = minted(&api, &api.keys, issued);
        assert!(api.invoke("authorizer", &rest(&bearer(&token))).await.is_ok(), "{issued:?}");
    }
    for issued in [earlier(1800), earlier(86400), Timestamp(now.0 + 60)] {
        assert_refused(&api, &minted(&api, &api.keys, issued), &format!("{issued:?}")).await;
    }
}

#[tokio::test]
async fn a_token_of_another_ring_issuer_or_audience_is_refused() {
    let api = Api::stateless().await;
    let stranger = SigningKeys::generate(Algorithm::Es256, now(), &mut UnwrapErr(SysRng)).unwrap();
    assert_refused(&api, &minted(&api, &stranger, now()), "another ring").await;

    let other = Api::with(Setup {
        environment: vec![("authorizer", "VERIFYING_KEYS", api.keys.to_verifying_jwks().to_string())],
        ..Setup::default()
    })
    .await;
    // The same key, but each stack has an address of its own, which is the issuer.
    assert_refused(&other, &minted(&api, &api.keys, now()), "another issuer").await;

    let other = Api::with(Setup {
        parameters: vec![("Audience", "another")],
        environment: vec![
            ("authorizer", "VERIFYING_KEYS", api.keys.to_verifying_jwks().to_string()),
            ("authorizer", "ISSUER", api.stack.url().to_owned()),
        ],
        ..Setup::default()
    })
    .await;
    assert_refused(&other, &minted(&api, &api.keys, now()), "another audience").await;
}

#[tokio::test]
async fn rules_that_jsonwebtoken_leaves_out_hold_in_the_real_function() {
    let api = Api::with(Setup {
        algorithm: Algorithm::Hs256,
        parameters: vec![("LiveRevocation", "off")],
        ..Setup::default()
    })
    .await;
    let ring: Value = serde_json::from_str(&api.keys.to_private_jwks()).unwrap();
    let secret = URL_SAFE_NO_PAD.decode(ring["keys"][0]["k"].as_str().unwrap()).unwrap();
    let secret = jsonwebtoken::EncodingKey::from_secret(&secret);
    let sign = |header: &Value, claims: &Value| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &secret, jsonwebtoken::Algorithm::HS256).unwrap();
        let token = format!("{message}.{signature}");
        api.keep_secret(&token);
        token
    };
    let header = json!({ "alg": "HS256", "kid": api.keys.newest().unwrap().id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": api.stack.url(), "sub": "johndoe", "aud": AUDIENCE, "exp": now().0 + 60, "iat": now().0,
        "sid": "AAAAAAAAAAAAAAAAAAAAAA",
    });
    let good = sign(&header, &claims);
    assert!(api.invoke("authorizer", &rest(&bearer(&good))).await.is_ok());

    let with = |object: &Value, member: &str, value: Value| {
        let mut object = object.clone();
        match value {
            Value::Null => object.as_object_mut().unwrap().remove(member),
            value => object.as_object_mut().unwrap().insert(member.to_owned(), value),
        };
        object
    };
    for (member, value) in [
        ("typ", Value::Null),
        ("typ", json!("JWT")),
        ("kid", Value::Null),
        ("kid", json!("another")),
        ("alg", json!("none")),
        ("alg", json!("HS512")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
    ] {
        let token = sign(&with(&header, member, value.clone()), &claims);
        assert_refused(&api, &token, &format!("header {member}: {value}")).await;
    }
    for (member, value) in [
        ("iss", Value::Null),
        ("iss", json!([claims["iss"]])),
        ("aud", Value::Null),
        ("aud", json!([AUDIENCE])),
        ("aud", json!([AUDIENCE, "another"])),
        ("sub", Value::Null),
        ("sub", json!(["johndoe"])),
        ("exp", Value::Null),
        ("exp", json!("99999999999")),
        ("exp", json!(now().0)),
        ("nbf", json!(now().0 + 30)),
        ("iat", json!(now().0 + 30)),
        ("sid", Value::Null),
    ] {
        let token = sign(&header, &with(&claims, member, value.clone()));
        assert_refused(&api, &token, &format!("claim {member}: {value}")).await;
    }
    let long = sign(&header, &with(&claims, "padding", json!("x".repeat(4096))));
    assert_refused(&api, &long, "more than 4 KiB").await;
    let (message, _) = good.rsplit_once('.').unwrap();
    assert_refused(&api, &format!("{message}."), "no signature").await;
}

#[tokio::test]
async fn an_event_that_says_too_little_is_an_outage() {
    let api = Api::stateless().await;
    let token = minted(&api, &api.keys, now());
    let good = rest(&bearer(&token));
    let mut events = vec![json!({}), json!({ "type": "TOKEN", "authorizationToken": "x", "methodArn": "x" })];
    for arn in [Value::Null, json!("*"), json!("arn:aws:execute-api:eu-west-1:1:a")] {
        let mut event = good.clone();
        event["methodArn"] = arn;
        events.push(event);
    }
    let mut event = good.clone();
    event["headers"] = json!("Authorization");
    events.push(event);
    for event in events {
        assert_eq!(api.invoke("authorizer", &event).await, Err("Unavailable".to_owned()), "{event}");
    }
    assert!(api.invoke("authorizer", &good).await.is_ok());
}
