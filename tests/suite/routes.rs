//! The routes: each stands once in `shared::routes`, and template.yaml, the authorizer's scopes, the router of
//! `cargo lambda watch`, preflights and the welcome page say the same.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;
use shared::routes::{self, Access};

use crate::api::{Api, FORM, JSON, PASSWORD, form, root};

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn template() -> Yaml {
    serde_yaml_ng::from_str(&read("template.yaml")).unwrap()
}

/// A route of template.yaml.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TemplateRoute {
    method: String,
    path: String,
    function: String,
    is_open: bool,
}

/// The routes of template.yaml, preflights among them.
fn of_template() -> Vec<TemplateRoute> {
    let mut routes = Vec::new();
    for resource in template()["Resources"].as_mapping().unwrap().values() {
        let properties = &resource["Properties"];
        let Some(code) = properties["CodeUri"].as_str() else { continue };
        let function = code.trim_end_matches('/').rsplit('/').next().unwrap();
        let events = properties["Events"].as_mapping().into_iter().flat_map(|events| events.values());
        for event in events.filter(|event| event["Type"] == "Api") {
            let text = |name: &str| event["Properties"][name].as_str().unwrap().to_owned();
            routes.push(TemplateRoute {
                method: text("Method").to_uppercase(),
                path: text("Path"),
                function: function.to_owned(),
                is_open: event["Properties"]["Auth"]["Authorizer"] == "NONE",
            });
        }
    }
    assert!(!routes.is_empty());
    routes
}

/// The same without preflights.
fn served() -> Vec<TemplateRoute> {
    of_template().into_iter().filter(|route| route.method != "OPTIONS").collect()
}

#[test]
fn the_template_has_the_routes_of_the_code() {
    let of_code: BTreeSet<_> =
        routes::ALL.iter().map(|route| (route.method, route.path, route.access == Access::Anyone)).collect();
    let served = served();
    let of_template: BTreeSet<_> =
        served.iter().map(|route| (route.method.as_str(), route.path.as_str(), route.is_open)).collect();
    assert_eq!(of_code, of_template);
    assert_eq!((routes::ALL.len(), served.len()), (of_code.len(), of_template.len()), "a route stands twice");
}

/// What the authorizer asks for is what the handlers' router asks for.
#[test]
fn the_authorizer_knows_the_scopes_of_the_code() {
    let template = template();
    let variables = &template["Resources"]["AuthorizerFunction"]["Properties"]["Environment"]["Variables"];
    let of_template: BTreeSet<String> =
        variables["ROUTE_SCOPES"].as_str().unwrap().lines().map(str::to_owned).collect();
    let of_code = routes::ALL
        .iter()
        .filter_map(|route| route.scope().map(|scope| format!("{} {} {scope}", route.method, route.path)))
        .collect();
    assert_eq!(of_template, of_code);
}

#[test]
fn cargo_lambda_watch_serves_the_routes_of_the_template() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let watched = &manifest["workspace"]["metadata"]["lambda"]["watch"]["router"];
    let mut routes = BTreeSet::new();
    for (path, methods) in watched.as_table().unwrap() {
        for method in methods.as_array().unwrap() {
            let text = |name: &str| method[name].as_str().unwrap().to_owned();
            routes.insert((text("method"), path.clone(), text("function")));
        }
    }
    let served = served().into_iter().map(|route| (route.method, route.path, route.function));
    assert_eq!(routes, served.collect());
}

#[test]
fn every_route_has_a_preflight() {
    let (served, all) = (served(), of_template());
    let preflights: Vec<_> = all.iter().filter(|route| route.method == "OPTIONS").collect();
    assert!(preflights.iter().all(|route| route.is_open), "a browser sends no token with a preflight");
    let of_preflights: BTreeSet<&str> = preflights.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(of_preflights, served.iter().map(|route| route.path.as_str()).collect());
}

#[tokio::test]
async fn the_welcome_page_lists_the_routes() {
    let api = Api::start().await;
    let body = api.get("/", &[]).await.json();
    let text = |route: &Value, name: &str| route[name].as_str().unwrap().to_owned();
    let listed: BTreeSet<(String, String)> =
        body["routes"].as_array().unwrap().iter().map(|route| (text(route, "method"), text(route, "path"))).collect();
    assert_eq!(listed, served().into_iter().map(|route| (route.method, route.path)).collect());
}

/// An event of a REST API, whose path is written in another way than the template writes the route's.
fn event(method: &str, resource: &str, path: &str, content_type: &str, body: &str) -> Value {
    json!({
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": { "Content-Type": content_type },
        "multiValueHeaders": { "Content-Type": [content_type] },
        "queryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.eu-west-1.amazonaws.com",
            "stage": "prod",
            "httpMethod": method,
            "resourcePath": resource,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": { "sourceIp": "192.0.2.1" },
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn a_slash_at_the_end_revokes_all_the_same() {
    let api = Api::start().await;
    let (token, issued) = {
        let answer = api.sign_in().await;
        (answer.access_token(), answer.refresh_token())
    };
    let body = form(&[("token", &issued)]);
    let answer = api.invoke("login", &event("POST", "/revoke", "/revoke/", FORM, &body)).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("{}")));
    assert!(api.session(&session_of(&token)).await.unwrap().ended.is_some());
    // The gateway's word also counts against the path.
    let password = json!({ "username": "johndoe", "password": PASSWORD }).to_string();
    let answer = api.invoke("login", &event("POST", "/login", "/revoke", JSON, &password)).await.unwrap();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    for token in ["access_token", "refresh_token"] {
        api.keep_secret(body[token].as_str().unwrap());
    }
}

fn session_of(token: &str) -> String {
    crate::token::claims(token)["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_slash_at_the_end_gives_the_key_set() {
    let api = Api::start().await;
    for (resource, path, member) in [
        ("/.well-known/jwks.json", "/.well-known/jwks.json/", "keys"),
        ("/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/", "issuer"),
        ("/", "/.well-known/jwks.json", "routes"),
    ] {
        let answer = api.invoke("discovery", &event("GET", resource, path, JSON, "")).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{path}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert!(body.get(member).is_some(), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_route_that_a_function_does_not_serve_is_404() {
    let api = Api::start().await;
    for (function, method, resource) in [
        ("login", "POST", "/logout"),
        ("login", "GET", "/login"),
        ("discovery", "GET", "/unknown"),
        ("protected", "POST", "/protected"),
    ] {
        let answer = api.invoke(function, &event(method, resource, resource, JSON, "{}")).await.unwrap();
        assert_eq!(answer["statusCode"], 404, "{function} {method} {resource}");
    }
    api.send(Method::PUT, "/login", &[], "").await.error(404, "not_found");
}
