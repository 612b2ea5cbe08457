//! Administrators whose right was taken from them, with the access token that they still have; and what administrators
//! can't do to their own accounts. Live revocation is off, so that nothing else stands in the way of the tokens.

use reqwest::Method;
use serde_json::{Value, json};
use shared::user::Status;

use crate::{
    api::{Answer, Api, JSON, PASSWORD, Setup, hash},
    token::claims,
};

const ADMIN: &str = "users:read users:write";

/// A stack with the administrator johndoe and the user jane, and johndoe's `Authorization` header.
async fn administered() -> (Api, String) {
    let parameters = vec![("LiveRevocation", "off")];
    let api = Api::with(Setup { johndoe: (PASSWORD, ADMIN), parameters, ..Setup::default() }).await;
    api.add_user("jane", hash(PASSWORD), "read", Status::Active).await;
    let bearer = format!("Bearer {}", api.token().await);
    (api, bearer)
}

async fn send(api: &Api, bearer: &str, method: Method, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    api.send(method, path, &[("Authorization", bearer), ("Content-Type", JSON)], body).await
}

async fn patch(api: &Api, bearer: &str, path: &str, body: Value) -> Answer {
    send(api, bearer, Method::PATCH, path, &body).await
}

async fn delete(api: &Api, bearer: &str, path: &str) -> Answer {
    send(api, bearer, Method::DELETE, path, &Value::Null).await
}

/// A user as an administrator sees it, or that there is none.
async fn shown(api: &Api, bearer: &str, name: &str) -> Value {
    send(api, bearer, Method::GET, &format!("/users/{name}"), &Value::Null).await.json()
}

/// The last line of the function users.
fn last(api: &Api) -> Value {
    api.lines().into_iter().rfind(|line| line["function"] == "users").unwrap()
}

/// Adds an administrator; gives the `Authorization` header and the session's identifier.
async fn add_administrator(api: &Api, name: &str) -> (String, String) {
    api.add_user(name, hash(PASSWORD), ADMIN, Status::Active).await;
    let token = api.login(&[("username", name), ("password", PASSWORD)]).await.access_token();
    let session = claims(&token)["sid"].as_str().unwrap().to_owned();
    (format!("Bearer {token}"), session)
}

/// Tries everything that writes, with the token of an administrator who is none any more.
async fn assert_powerless(api: &Api, johndoe: &str, (old, session): (&str, &str), name: &str, reason: &str) {
    let everyone = async || {
        let mut all = Vec::new();
        for name in [name, "jane", "johndoe", "nobody"] {
            all.push(shown(api, johndoe, name).await);
        }
        all
    };
    let before = everyone().await;
    for target in [name, "jane", "johndoe", "nobody"] {
        let path = format!("/users/{target}");
        for (action, answer) in [
            ("change", patch(api, old, &path, json!({ "status": "active", "scopes": ADMIN })).await),
            ("change", patch(api, old, &path, json!({ "status": "disabled" })).await),
            ("change", patch(api, old, &path, json!({ "scopes": [] })).await),
            ("delete", delete(api, old, &path).await),
        ] {
            assert_eq!(answer.error(403, "insufficient_scope"), "The access token does not allow this", "{path}");
            let challenge = answer.header("x-amzn-remapped-www-authenticate");
            assert_eq!(challenge, Some(r#"Bearer error="insufficient_scope""#));
            let lines = api.lines();
            let line = lines.iter().rfind(|line| line["action"] == action && line["account"] == target).unwrap();
            for (member, value) in [
                ("level", "WARN"),
                ("outcome", "refused"),
                ("reason", reason),
                ("security_event", "removed_administrator"),
                ("user", name),
                ("session", session),
            ] {
                assert_eq!(line[member], value, "{member} of {line}");
            }
        }
    }
    assert_eq!(everyone().await, before);
    // What only reads is up to the token, until it expires.
    assert_eq!(shown(api, old, "jane").await, shown(api, johndoe, "jane").await);
}

#[tokio::test]
async fn a_disabled_administrator_does_not_come_back_by_itself() {
    let (api, johndoe) = administered().await;
    let (old, session) = add_administrator(&api, "alice").await;
    assert_eq!(patch(&api, &johndoe, "/users/alice", json!({ "status": "disabled" })).await.status, 200);
    assert_powerless(&api, &johndoe, (&old, &session), "alice", "administrator_disabled").await;
    assert_eq!(shown(&api, &johndoe, "alice").await["status"], "disabled");
    // Who is an administrator again may write again.
    assert_eq!(patch(&api, &johndoe, "/users/alice", json!({ "status": "active" })).await.status, 200);
    assert_eq!(patch(&api, &old, "/users/jane", json!({ "scopes": "write" })).await.status, 200);
}

#[tokio::test]
async fn a_deleted_administrator_gives_its_right_to_nobody() {
    let (api, johndoe) = administered().await;
    let (old, session) = add_administrator(&api, "alice").await;
    assert_eq!(delete(&api, &johndoe, "/users/alice").await.status, 204);
    assert_powerless(&api, &johndoe, (&old, &session), "alice", "administrator_gone").await;
    assert_eq!(shown(&api, &johndoe, "jane").await["scopes"], json!(["read"]));
}

#[tokio::test]
async fn a_demoted_administrator_is_none_at_once() {
    let (api, johndoe) = administered().await;
    let (old, session) = add_administrator(&api, "alice").await;
    assert_eq!(patch(&api, &johndoe, "/users/alice", json!({ "scopes": "users:read" })).await.status, 200);
    assert_powerless(&api, &johndoe, (&old, &session), "alice", "administrator_demoted").await;
    assert_eq!(shown(&api, &johndoe, "alice").await["scopes"], json!(["users:read"]));
}

#[tokio::test]
async fn the_own_account_stays_active_and_an_administrators() {
    let (api, johndoe) = administered().await;
    let before = shown(&api, &johndoe, "johndoe").await;
    for path in ["/users/johndoe", "/users/JohnDoe", "/users/%4AOHNDOE"] {
        for answer in [
            delete(&api, &johndoe, path).await,
            patch(&api, &johndoe, path, json!({ "status": "disabled" })).await,
            patch(&api, &johndoe, path, json!({ "status": "disabled", "scopes": ADMIN })).await,
            patch(&api, &johndoe, path, json!({ "scopes": "users:read" })).await,
            patch(&api, &johndoe, path, json!({ "scopes": [], "status": "active" })).await,
        ] {
            assert!(answer.error(409, "own_account").contains("the admin tool can"), "{path}: {}", answer.text);
            let line = last(&api);
            assert_eq!((&line["outcome"], &line["reason"]), (&json!("refused"), &json!("own_account")), "{line}");
            assert!(line["security_event"].is_null(), "{line}");
        }
    }
    assert_eq!(shown(&api, &johndoe, "johndoe").await, before);
}

#[tokio::test]
async fn administrators_may_give_their_own_accounts_scopes() {
    let (api, johndoe) = administered().await;
    for (body, scopes) in [
        (json!({ "scopes": format!("{ADMIN} audit") }), vec!["audit", "users:read", "users:write"]),
        // To read users is another right.
        (json!({ "scopes": ["users:write"], "status": "active" }), vec!["users:write"]),
    ] {
        let answer = patch(&api, &johndoe, "/users/JOHNDOE", body).await;
        assert_eq!((answer.status, &answer.json()["scopes"]), (200, &json!(scopes)), "{}", answer.text);
    }
}
