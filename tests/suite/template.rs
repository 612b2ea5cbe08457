//! What template.yaml, the router of `cargo lambda watch` and the welcome page say of the routes.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use crate::api::{Api, root};

type Route = (String, String, String);

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The routes of template.yaml with the functions that serve them, but for preflights.
fn of_template() -> BTreeSet<Route> {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let mut routes = BTreeSet::new();
    for resource in template["Resources"].as_mapping().unwrap().values() {
        let properties = &resource["Properties"];
        let Some(code) = properties["CodeUri"].as_str() else { continue };
        let function = code.trim_end_matches('/').rsplit('/').next().unwrap();
        for event in properties["Events"].as_mapping().into_iter().flat_map(|events| events.values()) {
            let text = |name: &str| event["Properties"][name].as_str().unwrap().to_owned();
            if text("Method").to_uppercase() != "OPTIONS" {
                routes.insert((text("Method").to_uppercase(), text("Path"), function.to_owned()));
            }
        }
    }
    assert!(!routes.is_empty());
    routes
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
    assert_eq!(routes, of_template());
}

#[tokio::test]
async fn the_welcome_page_lists_the_routes_of_the_template() {
    let api = Api::start().await;
    let body = api.get("/", &[]).await.json();
    let text = |route: &Value, name: &str| route[name].as_str().unwrap().to_owned();
    let listed: BTreeSet<(String, String)> =
        body["routes"].as_array().unwrap().iter().map(|route| (text(route, "method"), text(route, "path"))).collect();
    let served: BTreeSet<(String, String)> =
        of_template().into_iter().map(|(method, path, _)| (method, path)).collect();
    assert_eq!(listed, served);
}

#[test]
fn every_route_has_a_preflight() {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let events = template["Resources"]["DiscoveryFunction"]["Properties"]["Events"].as_mapping().unwrap();
    let preflights: BTreeSet<&str> = events
        .values()
        .map(|event| &event["Properties"])
        .filter(|event| event["Method"].as_str().unwrap().eq_ignore_ascii_case("OPTIONS"))
        .map(|event| event["Path"].as_str().unwrap())
        .collect();
    let paths = of_template();
    assert_eq!(preflights, paths.iter().map(|(_, path, _)| path.as_str()).collect());
}
