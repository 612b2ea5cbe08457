//! `GET /`, and what isn't there.

use reqwest::Method;

use crate::api::Api;

#[tokio::test]
async fn the_welcome_page_names_the_project_its_version_and_routes() {
    let api = Api::start().await;
    let answer = api.get("/", &[]).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["name"], "Gatehouse");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    for route in body["routes"].as_array().unwrap() {
        let (method, path) = (route["method"].as_str().unwrap(), route["path"].as_str().unwrap());
        let answer = api.send(method.parse().unwrap(), path, &[], "").await;
        assert_ne!(answer.status, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn an_unknown_route_is_not_found() {
    let api = Api::start().await;
    for (method, path) in [
        (Method::GET, "/nowhere"),
        (Method::GET, "/login"),
        (Method::POST, "/protected"),
        (Method::DELETE, "/"),
        (Method::GET, "/protected/more"),
        (Method::GET, "/PROTECTED"),
    ] {
        api.send(method, path, &[], "").await.error(404, "not_found");
    }
    // Not even with an Authorization header that AWS would take for a broken signature of its own.
    api.get("/nowhere", &[("Authorization", "Bearer x")]).await.error(404, "not_found");
}

#[tokio::test]
async fn an_address_that_makes_no_uri_is_no_crash() {
    let api = Api::start().await;
    for (name, value) in [
        ("X-Forwarded-Proto", "::"),
        ("X-Forwarded-Proto", "h t"),
        ("X-Forwarded-Host", "["),
        ("Host", "%%"),
        ("Host", "a b[]"),
    ] {
        let answer = api.get("/?a=%20%00%FF&a=b&c", &[(name, value)]).await;
        assert_eq!(answer.status, 200, "{name}: {value}");
    }
}
