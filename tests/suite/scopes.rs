//! Who may call which route: every route of template.yaml, without a token, with one that reaches no route with a
//! scope, and with one that does.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;
use shared::{routes, user::Status};

use crate::{
    api::{Api, FORM, PASSWORD, Setup, hash, root},
    authorizer,
};

/// A route that is behind the authorizer.
struct Route {
    method: Method,
    path: String,
    /// As `ROUTE_SCOPES` has them.
    scopes: Option<String>,
}

fn template() -> Yaml {
    serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("template.yaml")).unwrap()).unwrap()
}

/// The routes of `ROUTE_SCOPES`, each with its scopes.
fn named() -> Vec<(String, String)> {
    let template = template();
    let variables = &template["Resources"]["AuthorizerFunction"]["Properties"]["Environment"]["Variables"];
    let lines = variables["ROUTE_SCOPES"].as_str().unwrap().lines();
    lines
        .map(|line| {
            let (route, scopes) = line.split_at(line.match_indices(' ').nth(1).unwrap().0);
            (route.to_owned(), scopes.trim().to_owned())
        })
        .collect()
}

/// Every route of the template that has an authorizer.
fn guarded() -> Vec<Route> {
    let (template, named) = (template(), named());
    let mut routes = Vec::new();
    for resource in template["Resources"].as_mapping().unwrap().values() {
        let events = resource["Properties"]["Events"].as_mapping().into_iter().flat_map(|events| events.values());
        for event in events.filter(|event| event["Type"] == "Api") {
            let properties = &event["Properties"];
            if properties["Auth"]["Authorizer"] != "NONE" {
                let text = |name: &str| properties[name].as_str().unwrap().to_owned();
                let (method, path) = (text("Method"), text("Path"));
                let scopes = named.iter().find(|(route, _)| *route == format!("{method} {path}"));
                let scopes = scopes.map(|(_, scopes)| scopes.clone());
                routes.push(Route { method: method.parse().unwrap(), path, scopes });
            }
        }
    }
    routes
}

#[test]
fn every_route_with_scopes_is_behind_the_templates_authorizer() {
    let routes: Vec<String> = guarded().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert!(!named().is_empty());
    for (route, _) in named() {
        assert!(routes.contains(&route), "{route} is none of {routes:?}");
    }
}

/// What reaches no route with a scope, among it what only looks as if it did.
const OTHER_SCOPES: &str = "USERS:READ read users users:* users:reader write";

/// Every scope that a route needs, separated by spaces.
fn all_scopes() -> String {
    let scopes: BTreeSet<&str> =
        routes::ALL.iter().filter_map(routes::Route::scope).flat_map(|scopes| scopes.split(' ')).collect();
    scopes.into_iter().collect::<Vec<_>>().join(" ")
}

/// Every scope but those.
fn all_but(scopes: &str) -> String {
    let all = all_scopes();
    all.split(' ').filter(|scope| !scopes.split(' ').any(|other| other == *scope)).collect::<Vec<_>>().join(" ")
}

/// An address of the route, and what to send there; nothing that ends the caller's own session.
fn example(route: &Route) -> (String, &'static str, &'static str) {
    let (query, content_type, body) = match (route.method.as_str(), route.path.as_str()) {
        ("POST", "/logout") => ("?sessions=others", FORM, ""),
        ("PATCH", _) => ("", FORM, "status=active"),
        _ => ("", FORM, ""),
    };
    let segment = |segment: &str| match segment {
        "{username}" => "jane".to_owned(),
        "{id}" => "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        parameter if parameter.starts_with('{') => "1".to_owned(),
        literal => literal.to_owned(),
    };
    let path = route.path.split('/').map(segment).collect::<Vec<_>>().join("/");
    (format!("{path}{query}"), content_type, body)
}

async fn api() -> Api {
    let api = Api::with(Setup { johndoe: (PASSWORD, OTHER_SCOPES), ..Setup::default() }).await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    api.add_user("root", hash(PASSWORD), &all_scopes(), Status::Active).await;
    api
}

async fn token(api: &Api, username: &str, scopes: &str) -> String {
    let mut fields = vec![("username", username), ("password", PASSWORD)];
    if !scopes.is_empty() {
        fields.push(("scope", scopes));
    }
    api.login(&fields).await.access_token()
}

#[tokio::test]
async fn each_route_asks_for_a_token_and_its_scope() {
    for parameters in [vec![], vec![("Authorizer", "CachingTokenAuthorizer")]] {
        let api = Api::with(Setup { johndoe: (PASSWORD, OTHER_SCOPES), parameters, ..Setup::default() }).await;
        api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
        api.add_user("root", hash(PASSWORD), &all_scopes(), Status::Active).await;
        let (other, all) = (token(&api, "johndoe", "").await, token(&api, "root", "").await);
        let mut routes = guarded();
        // What deletes the user comes last.
        routes.sort_by_key(|route| route.method == Method::DELETE && route.scopes.is_some());
        for route in routes {
            let (path, content_type, body) = example(&route);
            let name = format!("{} {path}", route.method);
            let send = async |token: Option<&str>| {
                let authorization = token.map(|token| format!("Bearer {token}"));
                let mut headers = vec![("Content-Type", content_type)];
                headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
                api.send(route.method.clone(), &path, &headers, body).await
            };
            for none in [None, Some("x")] {
                let answer = send(none).await;
                answer.error(401, "invalid_token");
                assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{name}");
            }
            let answer = send(Some(&other)).await;
            match &route.scopes {
                None => assert_ne!(answer.status, 403, "{name}"),
                Some(scopes) => {
                    answer.error(403, "insufficient_scope");
                    assert_eq!(
                        answer.header("www-authenticate"),
                        Some(r#"Bearer error="insufficient_scope""#),
                        "{name}"
                    );
                    // All others together aren't enough.
                    let wrong = token(&api, "root", &all_but(scopes)).await;
                    send(Some(&wrong)).await.error(403, "insufficient_scope");
                    let right = token(&api, "root", scopes).await;
                    assert!((200..300).contains(&send(Some(&right)).await.status), "{name}");
                }
            }
            let answer = send(Some(&all)).await;
            // Some have nothing to do: no such session, no user any more, no fields.
            assert!([200, 204, 400, 404].contains(&answer.status), "{name}: {}", answer.status);
        }
    }
}

/// The event that an HTTP API gives to its authorizer for a route.
fn http_event(token: &str, route: &Route, path: &str) -> Value {
    let mut event = authorizer::http(&json!({ "authorization": format!("Bearer {token}") }));
    event["routeKey"] = json!(format!("{} {}", route.method, route.path));
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["method"] = json!(route.method.as_str());
    event
}

#[tokio::test]
async fn an_http_api_is_told_the_same_of_each_route() {
    let api = api().await;
    let (other, all) = (token(&api, "johndoe", "").await, token(&api, "root", "").await);
    for route in guarded() {
        let (path, _, _) = example(&route);
        let ask = async |token: &str, event: &dyn Fn(&str) -> Value| {
            let answer = api.invoke("authorizer", &event(token)).await.unwrap();
            let is_authorized = answer["isAuthorized"].as_bool().unwrap();
            assert_eq!(answer["context"] == json!({}), !is_authorized, "{answer}");
            is_authorized
        };
        let event = |token: &str| http_event(token, &route, &path);
        assert!(!ask("x", &event).await);
        assert_eq!(ask(&other, &event).await, route.scopes.is_none(), "{path}");
        assert!(ask(&all, &event).await);
        // A route for any method or any path counts as the one that its path fits.
        for key in [format!("ANY {}", route.path), "$default".to_owned(), "ANY /{proxy+}".to_owned()] {
            for prefix in ["", "/stage"] {
                let path = path.split('?').next().unwrap();
                let event = |token: &str| {
                    let mut event = http_event(token, &route, &format!("{prefix}{path}"));
                    event["routeKey"] = json!(key);
                    event
                };
                assert_eq!(ask(&other, &event).await, route.scopes.is_none(), "{key} {prefix}{path}");
                assert!(ask(&all, &event).await);
            }
        }
    }
}

#[tokio::test]
async fn an_http_api_event_without_a_route_reaches_no_scoped_route() {
    let api = api().await;
    let (other, all) = (token(&api, "johndoe", "").await, token(&api, "root", "").await);
    let mut event = authorizer::http(&json!({}));
    for member in ["routeKey", "rawPath"] {
        event.as_object_mut().unwrap().remove(member);
    }
    for (token, reaches) in [(&other, false), (&all, true)] {
        event["headers"] = json!({ "authorization": format!("Bearer {token}") });
        assert_eq!(api.invoke("authorizer", &event).await.unwrap()["isAuthorized"], reaches);
    }
}

/// Ways to write a path that some gateway may take for the plain one.
fn spellings(path: &str) -> Vec<String> {
    let encoded = |byte: u8, upper: bool| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
    let mut spellings = vec![
        format!("{path}/"),
        format!("{path}//"),
        format!("/{path}"),
        path.to_uppercase(),
        format!("/{}{}", path[1..2].to_uppercase(), &path[2..]),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("{path}?x=1"),
        format!("{path};x=1"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("/{}", path.bytes().skip(1).map(|byte| encoded(byte, true)).collect::<String>()),
    ];
    for (at, byte) in path.bytes().enumerate().skip(1) {
        for upper in [true, false] {
            spellings.push(format!("{}{}{}", &path[..at], encoded(byte, upper), &path[at + 1..]));
        }
    }
    spellings
}

#[tokio::test]
async fn no_way_to_write_a_path_gets_around_a_denial() {
    for parameters in [vec![], vec![("Authorizer", "CachingTokenAuthorizer")]] {
        let api = Api::with(Setup { parameters, ..Setup::default() }).await;
        let bearer = format!("Bearer {}", api.token().await);
        let headers = [("Authorization", bearer.as_str())];
        // So that the gateway has an answer to keep.
        assert_eq!(api.protected(&bearer).await.status, 200);
        for (method, path) in
            [(Method::GET, "/users"), (Method::GET, "/users/johndoe"), (Method::DELETE, "/users/johndoe")]
        {
            for path in spellings(path) {
                let status = api.send(method.clone(), &path, &headers, "").await.status;
                assert!([403, 404].contains(&status), "{method} {path}: {status}");
            }
        }
        assert_eq!(api.user("johndoe").await.status, Status::Active);
    }
}

#[tokio::test]
async fn a_gateway_that_reads_paths_otherwise_is_told_no_too() {
    let api = api().await;
    let (other, reader) = (token(&api, "johndoe", "").await, token(&api, "root", "users:read").await);
    let stage = "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod";
    for (token, method, resource, path) in [
        (&other, "GET", "/users", "/users"),
        (&other, "GET", "/users/{username}", "/users/johndoe"),
        (&reader, "DELETE", "/users/{username}", "/users/johndoe"),
    ] {
        for path in spellings(path) {
            let mut event = authorizer::rest(&json!({ "Authorization": format!("Bearer {token}") }));
            let arn = format!("{stage}/{method}{path}");
            event["methodArn"] = json!(arn);
            event["httpMethod"] = json!(method);
            event["path"] = json!(path);
            // The gateway's router has taken the spelling for the route.
            event["resource"] = json!(resource);
            let answer = api.invoke("authorizer", &event).await.unwrap();
            let statements = &answer["policyDocument"]["Statement"];
            assert_eq!(statements.as_array().unwrap().len(), 1, "{path}: {statements}");
            assert_eq!(statements[0]["Effect"], "Deny");
            assert_eq!(statements[0]["Resource"], json!([arn]));
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_kept_lets_nobody_elsewhere() {
    let api = Api::with(Setup { parameters: vec![("Authorizer", "CachingTokenAuthorizer")], ..Setup::default() }).await;
    let bearer = format!("Bearer {}", api.token().await);
    let headers = [("Authorization", bearer.as_str())];
    for _ in 0..2 {
        assert_eq!(api.protected(&bearer).await.status, 200);
        assert_eq!(api.get("/sessions", &headers).await.status, 200);
        api.get("/users", &headers).await.error(403, "insufficient_scope");
        api.get("/users/johndoe", &headers).await.error(403, "insufficient_scope");
    }
    // Once for each path, and not again.
    let asked = api.lines().iter().filter(|line| line["function"] == "authorizer").count();
    assert_eq!(asked, 4, "{}", api.log());
}

#[tokio::test]
async fn a_wrong_setting_stops_the_authorizer_and_the_log_names_it() {
    for (setting, message) in [
        ("GET /users", "is wrong in line 1: it must be a method, a path and at least one scope"),
        ("GET /a b\nGET /a c", "the route is named twice"),
        ("", "is missing"),
    ] {
        let environment = vec![("authorizer", "ROUTE_SCOPES", setting.to_owned())];
        let api = Api::with(Setup { environment, ..Setup::default() }).await;
        let bearer = format!("Bearer {}", api.token().await);
        api.protected(&bearer).await.error(503, "temporarily_unavailable");
        assert!(api.log().contains("ROUTE_SCOPES") && api.log().contains(message), "{}", api.log());
    }
    let environment = vec![("authorizer", "ROUTE_SCOPES", "none".to_owned())];
    let api = Api::with(Setup { environment, ..Setup::default() }).await;
    let bearer = format!("Bearer {}", api.token().await);
    assert_eq!(api.protected(&bearer).await.status, 200);
    // The function behind still asks for its own.
    api.get("/users", &[("Authorization", &bearer)]).await.error(403, "insufficient_scope");
}
