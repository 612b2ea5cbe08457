//! What happens when something that the functions need is down: never an allow, never a 401.

use std::time::{Duration, Instant};

use crate::api::{Api, PASSWORD, Setup};

/// Login's timeout in template.yaml.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(28);

/// A port of this machine on which nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Makes login read its keys from a Secrets Manager that isn't there.
fn login_without_keys() -> Setup {
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:keys-AbCdEf".to_owned();
    let environment = vec![("login", "SIGNING_KEYS", arn), ("login", "AWS_ENDPOINT_URL_SECRETS_MANAGER", nowhere())];
    Setup { environment, ..Setup::default() }
}

/// Makes the authorizer read its keys from a table that isn't there.
pub fn authorizer_without_keys() -> Setup {
    let environment =
        vec![("authorizer", "VERIFYING_KEYS", String::new()), ("authorizer", "AWS_ENDPOINT_URL_DYNAMODB", nowhere())];
    Setup { environment, ..Setup::default() }
}

#[tokio::test]
async fn login_answers_503_while_the_store_is_down_and_recovers() {
    let api = Api::start().await;
    api.token().await;
    api.stack.stop_store().await;
    for username in ["johndoe", "nobody"] {
        let begin = Instant::now();
        let answer = api.login(&[("username", username), ("password", PASSWORD)]).await;
        assert_eq!(answer.error(503, "temporarily_unavailable"), "Try again in a few seconds");
        assert!(answer.header("retry-after").is_some());
        assert!(begin.elapsed() < LOGIN_TIMEOUT, "{:?}", begin.elapsed());
    }
    assert!(api.log().contains("the table could not be reached"), "{}", api.log());
    // What needs no store is still served.
    assert_eq!(api.get("/", &[]).await.status, 200);

    api.stack.start_store().await.unwrap();
    api.token().await;
}

#[tokio::test]
async fn a_malformed_request_needs_no_store() {
    let api = Api::start().await;
    api.stack.stop_store().await;
    api.login(&[("username", "johndoe")]).await.error(400, "invalid_request");
}

#[tokio::test]
async fn a_token_stays_valid_while_the_store_is_down() {
    let api = Api::stateless().await;
    let bearer = format!("Bearer {}", api.token().await);
    api.stack.stop_store().await;
    assert_eq!(api.protected(&bearer).await.status, 200);
}

#[tokio::test]
async fn login_without_keys_answers_503_to_everyone() {
    let api = Api::with(login_without_keys()).await;
    for (username, password) in [("johndoe", PASSWORD), ("johndoe", "wrong password"), ("nobody", PASSWORD)] {
        let answer = api.login(&[("username", username), ("password", password)]).await;
        answer.error(503, "temporarily_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn an_authorizer_without_keys_is_an_outage_whatever_the_token() {
    let api = Api::with(authorizer_without_keys()).await;
    let bearer = format!("Bearer {}", api.token().await);
    for authorization in [bearer.as_str(), "Bearer x", ""] {
        let answer = api.protected(authorization).await;
        answer.error(503, "temporarily_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    assert!(api.log().contains("could not be read"), "{}", api.log());
}

#[tokio::test]
async fn a_refused_ring_is_an_outage_that_the_log_explains() {
    let weak = r#"{"kty":"oct","alg":"HS256","kid":"weak","k":"c2hvcnQ"}"#.to_owned();
    let api = Api::with(Setup {
        environment: vec![("login", "SIGNING_KEYS", weak.clone()), ("authorizer", "VERIFYING_KEYS", weak)],
        ..Setup::default()
    })
    .await;
    api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await.error(503, "temporarily_unavailable");
    api.protected("Bearer x").await.error(503, "temporarily_unavailable");
    assert!(api.log().contains("has a secret shorter than 32 bytes"), "{}", api.log());
}

#[tokio::test]
async fn a_wrong_setting_stops_the_function_and_the_log_names_it() {
    let api =
        Api::with(Setup { environment: vec![("login", "BCRYPT_COST", "99".to_owned())], ..Setup::default() }).await;
    let answer = api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, 502, "{}", answer.text);
    assert!(api.log().contains("BCRYPT_COST"), "{}", api.log());
}
