//! The headers that every answer has, the gateway's own included.

use futures_util::future::join_all;
use reqwest::Method;
use serde_yaml_ng::Value as Yaml;
use shared::routes::{self, Access, Route};

use crate::{
    api::{Answer, Api, FORM, JSON, PASSWORD, Setup, form, root},
    outage::authorizer_without_keys,
};

const HEADERS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

#[track_caller]
fn assert_headers(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    for (name, value) in HEADERS {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{name} of {status} {}", answer.text);
    }
}

/// A call of a route as its caller would do it, with the status of its answer.
struct Sample {
    route: Route,
    path: &'static str,
    body: String,
    status: u16,
}

fn samples(refresh: &str) -> Vec<Sample> {
    let sample = |route, path, body: &str, status| Sample { route, path, body: body.to_owned(), status };
    let sign_in = form(&[("username", "johndoe"), ("password", PASSWORD)]);
    vec![
        sample(routes::WELCOME, "/", "", 200),
        sample(routes::KEY_SET, "/.well-known/jwks.json", "", 200),
        sample(routes::SERVER_METADATA, "/.well-known/oauth-authorization-server", "", 200),
        sample(routes::OPENID_CONFIGURATION, "/.well-known/openid-configuration", "", 200),
        sample(routes::LOGIN, "/login", &sign_in, 200),
        sample(routes::REGISTER, "/register", "username=joe&password=a+long+enough+one", 201),
        sample(routes::PROTECTED, "/protected", "", 200),
        sample(routes::LIST_SESSIONS, "/sessions", "", 200),
        sample(routes::LIST_USERS, "/users", "", 200),
        sample(routes::SHOW_USER, "/users/joe", "", 200),
        sample(routes::CHANGE_USER, "/users/joe", "status=active", 200),
        sample(routes::DELETE_USER, "/users/joe", "", 204),
        sample(routes::END_SESSION, "/sessions/AAAAAAAAAAAAAAAAAAAAAA", "", 404),
        sample(routes::CHANGE_PASSWORD, "/password", "", 400),
        sample(routes::REVOKE, "/revoke", &form(&[("token", refresh)]), 200),
        sample(routes::LOGOUT, "/logout", "sessions=this", 200),
    ]
}

async fn call(api: &Api, sample: &Sample, headers: &[(&str, &str)]) -> Answer {
    let mut headers = headers.to_vec();
    if !sample.body.is_empty() {
        headers.push(("Content-Type", FORM));
    }
    api.send(sample.route.method.parse().unwrap(), sample.path, &headers, sample.body.clone()).await
}

#[tokio::test]
async fn every_route_answers_with_them_whatever_it_answers() {
    let api = Api::with(Setup { johndoe: (PASSWORD, "users:read users:write"), ..Setup::default() }).await;
    let signed_in = api.sign_in().await;
    let refresh = api.sign_in().await.refresh_token();
    let bearer = format!("Bearer {}", signed_in.access_token());
    let samples = samples(&refresh);
    let routes: Vec<_> = samples.iter().map(|sample| (sample.route.method, sample.route.path)).collect();
    for route in routes::ALL {
        assert!(routes.contains(&(route.method, route.path)), "{} {} is not tried", route.method, route.path);
    }
    for sample in &samples {
        assert_headers(&call(&api, sample, &[("Authorization", &bearer)]).await, sample.status);
        assert_headers(&api.send(Method::OPTIONS, sample.path, &[], "").await, 204);
        if sample.route.access != Access::Anyone {
            // The gateway's own word.
            assert_headers(&call(&api, sample, &[]).await, 401);
        }
    }
    // What a function refuses.
    assert_headers(&api.login(&[("username", "johndoe"), ("password", "wrong password")]).await, 401);
    assert_headers(&api.send(Method::POST, "/login", &[("Content-Type", JSON)], "{").await, 400);
    while api.login(&[("username", "jane"), ("password", "wrong password")]).await.status != 429 {}
    assert_headers(&api.login(&[("username", "jane"), ("password", "wrong password")]).await, 429);
    api.stack.stop_store().await;
    // Neither what needs no store, nor what is kept for a while.
    let needs_store = |sample: &&Sample| {
        !["/", "/protected", "/password", "/revoke"].contains(&sample.path) && !sample.path.starts_with("/.well-known")
    };
    let authorization = [("Authorization", bearer.as_str())];
    let answers = samples.iter().filter(needs_store).map(|sample| call(&api, sample, &authorization));
    for answer in join_all(answers).await {
        assert_headers(&answer, 503);
    }
}

#[tokio::test]
async fn what_the_gateway_answers_itself_has_them_too() {
    let api = Api::start().await;
    let bearer = format!("Bearer {}", api.token().await);
    assert_headers(&api.protected("Bearer x").await, 401);
    assert_headers(&api.get("/users", &[("Authorization", &bearer)]).await, 403);
    assert_headers(&api.get("/nowhere", &[]).await, 404);
    let too_large = vec![b'x'; 10 * 1024 * 1024 + 1];
    assert_headers(&api.send(Method::POST, "/login", &[("Content-Type", FORM)], too_large).await, 413);

    let mut broken = authorizer_without_keys();
    broken.environment.push(("login", "BCRYPT_COST", "99".to_owned()));
    let api = Api::with(broken).await;
    assert_headers(&api.protected("Bearer x").await, 503);
    assert_headers(&api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await, 502);
}

/// The gateway on a laptop doesn't make all of them: it throttles nobody, for one.
#[test]
fn every_gateway_response_of_the_template_has_them() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let template: Yaml = serde_yaml_ng::from_str(&template).unwrap();
    let responses = template["Resources"]["Api"]["Properties"]["GatewayResponses"].as_mapping().unwrap();
    for kind in ["DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "REQUEST_TOO_LARGE", "ACCESS_DENIED", "UNAUTHORIZED"] {
        assert!(responses.contains_key(kind), "{kind}");
    }
    for (kind, response) in responses {
        let headers = response["ResponseParameters"]["Headers"].as_mapping().unwrap();
        for (name, value) in HEADERS {
            let mut found = headers.iter().filter(|(found, _)| found.as_str().unwrap().eq_ignore_ascii_case(name));
            let (_, expression) = found.next().unwrap_or_else(|| panic!("{kind:?} has no {name}"));
            // A literal of the gateway's, in quotes.
            assert_eq!(expression.as_str(), Some(format!("'{value}'").as_str()), "{name} of {kind:?}");
        }
    }
}
