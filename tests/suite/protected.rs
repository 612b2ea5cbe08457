//! `GET /protected`

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::Api;

const CHALLENGE: &str = r#"Bearer error="invalid_token""#;

#[tokio::test]
async fn a_valid_token_is_greeted() {
    let api = Api::start().await;
    let token = api.token().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = api.protected(&format!("{scheme} {token}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text, r#"{"message":"Hello johndoe, you are authenticated!"}"#);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn no_or_no_valid_token_gets_401_with_a_challenge() {
    let api = Api::start().await;
    let token = api.token().await;
    let basic = "Basic am9obmRvZTpzZWNyZXQ=";
    let mut answers = vec![api.get("/protected", &[]).await];
    for value in ["", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", &token, basic, &format!("Token {token}")] {
        answers.push(api.protected(value).await);
    }
    for answer in answers {
        answer.error(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some(CHALLENGE));
    }
}

#[tokio::test]
async fn one_changed_character_is_refused_wherever_it_is() {
    let api = Api::start().await;
    let token = api.token().await;
    for at in (0..token.len()).step_by(7).chain([token.len() - 1]) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let answer = api.protected(&format!("Bearer {changed}")).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(CHALLENGE)), "position {at}");
    }
}

#[tokio::test]
async fn two_credentials_are_refused() {
    let api = Api::start().await;
    let bearer = format!("Bearer {}", api.token().await);
    assert_eq!(api.protected(&format!("{bearer},{bearer}")).await.status, 401);
    assert_eq!(api.protected(&format!("{bearer}, {bearer}")).await.status, 401);
    let twice = [("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())];
    assert_eq!(api.get("/protected", &twice).await.status, 401);
}

#[tokio::test]
async fn a_token_in_the_query_or_the_body_is_not_looked_at() {
    let api = Api::start().await;
    let token = api.token().await;
    assert_eq!(api.get(&format!("/protected?access_token={token}"), &[]).await.status, 401);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(api.send(Method::GET, "/protected", &form, format!("access_token={token}")).await.status, 401);
}

#[tokio::test]
async fn a_header_of_the_client_s_own_makes_no_identity() {
    let api = Api::start().await;
    for header in ["X-Amzn-Oidc-Identity", "X-Username", "username", "x-amzn-requestcontext"] {
        assert_eq!(api.get("/protected", &[(header, "johndoe")]).await.status, 401);
    }
}

/// The event of either payload version, with this authorizer's context.
fn event(version: &str, authorizer: &Value) -> Value {
    match version {
        "1.0" => json!({
            "resource": "/protected", "path": "/protected", "httpMethod": "GET", "headers": {},
            "multiValueHeaders": {}, "queryStringParameters": null, "multiValueQueryStringParameters": null,
            "pathParameters": null, "stageVariables": null, "body": null, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "resourceId": "r", "stage": "prod", "requestId": "1", "resourcePath": "/protected",
                "httpMethod": "GET", "apiId": "a", "domainName": "a.example", "identity": { "sourceIp": "127.0.0.1" },
                "authorizer": authorizer,
            },
        }),
        _ => json!({
            "version": "2.0", "routeKey": "GET /protected", "rawPath": "/protected", "rawQueryString": "",
            "headers": {}, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "a.example", "requestId": "1", "stage": "$default",
                "routeKey": "GET /protected", "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1_773_342_238_000_u64,
                "http": { "method": "GET", "path": "/protected", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "x" },
                "authorizer": { "lambda": authorizer },
            },
        }),
    }
}

#[tokio::test]
async fn the_context_of_either_payload_version_is_greeted() {
    let api = Api::start().await;
    let context =
        json!({ "username": "johndoe", "scope": "", "session": "AAAAAAAAAAAAAAAAAAAAAA", "principalId": "x" });
    for version in ["1.0", "2.0"] {
        let answer = api.invoke("protected", &event(version, &context)).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{version}: {answer}");
        assert_eq!(answer["body"], r#"{"message":"Hello johndoe, you are authenticated!"}"#);
    }
}

#[tokio::test]
async fn without_a_whole_context_the_handler_fails_closed() {
    let api = Api::start().await;
    let session = "AAAAAAAAAAAAAAAAAAAAAA";
    for context in [
        Value::Null,
        json!({}),
        json!({ "principalId": "johndoe" }),
        json!({ "username": "johndoe" }),
        json!({ "username": "johndoe", "scope": "" }),
        json!({ "username": "johndoe", "scope": "", "session": "" }),
        json!({ "username": "", "scope": "", "session": session }),
        json!({ "username": ["johndoe"], "scope": "", "session": session }),
        json!({ "username": null, "scope": null, "session": null }),
    ] {
        for version in ["1.0", "2.0"] {
            let answer = api.invoke("protected", &event(version, &context)).await.unwrap();
            assert_eq!(answer["statusCode"], 401, "{version}: {context}");
        }
    }
}
