//! Tokens in cookies, for web apps.

use reqwest::Method;
use serde_json::json;

use crate::api::{Answer, Api, FORM, JSON, PASSWORD, Setup, form};

const LISTED: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";

const PASSWORD_FIELDS: [(&str, &str); 3] = [("username", "johndoe"), ("password", PASSWORD), ("cookie", "true")];
const REFRESH_FIELDS: [(&str, &str); 1] = [("grant_type", "refresh_token")];

async fn api() -> Api {
    Api::with(Setup { parameters: vec![("CorsOrigins", LISTED)], ..Setup::default() }).await
}

async fn post(api: &Api, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Content-Type", FORM)]).collect();
    api.send(Method::POST, path, &headers, form(fields)).await
}

/// The `Cookie` header that a browser sends after this answer.
#[track_caller]
fn jar(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let pairs: Vec<String> = answer.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

#[track_caller]
fn cookie(answer: &Answer, name: &str) -> String {
    answer.cookies().into_iter().find(|(found, _)| found == name).unwrap().1
}

#[tokio::test]
async fn a_sign_in_with_cookies_puts_no_token_into_the_body() {
    let api = api().await;
    let json = json!({ "username": "johndoe", "password": PASSWORD, "cookie": true }).to_string();
    for answer in [
        post(&api, "/login", &PASSWORD_FIELDS, &[]).await,
        api.send(Method::POST, "/login", &[("Content-Type", JSON)], json).await,
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({ "token_type": "bearer", "expires_in": 1800, "scope": "read write" }));
        let headers: Vec<&str> =
            answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(headers.len(), 2);
        for (header, name, age) in
            [(headers[0], "__Host-access_token", "1800"), (headers[1], "__Host-refresh_token", "2592000")]
        {
            let (pair, attributes) = header.split_once("; ").unwrap();
            assert!(pair.starts_with(&format!("{name}=")), "{name}");
            assert_eq!(attributes, format!("Max-Age={age}; Path=/; HttpOnly; Secure; SameSite=Strict"));
            assert!(header.len() < 4096);
        }
        let greeting = api.get("/protected", &[("Cookie", &jar(&answer))]).await;
        assert_eq!(greeting.json()["message"], "Hello johndoe, you are authenticated!");
    }
    let without = post(&api, "/login", &PASSWORD_FIELDS[..2], &[]).await;
    assert!(without.cookies().is_empty());
    post(&api, "/login", &[("username", "johndoe"), ("password", PASSWORD), ("cookie", "1")], &[])
        .await
        .error(400, "invalid_request");
}

#[tokio::test]
async fn payload_2_0_gets_the_cookies_as_a_list_and_sends_them_so() {
    let api = api().await;
    let event = |method: &str, path: &str, body: &str, cookies: &[String], origin: Option<&str>| {
        let mut headers = json!({ "content-type": FORM, "host": "a.example" });
        if let Some(origin) = origin {
            headers["origin"] = json!(origin);
        }
        json!({
            "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path, "rawQueryString": "",
            "headers": headers, "cookies": cookies, "isBase64Encoded": false, "body": body,
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "a.example", "requestId": "1", "stage": "$default",
                "routeKey": format!("{method} {path}"), "time": "12/Mar/2026:19:03:58 +0000",
                "timeEpoch": 1_773_342_238_000_u64,
                "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "x" },
            },
        })
    };
    let answer = api.invoke("login", &event("POST", "/login", &form(&PASSWORD_FIELDS), &[], None)).await.unwrap();
    let cookies: Vec<String> = answer["cookies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cookie| cookie.as_str().unwrap().split_once(';').unwrap().0.to_owned())
        .collect();
    for cookie in &cookies {
        api.keep_secret(cookie.split_once('=').unwrap().1);
    }
    assert_eq!(cookies.len(), 2);
    assert!(answer["headers"].get("set-cookie").is_none());
    let authorize = async |method: &str, origin: Option<&str>| {
        let answer = api.invoke("authorizer", &event(method, "/protected", "", &cookies, origin)).await.unwrap();
        answer["isAuthorized"].as_bool().unwrap()
    };
    assert!(authorize("GET", None).await);
    assert!(!authorize("POST", None).await);
    assert!(!authorize("POST", Some(EVIL)).await);
    assert!(authorize("POST", Some("https://a.example")).await);
    assert!(authorize("POST", Some(LISTED)).await);
    let refresh = event("POST", "/login", &form(&REFRESH_FIELDS), &cookies, Some("https://a.example"));
    let answer = api.invoke("login", &refresh).await.unwrap();
    assert_eq!((answer["statusCode"].as_u64(), answer["cookies"].as_array().unwrap().len()), (Some(200), 2));
}

#[tokio::test]
async fn a_refresh_by_cookie_renews_cookies_without_showing_tokens() {
    let api = api().await;
    let own = api.stack.url().to_owned();
    let signed_in = post(&api, "/login", &PASSWORD_FIELDS, &[]).await;
    for fields in [&REFRESH_FIELDS[..], &[("grant_type", "refresh_token"), ("cookie", "false")]] {
        let answer = post(&api, "/login", fields, &[("Cookie", &jar(&signed_in)), ("Origin", &own)]).await;
        assert_eq!(answer.json(), json!({ "token_type": "bearer", "expires_in": 1800, "scope": "read write" }));
        assert_ne!(cookie(&answer, "__Host-refresh_token"), cookie(&signed_in, "__Host-refresh_token"));
        assert_eq!(api.get("/protected", &[("Cookie", &jar(&answer))]).await.status, 200);
    }
}

#[tokio::test]
async fn a_refresh_by_cookie_must_come_from_a_page_that_may_act() {
    let api = api().await;
    let own = api.stack.url().to_owned();
    let signed_in = post(&api, "/login", &PASSWORD_FIELDS, &[]).await;
    let jar = jar(&signed_in);
    for headers in [
        &[][..],
        &[("Origin", EVIL)],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Origin", &own), ("Sec-Fetch-Site", "cross-site")],
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Cookie", jar.as_str())]).collect();
        let answer = post(&api, "/login", &REFRESH_FIELDS, &headers).await;
        assert!(answer.error(401, "invalid_grant").contains("origin"), "{headers:?}");
        assert!(answer.cookies().is_empty());
    }
    // None of them has used the token up.
    for headers in [&[("Sec-Fetch-Site", "same-origin")][..], &[("Origin", LISTED)], &[("Origin", &own)]] {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Cookie", jar.as_str())]).collect();
        assert_eq!(post(&api, "/login", &REFRESH_FIELDS, &headers).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_can_not_sign_a_visitor_in() {
    let api = api().await;
    let own = api.stack.url().to_owned();
    for headers in [("Origin", EVIL), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        let answer = post(&api, "/login", &PASSWORD_FIELDS, &[headers]).await;
        answer.error(401, "invalid_grant");
        assert!(answer.cookies().is_empty());
        // Without cookies it can: there is nothing that stays in the browser.
        assert_eq!(post(&api, "/login", &PASSWORD_FIELDS[..2], &[headers]).await.status, 200);
    }
    for origin in [own.as_str(), LISTED] {
        assert_eq!(post(&api, "/login", &PASSWORD_FIELDS, &[("Origin", origin)]).await.cookies().len(), 2);
    }
}

#[tokio::test]
async fn tokens_move_into_cookies_and_two_different_ones_are_refused() {
    let api = api().await;
    let in_body = api.sign_in().await.refresh_token();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", in_body.as_str()), ("cookie", "true")];
    let answer = post(&api, "/login", &fields, &[]).await;
    assert_eq!((answer.status, answer.cookies().len()), (200, 2));
    let other = post(&api, "/login", &PASSWORD_FIELDS, &[]).await;
    let answer = post(&api, "/login", &fields, &[("Cookie", &jar(&other))]).await;
    assert_eq!(answer.error(400, "invalid_request"), "refresh_token is not the one in the cookie");
}

#[tokio::test]
async fn a_changing_method_with_a_cookie_needs_the_right_page() {
    let api = api().await;
    let own = api.stack.url().to_owned();
    let signed_in = post(&api, "/login", &PASSWORD_FIELDS, &[]).await;
    let jar = jar(&signed_in);
    for headers in [&[][..], &[("Origin", EVIL)], &[("Sec-Fetch-Site", "same-site")], &[("Sec-Fetch-Site", "none")]] {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Cookie", jar.as_str())]).collect();
        for (method, path) in [(Method::POST, "/logout"), (Method::DELETE, "/sessions/AAAAAAAAAAAAAAAAAAAAAA")] {
            api.send(method, path, &headers, "").await.error(401, "invalid_token");
        }
        // What only reads is for CORS to keep from the page.
        assert_eq!(api.get("/sessions", &headers).await.status, 200);
    }
    for headers in [&[("Origin", own.as_str())][..], &[("Origin", LISTED)], &[("Sec-Fetch-Site", "same-origin")]] {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Cookie", jar.as_str())]).collect();
        let answer = api.send(Method::DELETE, "/sessions/AAAAAAAAAAAAAAAAAAAAAA", &headers, "").await;
        assert_eq!(answer.status, 404, "{headers:?}");
    }
    // A token in the header is there because a script put it there.
    let bearer = format!("Bearer {}", cookie(&signed_in, "__Host-access_token"));
    let answer = api.send(Method::POST, "/logout", &[("Authorization", &bearer), ("Cookie", &jar)], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn logout_takes_the_cookies_back() {
    let api = api().await;
    let own = api.stack.url().to_owned();
    for (query, cleared) in [("", true), ("?sessions=all", true), ("?sessions=others", false)] {
        let signed_in = post(&api, "/login", &PASSWORD_FIELDS, &[]).await;
        let headers = [("Cookie", jar(&signed_in)), ("Origin", own.clone())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = api.send(Method::POST, &format!("/logout{query}"), &headers, "").await;
        assert_eq!(answer.status, 200);
        let set: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        let expected: Vec<String> = ["access", "refresh"]
            .iter()
            .map(|kind| format!("__Host-{kind}_token=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict"))
            .collect();
        assert_eq!(set, if cleared { expected } else { Vec::new() }, "{query}");
    }
}

#[tokio::test]
async fn a_header_and_a_cookie_that_differ_are_refused() {
    let api = api().await;
    let (one, two) = (post(&api, "/login", &PASSWORD_FIELDS, &[]).await, api.token().await);
    let headers = [("Cookie", jar(&one)), ("Authorization", format!("Bearer {two}"))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    api.get("/protected", &headers).await.error(401, "invalid_token");
    let twice = format!("{}; {}", jar(&one), jar(&one));
    api.get("/protected", &[("Cookie", &twice)]).await.error(401, "invalid_token");
}

#[tokio::test]
async fn cookies_that_no_browser_would_keep_are_not_set() {
    let scopes: Vec<String> = (0..100).map(|number| format!("scope:{number:03}")).collect();
    let scopes: &'static str = scopes.join(" ").leak();
    let audience: &'static str = "a".repeat(256).leak();
    let issuer: &'static str = format!("https://id.example.com/{}", "i".repeat(1500)).leak();
    let api = Api::with(Setup {
        johndoe: (PASSWORD, scopes),
        parameters: vec![("Audience", audience), ("Issuer", issuer)],
        ..Setup::default()
    })
    .await;
    let answer = post(&api, "/login", &PASSWORD_FIELDS, &[]).await;
    assert!(answer.error(400, "invalid_request").contains("too long for cookies"));
    assert!(api.store.sessions(&"johndoe".parse().unwrap()).await.unwrap().is_empty());
    let fewer: Vec<(&str, &str)> = PASSWORD_FIELDS.iter().copied().chain([("scope", "scope:001")]).collect();
    assert_eq!(post(&api, "/login", &fewer, &[]).await.cookies().len(), 2);
}

#[tokio::test]
async fn only_a_listed_origin_may_read_answers_with_cookies() {
    let api = api().await;
    let signed_in = post(&api, "/login", &PASSWORD_FIELDS, &[("Origin", LISTED)]).await;
    let jar = jar(&signed_in);
    for (origin, allowed) in [(LISTED, true), (EVIL, false)] {
        let preflight = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        for answer in [
            api.get("/protected", &[("Origin", origin), ("Cookie", &jar)]).await,
            api.get("/sessions", &[("Origin", origin), ("Cookie", &jar)]).await,
            api.send(Method::OPTIONS, "/logout", &preflight, "").await,
            api.send(Method::OPTIONS, "/sessions/x", &preflight, "").await,
        ] {
            assert!([200, 204].contains(&answer.status));
            assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
            assert_eq!(answer.header("access-control-allow-credentials"), allowed.then_some("true"));
        }
        // The gateway's own answers name the one origin, whoever asks.
        let answer = api.get("/protected", &[("Origin", origin)]).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(LISTED));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    }
}
