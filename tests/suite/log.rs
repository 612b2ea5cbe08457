//! What the functions write to their logs.

use reqwest::Method;
use serde_json::{Value, json};
use shared::user::Status;

use crate::api::{Api, FORM, JSON, PASSWORD, Setup, hash, leaks};

/// Every way through the functions that meets a secret, at the most talkative level.
#[tokio::test]
async fn no_password_token_key_or_header_is_logged_at_any_level() {
    let api = Api::with(Setup { environment: every_function("LOG_LEVEL", "trace"), ..Setup::default() }).await;
    api.add_user("jane", hash("the canary of jane"), "", Status::Disabled).await;
    for (username, password) in [
        ("johndoe", PASSWORD),
        ("johndoe", "the wrong canary"),
        ("the.canary.in.the.wrong.field", "the canary for nobody"),
        ("jane", "the canary of jane"),
    ] {
        api.keep_secret(password);
        api.login(&[("username", username), ("password", password)]).await;
        let body = json!({ "username": username, "password": password }).to_string();
        api.send(Method::POST, "/login", &[("Content-Type", JSON)], body.clone()).await;
        api.send(Method::POST, "/login", &[("Content-Type", JSON)], &body[..body.len() - 1]).await;
        api.send(Method::POST, "/login", &[("Content-Type", "text/plain")], body).await;
    }
    for _ in 0..10 {
        api.login(&[("username", "the.canary.in.the.wrong.field"), ("password", "the canary for nobody")]).await;
    }
    // People type passwords into the wrong field.
    api.keep_secret("the.canary.in.the.wrong.field");
    for (path, content_type) in [("/register", JSON), ("/register", "text/plain"), ("/register", FORM)] {
        for (username, password) in
            [("joe", "the canary of joe"), ("the canary in the wrong field", "short"), ("joe", "")]
        {
            api.keep_secret(username);
            api.keep_secret(password);
            let body = json!({ "username": username, "password": password }).to_string();
            api.send(Method::POST, path, &[("Content-Type", content_type)], body).await;
        }
    }
    let token = api.token().await;
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", JSON)];
    for (current, new) in [("the wrong canary", "the new canary"), (PASSWORD, "short"), (PASSWORD, PASSWORD)] {
        api.keep_secret(new);
        let body = json!({ "current_password": current, "new_password": new }).to_string();
        api.send(Method::POST, "/password", &headers, body).await;
    }
    for path in ["/users", "/users/jane", "/users?cursor=x"] {
        api.get(path, &headers).await;
    }
    let mut changed = token.clone();
    changed.pop();
    api.keep_secret(&changed);
    for authorization in [format!("Bearer {token}"), format!("Bearer {changed}"), format!("Basic {token}")] {
        api.protected(&authorization).await;
    }
    // An event that isn't one: no reader's error may quote it.
    let event = json!({ "headers": format!("Bearer {token}"), "multiValueHeaders": [token], "methodArn": 1 });
    for function in ["authorizer", "login", "protected", "discovery", "account", "users"] {
        let _ = api.stack.invoke(function, event.to_string().as_bytes()).await;
    }
    api.stack.stop_store().await;
    api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await;
    let log = api.log();
    for outcome in
        ["signed_in", "wrong_password", "unknown_user", "disabled_user", "throttled", "malformed", "allowed", "refused"]
    {
        assert!(log.contains(outcome), "{outcome} is not in the log: {log}");
    }
    // The search itself happens when `api` is dropped, as in every test.
}

#[test]
fn the_search_for_secrets_finds_them() {
    let secrets = vec!["correct horse battery".to_owned()];
    for line in [
        "outcome: correct horse battery",
        "eyJhbGciOiJFUzI1NiJ9",
        "Authorization: Bearer x",
        "$bcrypt-sha256$v=2",
        r#"{"kty":"EC","d":"x"}"#,
    ] {
        assert_eq!(leaks(&format!("first\n{line}\nlast"), &secrets), [line]);
    }
    for line in
        ["outcome: signed_in", "\"session\":\"FQ2YfYG7DAyg1w7UeyJ0cg\"", "\"session\":\"eyJFQ2YfYG7DAyg1w7Uxcg\""]
    {
        assert!(leaks(line, &secrets).is_empty(), "{line}");
    }
}

#[tokio::test]
async fn every_line_is_a_json_object() {
    let api = Api::start().await;
    let token = api.token().await;
    api.protected(&format!("Bearer {token}")).await;
    api.protected("Bearer x").await;
    api.login(&[("username", "johndoe"), ("password", "wrong password")]).await;
    let log = api.log();
    let lines: Vec<Value> = log
        .lines()
        // The local stack puts the function's name in front, and has lines of its own.
        .filter(|line| !line.starts_with("[gateway] "))
        .map(|line| line.split_once("] ").unwrap().1)
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert!(lines.len() >= 4, "{log}");
    for line in lines {
        for field in ["timestamp", "level", "request_id", "outcome"] {
            assert!(line[field].is_string(), "{field} in {line}");
        }
    }
}

fn every_function(name: &'static str, value: &str) -> Vec<(&'static str, &'static str, String)> {
    ["login", "authorizer", "protected", "sessions", "account", "users", "discovery"]
        .map(|function| (function, name, value.to_owned()))
        .into()
}
