//! Pages of other origins.

use reqwest::Method;

use crate::api::{Answer, Api, FORM, Setup};

const FIRST: &str = "https://app.example.com";
const SECOND: &str = "http://localhost:5173";

async fn api() -> Api {
    Api::with(Setup {
        parameters: vec![("CorsOrigins", "https://app.example.com,http://localhost:5173")],
        ..Setup::default()
    })
    .await
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn without_the_setting_no_answer_has_a_header_of_cors() {
    let api = Api::start().await;
    for path in ["/", "/protected", "/nowhere"] {
        let answer = api.get(path, &[("Origin", FIRST)]).await;
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-allow-origin")), "{path}");
    }
}

#[tokio::test]
async fn a_listed_origin_may_read_answers_and_no_other_may() {
    let api = api().await;
    let bearer = format!("Bearer {}", api.token().await);
    for origin in [FIRST, SECOND] {
        assert_eq!(allowed(&api.get("/", &[("Origin", origin)]).await), Some(origin));
        let answer = api.get("/protected", &[("Origin", origin), ("Authorization", &bearer)]).await;
        assert_eq!((answer.status, allowed(&answer), answer.header("vary")), (200, Some(origin), Some("Origin")));
        let answer = api.send(Method::POST, "/login", &[("Origin", origin), ("Content-Type", FORM)], "").await;
        assert_eq!((answer.status, allowed(&answer)), (400, Some(origin)));
    }
    for origin in ["https://evil.example", "https://app.example.com.evil.example", "null"] {
        let answer = api.get("/protected", &[("Origin", origin), ("Authorization", &bearer)]).await;
        assert_eq!((answer.status, allowed(&answer)), (200, None), "{origin}");
    }
}

#[tokio::test]
async fn preflights_are_answered_on_every_route_without_a_token() {
    let api = api().await;
    for path in ["/", "/login", "/protected"] {
        for origin in [FIRST, SECOND] {
            let headers = [("Origin", origin), ("Access-Control-Request-Method", "GET")];
            let answer = api.send(Method::OPTIONS, path, &headers, "").await;
            assert_eq!((answer.status, allowed(&answer)), (204, Some(origin)), "{path}");
            assert_eq!(answer.header("access-control-allow-headers"), Some("Authorization, Content-Type"));
            assert!(answer.header("access-control-allow-methods").unwrap().contains("GET"));
        }
        let answer = api.send(Method::OPTIONS, path, &[("Origin", "https://evil.example")], "").await;
        assert_eq!((answer.status, allowed(&answer)), (204, None));
    }
}

#[tokio::test]
async fn what_the_gateway_answers_itself_names_the_first_origin_only() {
    let api = api().await;
    for (path, status) in [("/protected", 401), ("/nowhere", 404)] {
        for origin in [FIRST, SECOND, "https://evil.example"] {
            let answer = api.get(path, &[("Origin", origin)]).await;
            assert_eq!((answer.status, allowed(&answer)), (status, Some(FIRST)));
        }
    }
}
