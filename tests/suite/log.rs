//! What the functions write to their logs.

use std::{pin::Pin, rc::Rc};

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
    for function in ["authorizer", "login", "protected", "discovery", "register", "account", "users"] {
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

/// A function, the outcome of a call of it, and the call.
type Call = (&'static str, &'static str, Pin<Box<dyn Future<Output = ()>>>);

#[tokio::test]
async fn every_call_leaves_one_line() {
    let api = Rc::new(Api::with(Setup { johndoe: (PASSWORD, "users:read users:write"), ..Setup::default() }).await);
    let answer = api.sign_in().await;
    let (bearer, refresh) = (format!("Bearer {}", answer.access_token()), answer.refresh_token());
    let call = |method: Method, path: &'static str, body: String, bearer: &str| -> Pin<Box<dyn Future<Output = ()>>> {
        let (api, bearer) = (Rc::clone(&api), bearer.to_owned());
        Box::pin(async move {
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", JSON)];
            api.send(method, path, &headers, body).await;
        })
    };
    let get = |path, bearer| call(Method::GET, path, String::new(), bearer);
    let post = |path, body: Value| call(Method::POST, path, body.to_string(), &bearer);
    let sign_in = |password| json!({ "username": "johndoe", "password": password });
    let calls: Vec<Call> = vec![
        ("login", "signed_in", post("/login", sign_in(PASSWORD))),
        ("login", "refused", post("/login", sign_in("wrong password"))),
        ("login", "refused", post("/login", json!({}))),
        ("login", "refreshed", post("/login", json!({ "grant_type": "refresh_token", "refresh_token": refresh }))),
        ("login", "nothing_to_revoke", post("/revoke", json!({ "token": "x" }))),
        ("authorizer", "refused", get("/protected", "Bearer x")),
        ("protected", "greeted", get("/protected", &bearer)),
        ("users", "listed", get("/users", &bearer)),
        ("users", "refused", get("/users/nobody", &bearer)),
        ("register", "registered", post("/register", json!({ "username": "joe", "password": "a long enough one" }))),
        ("account", "refused", post("/password", json!({}))),
        ("discovery", "welcome", get("/", "")),
        ("discovery", "preflight", call(Method::OPTIONS, "/login", String::new(), "")),
        ("sessions", "listed", get("/sessions", &bearer)),
        ("sessions", "logged_out", post("/logout", json!({}))),
    ];
    for (function, outcome, call) in calls {
        let before = api.lines().len();
        call.await;
        // Behind the gateway the authorizer comes first, with a line of its own.
        let lines = api.lines().split_off(before);
        let of_function: Vec<_> = lines.iter().filter(|line| line["function"] == function).collect();
        let [line] = of_function.as_slice() else { panic!("{function} {outcome}: {lines:?}") };
        assert_eq!(line["outcome"], outcome, "{function}: {line}");
        assert_eq!(line["outcome"] == "refused", line["reason"].is_string(), "{line}");
        assert!(lines.len() <= 2, "{lines:?}");
        for line in &lines {
            for field in ["timestamp", "level", "function", "request_id", "outcome"] {
                assert!(line[field].is_string(), "{field} in {line}");
            }
            assert!(line["latency_ms"].as_f64().is_some_and(|latency| latency > 0.0), "{line}");
        }
    }
}

#[tokio::test]
async fn what_threatens_an_account_is_a_security_event() {
    let api = Api::with(Setup { parameters: vec![("RefreshGraceWindow", "0")], ..Setup::default() }).await;
    let refresh = api.sign_in().await.refresh_token();
    api.refresh(&refresh).await;
    api.refresh(&refresh).await;
    while api.login(&[("username", "jane"), ("password", "wrong password")]).await.status != 429 {}
    let events = api.lines().into_iter().filter(|line| !line["security_event"].is_null());
    let names: Vec<_> = events.map(|line| line["security_event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["refresh_token_reused", "guesses_throttled"]);
}

/// Alarms must not go blind because the log is short.
#[tokio::test]
async fn at_the_level_error_only_lines_with_metrics_are_left() {
    let api = Api::with(Setup { environment: every_function("LOG_LEVEL", "error"), ..Setup::default() }).await;
    let bearer = format!("Bearer {}", api.token().await);
    api.protected(&bearer).await;
    api.protected("Bearer x").await;
    let lines = api.lines();
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["signed_in", "refused"]);
    assert!(lines.iter().all(|line| !line["_aws"].is_null()), "{lines:?}");
}

fn every_function(name: &'static str, value: &str) -> Vec<(&'static str, &'static str, String)> {
    ["login", "authorizer", "protected", "sessions", "register", "account", "users", "discovery"]
        .map(|function| (function, name, value.to_owned()))
        .into()
}
