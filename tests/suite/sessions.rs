//! `POST /logout`, `GET /sessions` and `DELETE /sessions/{id}`.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use shared::user::Status;

use crate::{
    api::{Answer, Api, FORM, JSON, PASSWORD, hash, now},
    token::claims,
};

fn bearer(answer: &Answer) -> String {
    format!("Bearer {}", answer.access_token())
}

fn session_of(answer: &Answer) -> String {
    claims(&answer.access_token())["sid"].as_str().unwrap().to_owned()
}

async fn log_out(api: &Api, signed_in: &Answer, query: &str) -> Answer {
    api.send(Method::POST, &format!("/logout{query}"), &[("Authorization", &bearer(signed_in))], "").await
}

async fn is_alive(api: &Api, signed_in: &Answer) -> bool {
    match api.refresh(&signed_in.refresh_token()).await.status {
        200 => true,
        400 => false,
        other => panic!("{other}"),
    }
}

async fn end(api: &Api, signed_in: &Answer, id: &str) -> Answer {
    api.send(Method::DELETE, &format!("/sessions/{id}"), &[("Authorization", &bearer(signed_in))], "").await
}

#[tokio::test]
async fn logout_ends_this_session_by_default_the_others_or_all() {
    for (query, ended, this_lives, others_live) in [
        ("", 1, false, true),
        ("?sessions=this", 1, false, true),
        ("?sessions=others", 2, true, false),
        ("?sessions=all", 3, false, false),
    ] {
        let api = Api::start().await;
        api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
        let stranger = api.login(&[("username", "jane"), ("password", PASSWORD)]).await;
        let (this, one, two) = (api.sign_in().await, api.sign_in().await, api.sign_in().await);
        let answer = log_out(&api, &this, query).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "ended": ended })), "{query}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(is_alive(&api, &this).await, this_lives, "{query}");
        assert_eq!(is_alive(&api, &one).await, others_live, "{query}");
        assert_eq!(is_alive(&api, &two).await, others_live, "{query}");
        assert!(is_alive(&api, &stranger).await);
    }
}

#[tokio::test]
async fn logout_reads_the_choice_from_a_body_and_refuses_unknown_ones() {
    let api = Api::start().await;
    let this = api.sign_in().await;
    let post = async |path: &str, content_type: &str, body: &str| {
        let headers = [("Authorization", bearer(&this)), ("Content-Type", content_type.to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        api.send(Method::POST, path, &headers, body.to_owned()).await
    };
    for (content_type, body) in [(FORM, "sessions=others"), (JSON, r#"{"sessions":"others"}"#)] {
        let other = api.sign_in().await;
        assert_eq!(post("/logout", content_type, body).await.status, 200);
        assert!(!is_alive(&api, &other).await);
    }
    for (path, content_type, body, message) in [
        ("/logout?sessions=some", FORM, "", "sessions must be this, others or all"),
        ("/logout", FORM, "sessions=ALL", "sessions must be this, others or all"),
        ("/logout?sessions=all", FORM, "sessions=others", "sessions is repeated"),
        ("/logout?sessions=all&sessions=all", FORM, "", "sessions is repeated"),
        ("/logout", JSON, r#"{"sessions":true}"#, "sessions must be a string"),
    ] {
        assert_eq!(post(path, content_type, body).await.error(400, "invalid_request"), message);
    }
    assert!(is_alive(&api, &this).await);
}

#[tokio::test]
async fn the_list_shows_the_callers_live_sessions_and_marks_this_one() {
    let api = Api::start().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    api.login(&[("username", "jane"), ("password", PASSWORD)]).await;
    let headers = [("Content-Type", FORM), ("User-Agent", "Browser/1.0 (a phone)")];
    let fields = format!("username=johndoe&password={}&client_id=phone&scope=read", PASSWORD.replace(' ', "+"));
    let phone = api.send(Method::POST, "/login", &headers, fields).await;
    let (this, gone, idle) = (api.sign_in().await, api.sign_in().await, api.sign_in().await);
    log_out(&api, &gone, "").await;
    api.age_session(&session_of(&phone), 100).await;
    api.age_session(&session_of(&idle), 30 * 24 * 3600).await;

    let answer = api.get("/sessions", &[("Authorization", &bearer(&this))]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let body = answer.json();
    let shown = body["sessions"].as_array().unwrap();
    let ids: Vec<&Value> = shown.iter().map(|session| &session["id"]).collect();
    assert_eq!(ids, [&json!(session_of(&this)), &json!(session_of(&phone))]);
    assert_eq!((&shown[0]["current"], &shown[1]["current"]), (&json!(true), &json!(false)));
    let created = shown[1]["created_at"].as_u64().unwrap();
    assert!((now().0 - 110..=now().0 - 100).contains(&created));
    assert_eq!(
        shown[1],
        json!({
            "id": session_of(&phone), "created_at": created, "last_used_at": created,
            "expires_at": created + 30 * 24 * 3600, "client_id": "phone", "scope": "read", "address": "127.0.0.1",
            "user_agent": "Browser/1.0 (a phone)", "current": false,
        })
    );
    // A refresh is a use.
    api.refresh(&phone.refresh_token()).await;
    let body = api.get("/sessions", &[("Authorization", &bearer(&this))]).await.json();
    let used = body["sessions"].as_array().unwrap().iter().find(|session| session["id"] == session_of(&phone)).unwrap();
    assert!(used["last_used_at"].as_u64().unwrap() >= created + 100);
    assert_eq!(used["user_agent"], Value::Null);
}

#[tokio::test]
async fn a_session_can_be_ended_by_its_name_and_only_by_its_owner() {
    let api = Api::start().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let jane = api.login(&[("username", "jane"), ("password", PASSWORD)]).await;
    let (this, other) = (api.sign_in().await, api.sign_in().await);
    // Another's, none at all, no name, one that has ended: all the same.
    let mut answers = vec![end(&api, &this, &session_of(&jane)).await];
    for id in ["AAAAAAAAAAAAAAAAAAAAAA", "x", "%00", &"x".repeat(2000), "AAAAAAAAAAAAAAAAAAAAAA%2F"] {
        answers.push(end(&api, &this, id).await);
    }
    let answer = end(&api, &this, &session_of(&other)).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert!(answer.cookies().is_empty());
    answers.push(end(&api, &this, &session_of(&other)).await);
    for answer in &answers {
        assert_eq!(answer.error(404, "not_found"), "There is no such session");
        assert_eq!(answer.text, answers[0].text);
    }
    assert!(is_alive(&api, &jane).await && !is_alive(&api, &other).await);
    // One's own too: then it's a logout.
    let answer = end(&api, &this, &session_of(&this)).await;
    assert_eq!((answer.status, answer.cookies().len()), (204, 2));
    assert!(!is_alive(&api, &this).await);
}

#[tokio::test]
async fn without_a_token_there_is_401_and_in_an_outage_503() {
    let api = Api::start().await;
    let this = api.sign_in().await;
    let routes = [(Method::POST, "/logout"), (Method::GET, "/sessions"), (Method::DELETE, "/sessions/x")];
    for (method, path) in routes {
        for headers in [&[][..], &[("Authorization", "Bearer x")]] {
            api.send(method.clone(), path, headers, "").await.error(401, "invalid_token");
        }
    }
    // Past the gateway, the handler fails closed.
    let event = |context: Value| {
        json!({
            "resource": "/sessions", "path": "/sessions", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
            "queryStringParameters": null, "multiValueQueryStringParameters": null, "pathParameters": null,
            "stageVariables": null, "body": null, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "resourceId": "r", "stage": "prod", "requestId": "1", "resourcePath": "/sessions",
                "httpMethod": "GET", "apiId": "a", "identity": {}, "authorizer": context,
            },
        })
    };
    for context in [Value::Null, json!({}), json!({ "username": "johndoe", "scope": "" })] {
        let answer = api.invoke("sessions", &event(context)).await.unwrap();
        assert_eq!(answer["statusCode"], 401);
    }
    api.stack.stop_store().await;
    log_out(&api, &this, "").await.error(503, "temporarily_unavailable");
    api.get("/sessions", &[("Authorization", &bearer(&this))]).await.error(503, "temporarily_unavailable");
    end(&api, &this, &session_of(&this)).await.error(503, "temporarily_unavailable");
}

#[tokio::test]
async fn a_page_of_sessions_has_a_size_and_a_cursor_of_its_own() {
    let api = Api::start().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let jane = api.login(&[("username", "jane"), ("password", PASSWORD)]).await;
    let this = api.sign_in().await;
    api.sign_in().await;
    let list = async |query: &str| api.get(&format!("/sessions?{query}"), &[("Authorization", &bearer(&this))]).await;
    let first = list("limit=1").await.json();
    assert_eq!(first["sessions"].as_array().unwrap().len(), 1);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = list(&format!("limit=1&cursor={cursor}")).await.json();
    assert_eq!((second["sessions"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    assert_ne!(first["sessions"][0]["id"], second["sessions"][0]["id"]);
    for limit in ["0", "101", "-1", "x", ""] {
        let message = list(&format!("limit={limit}")).await.error(400, "invalid_request");
        assert_eq!(message, "limit must be a whole number from 1 to 100", "{limit}");
    }
    for cursor in ["x", "", "U0VTU0lPTiNqYW5l", &session_of(&this)] {
        let message = list(&format!("cursor={cursor}")).await.error(400, "invalid_request");
        assert_eq!(message, "cursor is not one of a page's", "{cursor}");
    }
    // A cursor names a place among the caller's own sessions, whoever's session it was made of.
    let cursor = shared::lambda::page::cursor(&session_of(&jane));
    let rest = list(&format!("cursor={cursor}")).await.json();
    assert!(rest["sessions"].as_array().unwrap().iter().all(|session| session["id"] != session_of(&jane)));
}

#[tokio::test]
async fn hundreds_of_sessions_are_listed_and_ended() {
    let api = Api::start().await;
    let this = api.sign_in().await;
    let username = "johndoe".parse().unwrap();
    let mut rng = rand::rand_core::UnwrapErr(rand::rngs::SysRng);
    let template = api.session(&session_of(&this)).await.unwrap();
    for _ in 0..300 {
        let id = shared::session::SessionId::generate(&mut rng);
        api.store.add_session(&username, &shared::session::Session { id, ..template.clone() }).await.unwrap();
    }
    let (mut path, mut listed, mut marked) = ("/sessions".to_owned(), HashSet::new(), 0);
    for size in [100, 100, 100, 1] {
        let body = api.get(&path, &[("Authorization", &bearer(&this))]).await.json();
        let shown = body["sessions"].as_array().unwrap();
        assert_eq!(shown.len(), size);
        listed.extend(shown.iter().map(|session| session["id"].as_str().unwrap().to_owned()));
        marked += shown.iter().filter(|session| session["current"] == true).count();
        path = format!("/sessions?cursor={}", body["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!((listed.len(), marked, path.as_str()), (301, 1, "/sessions?cursor="));
    let mut ended = 0;
    loop {
        let body = log_out(&api, &this, "?sessions=others").await.json();
        ended += body["ended"].as_u64().unwrap();
        // A busy machine takes several calls.
        match body.get("more") {
            None => break,
            more => assert_eq!(more, Some(&json!(true))),
        }
    }
    assert_eq!(ended, 300);
    assert_eq!(api.store.sessions(&username).await.unwrap().len(), 1);
}
