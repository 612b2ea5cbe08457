//! The samples in `events/`, given to the real functions with the settings in `events/env.json`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::user::Status;

use crate::api::{Api, Setup, hash, root};

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("events").join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A stack with the keys that `sam local` gets, the laptop's user, and the administrator of the samples.
async fn api() -> Api {
    let settings = read("env");
    let setting = |function: &str, name: &str| settings[function][name].as_str().unwrap().to_owned();
    let api = Api::with(Setup {
        johndoe: ("secret", "profile:read profile:write"),
        environment: vec![
            ("login", "SIGNING_KEYS", setting("LoginFunction", "SIGNING_KEYS")),
            ("login", "ISSUER", String::new()),
            ("authorizer", "VERIFYING_KEYS", setting("AuthorizerFunction", "VERIFYING_KEYS")),
            ("authorizer", "LIVE_REVOCATION", setting("AuthorizerFunction", "LIVE_REVOCATION")),
            ("authorizer", "ISSUER", String::new()),
        ],
        ..Setup::default()
    })
    .await;
    api.add_user("alice", hash("secret"), "users:read users:write", Status::Active).await;
    api
}

#[tokio::test]
async fn every_sample_gets_its_documented_answer() {
    let api = api().await;
    let greeting = json!({ "message": "Hello johndoe, you are authenticated!" });
    let mut samples: BTreeMap<String, bool> = std::fs::read_dir(root().join("events"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "env")
        .map(|name| (name, false))
        .collect();
    for (name, used) in &mut samples {
        let function = if name == "rotate-keys" { name } else { name.split('-').next().unwrap() };
        let answer = api.invoke(function, &read(name)).await;
        match name.as_str() {
            "login-form" | "login-json" | "login-http-api" => {
                let answer = answer.unwrap();
                assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
                let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                let token = body["access_token"].as_str().unwrap();
                api.keep_secret(token);
                assert_eq!(crate::token::claims(token)["sub"], "johndoe");
            }
            "authorizer-good-token" => {
                let answer = answer.unwrap();
                assert_eq!(answer["principalId"], "johndoe");
                assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], "Allow");
            }
            "authorizer-bad-token" => assert_eq!(answer, Err("Unauthorized".to_owned())),
            "authorizer-good-token-http-api" => assert_eq!(answer.unwrap()["isAuthorized"], true),
            "authorizer-bad-token-http-api" => assert_eq!(answer.unwrap()["isAuthorized"], false),
            "protected" | "protected-http-api" => {
                let answer = answer.unwrap();
                assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
                assert_eq!(serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap(), greeting);
            }
            // A session that is none of this store's, and a password that isn't johndoe's.
            "login-refresh" | "login-refresh-http-api" | "account-password" | "account-password-http-api" => {
                let answer = answer.unwrap();
                assert_eq!(answer["statusCode"], 400, "{name}: {answer}");
                assert!(answer["body"].as_str().unwrap().contains("invalid_grant"));
            }
            "sessions-end" | "sessions-end-http-api" | "users-delete" | "users-delete-http-api" => {
                assert_eq!(answer.unwrap()["statusCode"], 404);
            }
            "sessions-list" | "sessions-list-http-api" => {
                let answer = answer.unwrap();
                assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
                assert!(answer["body"].as_str().unwrap().starts_with(r#"{"next_cursor":null,"sessions":["#));
            }
            // Of the two, the second finds the name taken.
            "register" | "register-http-api" => {
                let answer = answer.unwrap();
                let status = if name.ends_with("http-api") { 409 } else { 201 };
                assert_eq!(answer["statusCode"], status, "{name}: {answer}");
            }
            "users-list" | "users-list-http-api" => {
                let answer = answer.unwrap();
                assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
                let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                let mut names = body["users"].as_array().unwrap().iter().map(|user| &user["username"]);
                assert!(names.any(|name| name == "johndoe") && body["next_cursor"].is_null(), "{body}");
            }
            "users-show" | "users-show-http-api" | "users-change" | "users-change-http-api" => {
                let answer = answer.unwrap();
                assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
                let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                let expected = json!(["profile:read", "profile:write"]);
                assert_eq!((&body["status"], &body["scopes"]), (&json!("active"), &expected));
            }
            "sessions-logout" | "sessions-logout-http-api" => {
                let answer = answer.unwrap();
                assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
                assert!(answer["body"].as_str().unwrap().starts_with(r#"{"ended":"#));
            }
            "login-revoke" | "login-revoke-http-api" | "discovery" | "discovery-http-api" => {
                assert_eq!(answer.unwrap()["statusCode"], 200);
            }
            "discovery-key-set" | "discovery-key-set-http-api" => {
                assert_eq!(answer.unwrap()["body"], r#"{"keys":[]}"#);
            }
            // Only Secrets Manager knows a version's name beforehand.
            // There is no such account, deleted or not.
            "erase" => assert_eq!(answer.unwrap(), Value::Null),
            "rotate-keys" => {
                assert_eq!(answer, Err("Create failed: the secret has no such version".to_owned()));
            }
            other => panic!("nothing says what {other} is answered"),
        }
        *used = true;
    }
    // The sample's refresh token is one of the sample's key.
    assert!(api.log().contains("session_over") && !api.log().contains("not_ours"));
    assert!(samples.len() >= 11 && samples.values().all(|used| *used), "{samples:?}");
}

#[test]
fn the_settings_of_sam_local_name_variables_of_the_template() {
    // `sam local` ignores, without a word, what the template doesn't declare.
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&template).unwrap();
    for (function, variables) in read("env").as_object().unwrap() {
        let declared = &template["Resources"][function]["Properties"]["Environment"]["Variables"];
        for name in variables.as_object().unwrap().keys() {
            assert!(declared.get(name).is_some(), "{function} has no variable {name}");
        }
    }
}

#[test]
fn cargo_lambda_watch_gets_the_keys_and_all_variables() {
    let text = std::fs::read_to_string(root().join("events/watch.env")).unwrap();
    let settings: BTreeMap<&str, &str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name, value.trim_matches('\'')))
        .collect();
    let sample = read("env");
    assert_eq!(settings["SIGNING_KEYS"], sample["LoginFunction"]["SIGNING_KEYS"]);
    assert_eq!(settings["VERIFYING_KEYS"], sample["AuthorizerFunction"]["VERIFYING_KEYS"]);
    let issuer = crate::token::claims(read("authorizer-good-token")["headers"]["Authorization"].as_str().unwrap());
    assert_eq!(settings["ISSUER"], issuer["iss"]);

    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&template).unwrap();
    for function in [
        "LoginFunction",
        "AuthorizerFunction",
        "ProtectedFunction",
        "SessionsFunction",
        "AccountFunction",
        "UsersFunction",
        "DiscoveryFunction",
    ] {
        let variables = &template["Resources"][function]["Properties"]["Environment"]["Variables"];
        for name in variables.as_mapping().unwrap().keys().map(|name| name.as_str().unwrap()) {
            // Those may be left out.
            if !["CORS_ORIGINS", "SCOPES", "REGISTRATION_SCOPES", "AWS_ENDPOINT_URL_SECRETS_MANAGER"].contains(&name) {
                assert!(settings.contains_key(name), "{function} needs {name}");
            }
        }
    }
}
