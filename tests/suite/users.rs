//! `GET /users`, and `GET`, `PATCH` and `DELETE /users/{username}`.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use shared::user::Status;

use crate::{
    api::{Answer, Api, FORM, JSON, PASSWORD, Setup, hash, now},
    proxy::{Cut, Proxy},
};

const ADMIN: &str = "users:read users:write";

/// A stack whose johndoe administers users, and his `Authorization` header.
async fn administered() -> (Api, String) {
    let api = Api::with(Setup { johndoe: (PASSWORD, ADMIN), ..Setup::default() }).await;
    let bearer = format!("Bearer {}", api.token().await);
    (api, bearer)
}

async fn send(api: &Api, bearer: &str, method: Method, path: &str, body: &Value) -> Answer {
    let headers = [("Authorization", bearer), ("Content-Type", JSON)];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = api.send(method, path, &headers, body).await;
    for mark in ["bcrypt", "$2b$", "password_hash", "password_version", "USER#", "SESSION#", "ATTEMPT#"] {
        assert!(!answer.text.contains(mark), "{}", answer.text);
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

async fn get(api: &Api, bearer: &str, path: &str) -> Answer {
    send(api, bearer, Method::GET, path, &Value::Null).await
}

async fn patch(api: &Api, bearer: &str, path: &str, body: Value) -> Answer {
    send(api, bearer, Method::PATCH, path, &body).await
}

async fn delete(api: &Api, bearer: &str, path: &str) -> Answer {
    send(api, bearer, Method::DELETE, path, &Value::Null).await
}

async fn sign_in(api: &Api, username: &str) -> Answer {
    api.login(&[("username", username), ("password", PASSWORD)]).await
}

#[tokio::test]
async fn a_user_is_shown_as_registered_however_the_path_is_written() {
    let (api, bearer) = administered().await;
    api.add_user("Jane+Doe@Example.com", hash(PASSWORD), "write read", Status::Active).await;
    api.add_user("users", hash(PASSWORD), "", Status::Disabled).await;
    for path in [
        "/users/Jane+Doe@Example.com",
        "/users/jane+doe@example.com",
        "/users/jane%2Bdoe%40example.com",
        "/users/%4Aane%2bdoe@example%2Ecom",
    ] {
        let answer = get(&api, &bearer, path).await;
        assert_eq!(answer.status, 200, "{path}");
        let body = answer.json();
        let made = body["created_at"].as_u64().unwrap();
        assert!((now().0 - 60..=now().0).contains(&made));
        assert_eq!(
            body,
            json!({
                "username": "Jane+Doe@Example.com", "status": "active", "scopes": ["read", "write"],
                "created_at": made, "updated_at": made,
            })
        );
    }
    let body = get(&api, &bearer, "/users/users").await.json();
    assert_eq!((&body["status"], &body["scopes"]), (&json!("disabled"), &json!([])));
}

#[tokio::test]
async fn whom_nobody_knows_is_not_found() {
    let (api, bearer) = administered().await;
    let too_long = "x".repeat(65);
    for name in ["nobody", "a%2Fb", "%00", "%FF", "a%20b", "a%23b", "%25", too_long.as_str()] {
        let path = format!("/users/{name}");
        for answer in [
            get(&api, &bearer, &path).await,
            patch(&api, &bearer, &path, json!({ "status": "disabled" })).await,
            patch(&api, &bearer, &path, json!({ "status": "active" })).await,
            patch(&api, &bearer, &path, json!({ "scopes": [] })).await,
            delete(&api, &bearer, &path).await,
        ] {
            assert_eq!(answer.error(404, "not_found"), "There is no such user", "{name}");
        }
    }
}

/// Follows the cursors to the end; gives the names of each page.
async fn pages(api: &Api, bearer: &str, limit: Option<usize>) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut query = limit.map_or(String::new(), |limit| format!("limit={limit}"));
    loop {
        let body = get(api, bearer, &format!("/users?{query}")).await.json();
        let names = body["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned());
        pages.push(names.collect());
        let Some(cursor) = body["next_cursor"].as_str() else { return pages };
        query = limit.map_or(format!("cursor={cursor}"), |limit| format!("cursor={cursor}&limit={limit}"));
        assert!(pages.len() < 300, "no end");
    }
}

#[tokio::test]
async fn every_user_of_250_is_on_exactly_one_page() {
    let (api, bearer) = administered().await;
    let hash = hash(PASSWORD);
    let mut all = BTreeSet::from(["johndoe".to_owned()]);
    for number in 1..250 {
        let name = format!("User.{number}@example.com");
        api.add_user(&name, hash.clone(), if number % 3 == 0 { "" } else { "read" }, Status::Active).await;
        all.insert(name);
    }
    for limit in [None, Some(1), Some(7), Some(50), Some(100)] {
        let pages = pages(&api, &bearer, limit).await;
        let size = limit.unwrap_or(25);
        let (last, full) = pages.split_last().unwrap();
        assert!(full.iter().all(|page| page.len() == size) && (1..=size).contains(&last.len()), "{limit:?}");
        let names: Vec<String> = pages.concat();
        assert_eq!(names.len(), 250, "{limit:?}");
        assert!(names.is_sorted_by_key(|name| name.to_ascii_lowercase()), "{names:?}");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), all, "{limit:?}");
    }
}

#[tokio::test]
async fn rows_of_other_kinds_are_neither_listed_nor_in_the_way() {
    let (api, bearer) = administered().await;
    for name in ["one", "two", "three"] {
        api.add_user(name, hash(PASSWORD), "", Status::Active).await;
        sign_in(&api, name).await;
        sign_in(&api, "nobody").await;
    }
    // More than DynamoDB reads at once.
    api.add_filler(60, 100_000).await;
    for limit in [None, Some(1), Some(2)] {
        let names: BTreeSet<String> = pages(&api, &bearer, limit).await.concat().into_iter().collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["johndoe", "one", "three", "two"]);
    }
}

#[tokio::test]
async fn a_cursor_is_no_way_to_other_rows() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    for text in ["SESSION#johndoe", "USER#johndoe", "a b", "", "jane\0USER", "{\"pk\":\"KEYS\"}", &"x".repeat(65)] {
        let answer = get(&api, &bearer, &format!("/users?cursor={}", URL_SAFE_NO_PAD.encode(text))).await;
        assert!(answer.error(400, "invalid_request").starts_with("cursor "), "{text}");
    }
    for (query, field) in [
        ("cursor=!", "cursor"),
        ("cursor=amFuZQ%3D%3D", "cursor"),
        ("cursor=amFuZQ&cursor=amFuZQ", "cursor"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=99999999999999999999", "limit"),
    ] {
        let answer = get(&api, &bearer, &format!("/users?{query}")).await;
        assert!(answer.error(400, "invalid_request").starts_with(&format!("{field} ")), "{query}");
    }
    // A name that nobody has is a place like any other, and says nothing of who is there.
    for name in ["nobody", "KEYS", "johndoe", "JANE"] {
        let answer = get(&api, &bearer, &format!("/users?cursor={}", URL_SAFE_NO_PAD.encode(name))).await;
        assert_eq!(answer.status, 200, "{name}");
        assert!(answer.json()["users"].as_array().unwrap().len() <= 2);
    }
}

#[tokio::test]
async fn scopes_are_set_from_a_list_or_a_text() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "old", Status::Active).await;
    for (body, scopes) in [
        (json!({ "scopes": ["b", "a", "b"] }), vec!["a", "b"]),
        (json!({ "scopes": "d c" }), vec!["c", "d"]),
        (json!({ "scopes": ["x"], "status": null }), vec!["x"]),
        (json!({ "scopes": [] }), vec![]),
        (json!({ "scopes": "y" }), vec!["y"]),
        (json!({ "scopes": "" }), vec![]),
        (json!({ "scopes": ["a"], "status": "active" }), vec!["a"]),
    ] {
        let answer = patch(&api, &bearer, "/users/jane", body.clone()).await;
        assert_eq!((answer.status, &answer.json()["scopes"]), (200, &json!(scopes)), "{body}");
        let answer = sign_in(&api, "jane").await.json();
        assert_eq!(answer["scope"].as_str().unwrap_or_default(), scopes.join(" "));
    }
    let form = [("Authorization", bearer.as_str()), ("Content-Type", FORM)];
    let answer = api.send(Method::PATCH, "/users/jane", &form, "scopes=b+a&status=active").await;
    assert_eq!(answer.json()["scopes"], json!(["a", "b"]));
}

#[tokio::test]
async fn the_log_says_who_gave_what_to_whom() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "old", Status::Active).await;
    for (body, status, scope) in [
        (json!({ "scopes": ["b", "a"] }), None, Some("a b")),
        (json!({ "status": "disabled" }), Some("disabled"), None),
        (json!({ "status": "active", "scopes": [] }), Some("active"), Some("")),
    ] {
        assert_eq!(patch(&api, &bearer, "/users/jane", body.clone()).await.status, 200);
        let mut lines = api.lines();
        lines.retain(|line| line["function"] == "users");
        let line = lines.last().unwrap();
        assert_eq!((line["outcome"].as_str(), line["account"].as_str()), (Some("changed"), Some("jane")), "{line}");
        assert!(line["user"].is_string() && line["session"].is_string(), "{line}");
        assert_eq!((line["status"].as_str(), line["scope"].as_str()), (status, scope), "{body}: {line}");
    }
}

#[tokio::test]
async fn what_a_change_does_not_know_or_lacks_is_named() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "old", Status::Active).await;
    for (body, field) in [
        (json!({}), "status and scopes are missing"),
        (json!({ "status": null }), "status and scopes are missing"),
        (json!({ "status": "gone" }), "status must be active or disabled"),
        (json!({ "status": "ACTIVE" }), "status must be active or disabled"),
        (json!({ "status": true }), "status must be a string"),
        (json!({ "status": ["active"] }), "status must be a string"),
        (json!({ "scopes": ["a b"] }), "scopes must be"),
        (json!({ "scopes": [""] }), "scopes must be"),
        (json!({ "scopes": "a  b" }), "scopes must be"),
        (json!({ "scopes": ["ä"] }), "scopes must be"),
        (json!({ "scopes": [1] }), "scopes must be"),
        (json!({ "scopes": { "a": 1 } }), "scopes must be"),
        (json!({ "scopes": [["a"]] }), "scopes must be"),
        (json!({ "scopes": "x".repeat(1025) }), "scopes must be"),
        (json!({ "status": "disabled", "scope": "a" }), "scope is not a field of this request"),
        (json!({ "status": "disabled", "password": "x" }), "password is not a field"),
        (json!({ "status": "disabled", "username": "other" }), "username is not a field"),
        (json!("status"), "The body is not a JSON object"),
        (Value::Null, "The body is not a JSON object"),
    ] {
        let answer = patch(&api, &bearer, "/users/jane", body.clone()).await;
        let message = answer.error(400, "invalid_request");
        assert!(message.starts_with(field), "{body}: {message}");
    }
    let user = api.user("jane").await;
    assert_eq!((user.status, user.scopes.to_string().as_str()), (Status::Active, "old"));
}

#[tokio::test]
async fn a_disabled_user_signs_in_no_more_and_all_sessions_end() {
    for (status_of_tokens, parameters) in [(200, vec![("LiveRevocation", "off")]), (401, vec![("LiveRevocation", "0")])]
    {
        let api = Api::with(Setup { johndoe: (PASSWORD, ADMIN), parameters, ..Setup::default() }).await;
        let bearer = format!("Bearer {}", api.token().await);
        api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
        let (one, two) = (sign_in(&api, "jane").await, sign_in(&api, "jane").await);
        let answer = patch(&api, &bearer, "/users/Jane", json!({ "status": "disabled" })).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("disabled")));
        // Once more changes nothing.
        assert_eq!(patch(&api, &bearer, "/users/jane", json!({ "status": "disabled" })).await.status, 200);
        assert_eq!(sign_in(&api, "jane").await.error(401, "invalid_grant"), "Invalid credentials");
        for session in [&one, &two] {
            api.refresh(&session.refresh_token()).await.error(400, "invalid_grant");
            let status = api.protected(&format!("Bearer {}", session.access_token())).await.status;
            assert_eq!(status, status_of_tokens);
        }
        assert!(api.store.sessions(&"jane".parse().unwrap()).await.unwrap().is_empty());
        // Back again, the old sessions stay over.
        assert_eq!(patch(&api, &bearer, "/users/jane", json!({ "status": "active" })).await.status, 200);
        assert_eq!(sign_in(&api, "jane").await.status, 200);
        api.refresh(&one.refresh_token()).await.error(400, "invalid_grant");
        assert!(api.protected(&bearer).await.status == 200);
    }
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_all_sessions_and_keeps_the_name() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let session = sign_in(&api, "jane").await;
    let answer = delete(&api, &bearer, "/users/JANE").await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    get(&api, &bearer, "/users/jane").await.error(404, "not_found");
    delete(&api, &bearer, "/users/jane").await.error(404, "not_found");
    sign_in(&api, "jane").await.error(401, "invalid_grant");
    api.refresh(&session.refresh_token()).await.error(400, "invalid_grant");
    assert!(api.store.sessions(&"jane".parse().unwrap()).await.unwrap().is_empty());
    patch(&api, &bearer, "/users/jane", json!({ "status": "active" })).await.error(404, "not_found");
    let body = json!({ "username": "Jane", "password": "a long enough one" }).to_string();
    let answer = api.send(Method::POST, "/register", &[("Content-Type", JSON)], body).await;
    answer.error(409, "username_taken");
    assert_eq!(pages(&api, &bearer, None).await, [["johndoe"]]);
}

#[tokio::test]
async fn what_a_deleted_user_leaves_is_erased() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let before = sign_in(&api, "jane").await;
    assert_eq!(delete(&api, &bearer, "/users/jane").await.status, 204);
    // The table's stream tells the function erase of it, and of other changes of accounts.
    assert_eq!(patch(&api, &bearer, "/users/johndoe", json!({ "status": "active" })).await.status, 200);
    api.until(async || {
        let dump = api.dump().await;
        !dump.contains("CREDENTIAL#jane") && !dump.contains("SESSION#jane")
    })
    .await;
    let dump = api.dump().await;
    assert!(dump.contains("USER#jane") && dump.contains("CREDENTIAL#johndoe"), "{dump}");
    api.refresh(&before.refresh_token()).await.error(400, "invalid_grant");
}

#[tokio::test]
async fn a_prefix_lists_the_users_whose_names_begin_so() {
    let (api, bearer) = administered().await;
    for name in ["Jane", "jana", "jo"] {
        api.add_user(name, hash(PASSWORD), "", Status::Active).await;
    }
    let names = async |query: &str| {
        let body = get(&api, &bearer, &format!("/users?{query}")).await.json();
        let users = body["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned());
        users.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("prefix=JAN").await, "jana Jane");
    assert_eq!(names("prefix=j").await, "jana Jane jo johndoe");
    assert_eq!(names("prefix=").await, "jana Jane jo johndoe");
    assert_eq!(names("prefix=x").await, "");
    let cursor = URL_SAFE_NO_PAD.encode("jana");
    assert_eq!(names(&format!("prefix=JAN&cursor={cursor}")).await, "Jane");
    let answer = get(&api, &bearer, &format!("/users?prefix=jo&cursor={cursor}")).await;
    assert!(answer.error(400, "invalid_request").starts_with("cursor "), "{}", answer.text);
    for query in ["prefix=%23", "prefix=a%20b", "prefix=a&prefix=b", &format!("prefix={}", "x".repeat(65))] {
        let answer = get(&api, &bearer, &format!("/users?{query}")).await;
        assert!(answer.error(400, "invalid_request").starts_with("prefix "), "{query}");
    }
}

#[tokio::test]
async fn a_damaged_row_can_be_seen_and_deleted() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    api.damage_hash("jane").await;
    assert_eq!(get(&api, &bearer, "/users/jane").await.status, 200);
    assert_eq!(pages(&api, &bearer, None).await.concat().len(), 2);
    assert_eq!(delete(&api, &bearer, "/users/jane").await.status, 204);
}

/// The event of either payload version for a user's route, with this authorizer's context.
fn event(version: &str, method: &str, context: &Value) -> Value {
    match version {
        "1.0" => json!({
            "resource": "/users/{username}", "path": "/users/jane", "httpMethod": method, "headers": {},
            "multiValueHeaders": {}, "queryStringParameters": null, "multiValueQueryStringParameters": null,
            "pathParameters": null, "stageVariables": null, "body": null, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "resourceId": "r", "stage": "prod", "requestId": "1", "resourcePath": "/users/{username}",
                "httpMethod": method, "apiId": "a", "identity": {}, "authorizer": context,
            },
        }),
        _ => json!({
            "version": "2.0", "routeKey": "GET /users/{username}", "rawPath": "/users/jane", "rawQueryString": "",
            "headers": {}, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "a.example", "requestId": "1", "stage": "$default",
                "routeKey": "$default", "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1_773_342_238_000_u64,
                "http": {
                    "method": method, "path": "/users/jane", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                    "userAgent": "x",
                },
                "authorizer": { "lambda": context },
            },
        }),
    }
}

#[tokio::test]
async fn past_the_gateway_the_handler_asks_for_the_scope_itself() {
    let (api, _) = administered().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let context = |scope: &str| json!({ "username": "johndoe", "scope": scope, "session": "AAAAAAAAAAAAAAAAAAAAAA" });
    for version in ["1.0", "2.0"] {
        for (method, context, status) in [
            ("GET", Value::Null, 401),
            ("GET", json!({ "username": "johndoe", "scope": ADMIN }), 401),
            ("GET", context(""), 403),
            ("GET", context("users:write"), 403),
            ("GET", context("users:read"), 200),
            ("PATCH", context("users:read"), 403),
            ("DELETE", context("users:read"), 403),
            ("POST", context("users:read"), 404),
            ("POST", context(ADMIN), 404),
        ] {
            let answer = api.invoke("users", &event(version, method, &context)).await.unwrap();
            assert_eq!(answer["statusCode"], status, "{version} {method} {context}");
        }
    }
    let answer = api.invoke("users", &event("2.0", "DELETE", &context("users:write"))).await.unwrap();
    assert_eq!(answer["statusCode"], 204);
}

#[tokio::test]
async fn in_an_outage_there_is_503() {
    let (api, bearer) = administered().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    api.stack.stop_store().await;
    for answer in [
        get(&api, &bearer, "/users").await,
        get(&api, &bearer, "/users/jane").await,
        patch(&api, &bearer, "/users/jane", json!({ "status": "disabled" })).await,
        delete(&api, &bearer, "/users/jane").await,
    ] {
        answer.error(503, "temporarily_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn an_interrupted_change_bars_the_user_and_a_retry_completes_it() {
    let (api, bearer) = administered().await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("users", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    let disabled = json!({ "status": "disabled" });
    // The account's row, and two sessions.
    for (method, body) in [(Method::PATCH, &disabled), (Method::DELETE, &Value::Null)] {
        for at in 0..3 {
            for cut in [Cut::Before, Cut::After] {
                let name = format!("jane-{method}-{at}-{cut:?}").to_lowercase();
                api.add_user(&name, hash(PASSWORD), "", Status::Active).await;
                let sessions = [sign_in(&api, &name).await, sign_in(&api, &name).await];
                proxy.cut(at, cut);
                let path = format!("/users/{name}");
                let answer = send(&api, &bearer, method.clone(), &path, body).await;
                assert!(proxy.was_cut());
                proxy.heal();
                if (at, &method) == (2, &Method::DELETE) {
                    // Of a deletion, one session has ended by then, and the other is erased by itself.
                    assert_eq!(answer.status, 204, "{name}: {}", answer.text);
                } else {
                    answer.error(503, "temporarily_unavailable");
                }
                if at > 0 {
                    sign_in(&api, &name).await.error(401, "invalid_grant");
                    api.refresh(&sessions[0].refresh_token()).await.error(400, "invalid_grant");
                }
                let status = send(&api, &bearer, method.clone(), &path, body).await.status;
                // Once its row is a tombstone, there is nobody left to delete: the rest is erased by itself.
                let is_done = method == Method::DELETE && (at, cut) != (0, Cut::Before);
                let expected = match method {
                    Method::DELETE if is_done => 404,
                    Method::DELETE => 204,
                    _ => 200,
                };
                assert_eq!(status, expected, "{name}");
                if is_done {
                    let sessions = async || api.store.sessions(&name.parse().unwrap()).await.unwrap();
                    api.until(async || sessions().await.iter().all(|session| !session.is_live(now()))).await;
                }
                for session in sessions {
                    api.refresh(&session.refresh_token()).await.error(400, "invalid_grant");
                }
                let left = api.store.sessions(&name.parse().unwrap()).await.unwrap();
                assert!(left.iter().all(|session| !session.is_live(now())), "{name}");
            }
        }
    }
}
