//! Who did what, from where: what the log has of every call, so that it can be followed afterwards.

use reqwest::Method;
use serde_json::{Value, json};
use shared::user::Status;

use crate::{
    api::{Answer, Api, FORM, JSON, PASSWORD, Setup, form, hash, root},
    proxy::{Cut, Proxy},
    token::claims,
};

const ADMIN: &str = "users:read users:write";

fn sample(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("events").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The last line of a function.
fn last(api: &Api, function: &str) -> Value {
    api.lines().into_iter().rfind(|line| line["function"] == function).unwrap()
}

#[track_caller]
fn assert_members(line: &Value, members: &[(&str, &str)]) {
    for (name, value) in members {
        assert_eq!(line[*name], *value, "{name} of {line}");
    }
}

/// What the gateway says of a request is in the lines of all of its functions, and each member once.
#[tokio::test]
async fn every_line_of_a_request_says_its_identifier_and_address() {
    let api = Api::with(Setup { johndoe: (PASSWORD, ADMIN), ..Setup::default() }).await;
    let bearer = format!("Bearer {}", api.token().await);
    let sign_in = |password| form(&[("username", "johndoe"), ("password", password)]);
    for (method, path, body, lines) in [
        (Method::POST, "/login", sign_in(PASSWORD), 1),
        (Method::POST, "/login", sign_in("wrong password"), 1),
        (Method::POST, "/login", String::new(), 1),
        (Method::POST, "/register", "username=joe&password=a+long+enough+one".to_owned(), 1),
        (Method::OPTIONS, "/login", String::new(), 1),
        (Method::GET, "/", String::new(), 1),
        (Method::GET, "/protected", String::new(), 2),
        (Method::GET, "/users", String::new(), 2),
        (Method::GET, "/users/nobody", String::new(), 2),
        (Method::POST, "/password", String::new(), 2),
        (Method::POST, "/logout", String::new(), 2),
    ] {
        let before = api.lines().len();
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", FORM)];
        let answer = api.send(method.clone(), path, &headers, body).await;
        let written = api.lines().split_off(before);
        assert_eq!(written.len(), lines, "{method} {path}: {written:?}");
        for line in &written {
            assert_eq!(line["gateway_request_id"].as_str(), answer.header("x-amzn-requestid"), "{line}");
            assert_eq!(line["address"], "127.0.0.1", "{line}");
            assert_ne!(line["request_id"], line["gateway_request_id"], "{line}");
        }
    }
    for line in api.log().lines() {
        for name in ["user", "session", "address", "account", "scope"] {
            assert!(line.matches(&format!("\"{name}\":")).count() < 2, "{line} has {name} twice");
        }
    }
}

#[tokio::test]
async fn both_payloads_say_so_to_every_function() {
    let api = Api::start().await;
    let mut samples = 0;
    for file in std::fs::read_dir(root().join("events")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(function) = name.strip_suffix(".json").and_then(|name| name.split('-').next()) else { continue };
        if ["env", "rotate", "erase"].contains(&function) {
            continue;
        }
        let event = sample(&name);
        let answer = api.invoke(function, &event).await;
        for token in answer.iter().filter_map(|answer| serde_json::from_str::<Value>(answer["body"].as_str()?).ok()) {
            for name in ["access_token", "refresh_token"] {
                api.keep_secret(token[name].as_str().unwrap_or_default());
            }
        }
        let id = event["requestContext"]["requestId"].as_str().unwrap();
        assert_members(&last(&api, function), &[("address", "192.0.2.1"), ("gateway_request_id", id)]);
        samples += 1;
    }
    assert!(samples > 30);
}

#[tokio::test]
async fn an_identifier_that_a_client_made_up_is_not_logged() {
    let api = Api::start().await;
    api.keep_secret("a password in the wrong header");
    let mut event = sample("discovery.json");
    event["requestContext"]["requestId"] = "a password in the wrong header".into();
    api.invoke("discovery", &event).await.unwrap();
    assert_eq!(last(&api, "discovery")["gateway_request_id"], Value::Null);
}

#[tokio::test]
async fn refusals_of_signed_in_callers_say_who_they_are() {
    let api = Api::with(Setup { parameters: vec![("LiveRevocation", "0")], ..Setup::default() }).await;
    let signed_in = api.sign_in().await;
    let session = claims(&signed_in.access_token())["sid"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {}", signed_in.access_token());
    let wrong = json!({ "current_password": "wrong password", "new_password": "a long enough one" }).to_string();
    api.keep_secret("a long enough one");
    for (method, path, body, function, reason) in [
        (Method::GET, "/users", "", "authorizer", "insufficient_scope"),
        (Method::POST, "/password", "{}", "account", "malformed"),
        (Method::POST, "/password", wrong.as_str(), "account", "wrong_password"),
        (Method::DELETE, "/sessions/AAAAAAAAAAAAAAAAAAAAAA", "", "sessions", "not_found"),
        (Method::POST, "/logout?sessions=none", "", "sessions", "malformed"),
    ] {
        api.send(method, path, &[("Authorization", &bearer), ("Content-Type", JSON)], body).await;
        let line = last(&api, function);
        assert_members(
            &line,
            &[("outcome", "refused"), ("reason", reason), ("user", "johndoe"), ("session", &session)],
        );
    }
    api.send(Method::POST, "/logout", &[("Authorization", &bearer)], "").await;
    api.protected(&bearer).await.error(401, "invalid_token");
    assert_members(
        &last(&api, "authorizer"),
        &[("reason", "session_over"), ("user", "johndoe"), ("session", &session)],
    );
    api.stack.stop_store().await;
    api.protected(&bearer).await.error(503, "temporarily_unavailable");
    assert_members(&last(&api, "authorizer"), &[("outcome", "unavailable"), ("user", "johndoe")]);
}

#[tokio::test]
async fn a_refused_refresh_says_whose_token_it_was_if_it_is_ours() {
    let api = Api::start().await;
    let signed_in = api.sign_in().await;
    let session = claims(&signed_in.access_token())["sid"].as_str().unwrap().to_owned();
    let token = signed_in.refresh_token();
    let refresh = async |fields: &[(&str, &str)]| {
        let fields: Vec<_> = [("grant_type", "refresh_token")].iter().chain(fields).copied().collect();
        assert_eq!(api.login(&fields).await.status, 400);
        last(&api, "login")
    };
    let whose = [("user", "johndoe"), ("session", session.as_str())];
    let line = refresh(&[("refresh_token", &token), ("scope", "admin")]).await;
    assert_members(&line, &[&[("reason", "invalid_scope")], &whose[..]].concat());
    api.send(Method::POST, "/revoke", &[("Content-Type", FORM)], form(&[("token", &token)])).await;
    let line = refresh(&[("refresh_token", &token)]).await;
    assert_members(&line, &[&[("reason", "session_over")], &whose[..]].concat());
    let line = refresh(&[("refresh_token", "x")]).await;
    assert_eq!((&line["reason"], &line["user"]), (&json!("not_ours"), &Value::Null));
}

/// Who has shown a password is known; who hasn't may have typed it into the wrong field.
#[tokio::test]
async fn a_refused_sign_in_says_the_user_only_of_an_account() {
    let api = Api::start().await;
    for (username, scope, user) in
        [("johndoe", "admin", json!("johndoe")), ("johndoe", "read", json!("johndoe")), ("jane", "read", Value::Null)]
    {
        let password = if scope == "admin" { PASSWORD } else { "wrong password" };
        api.login(&[("username", username), ("password", password), ("scope", scope)]).await;
        let line = last(&api, "login");
        assert_eq!((&line["outcome"], &line["user"]), (&json!("refused"), &user), "{line}");
    }
}

#[tokio::test]
async fn what_an_administrator_tried_and_failed_to_do_is_logged() {
    let api = Api::with(Setup { johndoe: (PASSWORD, ADMIN), ..Setup::default() }).await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("users", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    let signed_in = api.sign_in().await;
    let session = claims(&signed_in.access_token())["sid"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {}", signed_in.access_token());
    let send = async |method: Method, path: &str, body: &str| -> (Answer, Value) {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", JSON)];
        let answer = api.send(method, path, &headers, body).await;
        let line = last(&api, "users");
        assert_members(&line, &[("user", "johndoe"), ("session", &session), ("address", "127.0.0.1")]);
        (answer, line)
    };
    let change = json!({ "status": "disabled", "scopes": ["b", "a"] }).to_string();

    let (_, line) = send(Method::PATCH, "/users/nobody", &change).await;
    let tried = [("action", "change"), ("status", "disabled"), ("scope", "a b")];
    assert_members(&line, &[&[("outcome", "refused"), ("account", "nobody")], &tried[..]].concat());
    let (_, line) = send(Method::PATCH, "/users/jane", "{}").await;
    assert_members(&line, &[("reason", "malformed"), ("action", "change"), ("account", "jane")]);
    let (_, line) = send(Method::DELETE, "/users/nobody", "").await;
    assert_members(&line, &[("reason", "not_found"), ("action", "delete"), ("account", "nobody")]);

    // Halfway: the first write is done.
    proxy.cut(1, Cut::Before);
    let (answer, line) = send(Method::PATCH, "/users/jane", &change).await;
    answer.error(503, "temporarily_unavailable");
    assert_members(&line, &[&[("outcome", "unavailable"), ("account", "jane")], &tried[..]].concat());
    proxy.heal();
    proxy.cut(0, Cut::Before);
    let (answer, line) = send(Method::DELETE, "/users/jane", "").await;
    answer.error(503, "temporarily_unavailable");
    assert_members(&line, &[("outcome", "unavailable"), ("action", "delete"), ("account", "jane")]);
    proxy.heal();
    let (_, line) = send(Method::DELETE, "/users/jane", "").await;
    assert_members(&line, &[("outcome", "deleted"), ("account", "jane")]);
    assert_eq!(line["action"], Value::Null);
}

/// Presents a refresh token from an address, past the gateway, which would put in its own client's; gives the next.
async fn refresh_from(api: &Api, address: &str, user_agent: &str, token: &str) -> String {
    let mut event = sample("login-refresh.json");
    event["requestContext"]["identity"]["sourceIp"] = address.into();
    event["headers"]["User-Agent"] = user_agent.into();
    event["multiValueHeaders"]["User-Agent"] = json!([user_agent]);
    event["body"] = form(&[("grant_type", "refresh_token"), ("refresh_token", token)]).into();
    let answer = api.invoke("login", &event).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    for name in ["access_token", "refresh_token"] {
        api.keep_secret(body[name].as_str().unwrap());
    }
    body["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_refresh_token_of_two_clients_is_a_security_event() {
    const HOME: &str = "198.51.100.7";
    let api = Api::start().await;
    let signed_in = api.sign_in().await;
    let session = claims(&signed_in.access_token())["sid"].as_str().unwrap().to_owned();
    let token = signed_in.refresh_token();
    // From elsewhere than the sign-in, as from a phone that moves.
    let next = refresh_from(&api, HOME, "browser", &token).await;
    // Another tab.
    assert_eq!(refresh_from(&api, HOME, "browser", &token).await, next);
    assert!(api.lines().iter().all(|line| line["security_event"].is_null()), "{}", api.log());

    for (address, user_agent) in [("203.0.113.9", "browser"), (HOME, "curl"), ("203.0.113.9", "curl")] {
        assert_eq!(refresh_from(&api, address, user_agent, &token).await, next);
        let line = last(&api, "login");
        assert_members(&line, &[("level", "WARN"), ("security_event", "refresh_token_shared")]);
        assert_members(&line, &[("outcome", "refreshed"), ("user", "johndoe"), ("session", &session)]);
        assert_members(&line, &[("address", address), ("other_address", HOME)]);
        let differs = [(address != HOME, "address"), (user_agent != "browser", "user_agent")];
        let differs: Vec<_> = differs.iter().filter(|(differs, _)| *differs).map(|(_, name)| *name).collect();
        assert_eq!(line["differs"], differs.join(" "), "{line}");
    }
    // What programs call themselves is theirs to choose.
    assert!(!api.log().contains("curl"), "{}", api.log());
    // The session goes on for its owner.
    refresh_from(&api, HOME, "browser", &next).await;
}
