//! The keys' life: published, signing, superseded, retired.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use shared::key::Algorithm;

use crate::{
    api::{AUDIENCE, Api, JSON, PASSWORD, Ring, Setup},
    proxy::{Cut, Proxy},
    token::{claims, header},
};

/// A stack whose keys come from rotation, as on AWS, and which is in a hurry: new keys are looked for
/// every second, and sign two seconds after they are published.
fn rotating(algorithm: &'static str) -> Setup {
    let every = |function: &'static str, name: &'static str, value: &str| (function, name, value.to_owned());
    Setup {
        ring: Ring::Rotated,
        parameters: vec![("SigningAlgorithm", algorithm)],
        environment: vec![
            every("login", "KEY_REFRESH", "1"),
            every("authorizer", "KEY_REFRESH", "1"),
            every("discovery", "KEY_REFRESH", "1"),
            every("rotate-keys", "KEY_PUBLISH_AHEAD", "2"),
        ],
        ..Setup::default()
    }
}

async fn key_set(api: &Api) -> Value {
    let answer = api.get("/.well-known/jwks.json", &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn kids(set: &Value) -> Vec<&str> {
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn before_the_first_key_login_is_unavailable() {
    let api = Api::with(rotating("ES256")).await;
    let answer = api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await;
    answer.error(503, "temporarily_unavailable");
    assert!(answer.header("retry-after").is_some());
    api.protected("Bearer x").await.error(503, "temporarily_unavailable");
    assert_eq!(key_set(&api).await, json!({ "keys": [] }));
}

#[tokio::test]
async fn tokens_of_every_algorithm_verify_through_the_key_set() {
    for name in ["ES256", "EdDSA", "RS256"] {
        let api = Api::with(rotating(name)).await;
        api.stack.rotate().await.unwrap();
        let token = api.token().await;
        let set = key_set(&api).await;
        assert_eq!(header(&token)["alg"], name);
        assert_eq!(kids(&set), [header(&token)["kid"].as_str().unwrap()]);
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(set["keys"][0].get(private).is_none(), "{private}");
        }
        let set: JwkSet = serde_json::from_value(set).unwrap();
        let key = DecodingKey::from_jwk(&set.keys[0]).unwrap();
        let mut validation = Validation::new(jsonwebtoken::decode_header(&token).unwrap().alg);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[api.stack.url()]);
        jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 200);
    }
}

#[tokio::test]
async fn a_key_of_hs256_is_never_published() {
    let api = Api::with(rotating("HS256")).await;
    api.stack.rotate().await.unwrap();
    let token = api.token().await;
    assert_eq!(header(&token)["alg"], "HS256");
    assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 200);
    assert_eq!(key_set(&api).await, json!({ "keys": [] }));
    assert!(api.store.keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn caches_of_keys_and_metadata_expire_before_a_new_key_signs() {
    let api = Api::with(rotating("ES256")).await;
    api.stack.rotate().await.unwrap();
    for path in
        ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
    {
        let answer = api.get(path, &[]).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=240"));
        assert_eq!(answer.header("content-type"), Some(JSON));
    }
}

#[tokio::test]
async fn the_metadata_are_those_of_rfc_8414_and_of_openid() {
    let mut setup = rotating("EdDSA");
    setup.parameters.push(("Scopes", "read,write"));
    let api = Api::with(setup).await;
    let url = api.stack.url();
    let metadata = api.get("/.well-known/oauth-authorization-server", &[]).await;
    assert_eq!(metadata.text, api.get("/.well-known/openid-configuration", &[]).await.text);
    assert_eq!(
        metadata.json(),
        json!({
            "issuer": url,
            "token_endpoint": format!("{url}/login"),
            "jwks_uri": format!("{url}/.well-known/jwks.json"),
            "scopes_supported": ["read", "write"],
            "response_types_supported": [],
            "grant_types_supported": ["password", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint": format!("{url}/revoke"),
            "revocation_endpoint_auth_methods_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [],
            "access_token_signing_alg_values_supported": ["EdDSA"],
        })
    );
}

#[tokio::test]
async fn a_new_key_is_published_first_and_the_old_one_still_verifies() {
    let api = Api::with(rotating("ES256")).await;
    api.stack.rotate().await.unwrap();
    let old = api.token().await;
    api.stack.rotate().await.unwrap();
    // Published at once, and not signing yet.
    api.until(async || kids(&key_set(&api).await).len() == 2).await;
    api.until(async || header(&api.token().await)["kid"] != header(&old)["kid"]).await;
    assert_eq!(api.protected(&format!("Bearer {old}")).await.status, 200);
    let rows = api.store.keys().await.unwrap();
    let row = rows.iter().find(|row| row.id == header(&old)["kid"].as_str().unwrap()).unwrap();
    let longest = claims(&old)["exp"].as_u64().unwrap();
    assert!(row.expires.unwrap().0 > longest, "the key's row goes before its last token");
    assert_eq!(rows.iter().filter(|row| row.expires.is_none()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rotations_through_all_algorithms_refuse_no_token() {
    let mut setup = rotating("ES256");
    // As a stack has it that moves to and from HS256.
    setup.parameters.push(("AuthorizerReadsSecret", "true"));
    setup.parameters.push(("MaxSessions", "1000"));
    let api = Api::with(setup).await;
    api.stack.rotate().await.unwrap();
    let (over, checked) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Tokens are used at once, some seconds later, and at the end; several authorizers run side by side.
    let load = async || {
        let mut tokens: Vec<String> = Vec::new();
        while !over.load(Ordering::SeqCst) {
            tokens.push(api.token().await);
            let recent = tokens.iter().rev().step_by(7).take(4);
            for token in recent {
                let answer = api.protected(&format!("Bearer {token}")).await;
                assert_eq!(answer.status, 200, "{} after {} tokens: {}", header(token), tokens.len(), api.log());
                checked.fetch_add(1, Ordering::SeqCst);
            }
        }
        tokens
    };
    let rotations = async {
        for round in 0..20 {
            let algorithm = ["ES256", "EdDSA", "RS256", "HS256"][round % 4];
            assert!(api.stack.set_variable("rotate-keys", "SIGNING_ALGORITHM", algorithm).await);
            api.stack.rotate().await.unwrap();
            // The next rotation comes at any point of this one's way to its first signature.
            tokio::time::sleep(Duration::from_millis(200 * (round as u64 % 5) + 1200)).await;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        over.store(true, Ordering::SeqCst);
    };
    let (one, two, three, ()) = tokio::join!(load(), load(), load(), rotations);
    let tokens = [one, two, three].concat();
    let mut algorithms: Vec<String> =
        tokens.iter().map(|token| header(token)["alg"].as_str().unwrap().to_owned()).collect();
    algorithms.sort();
    algorithms.dedup();
    assert_eq!(algorithms, ["ES256", "EdDSA", "HS256", "RS256"]);
    for token in tokens.iter().step_by(5) {
        assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 200);
    }
    assert!(checked.load(Ordering::SeqCst) > 100, "{checked:?}");

    // Once their keys' time is over, none of them is taken any more: time passes in the rows.
    let rows = api.store.keys().await.unwrap();
    let current = rows.iter().find(|row| row.expires.is_none()).map(|row| row.id.clone());
    for row in rows.iter().filter(|row| row.expires.is_some()) {
        api.store.expire_key(&row.id, crate::api::now()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    api.protected("Bearer x").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut refused = 0;
    for token in &tokens {
        let kid = header(token)["kid"].as_str().unwrap().to_owned();
        if Some(&kid) != current.as_ref() && rows.iter().any(|row| row.id == kid) {
            assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 401, "{kid}");
            refused += 1;
        }
    }
    assert!(refused > 10, "{refused}");
}

#[tokio::test]
async fn a_retired_key_is_refused_and_another_signs_at_once() {
    for algorithm in ["ES256", "HS256"] {
        let api = Api::with(rotating(algorithm)).await;
        api.stack.rotate().await.unwrap();
        let leaked = api.token().await;
        let id = header(&leaked)["kid"].as_str().unwrap().to_owned();
        assert_eq!(api.protected(&format!("Bearer {leaked}")).await.status, 200);
        api.store.retire_key(&id, crate::api::now()).await.unwrap();
        api.stack.rotate().await.unwrap();
        api.until(async || api.protected(&format!("Bearer {leaked}")).await.status == 401).await;
        api.until(async || header(&api.token().await)["kid"] != id.as_str()).await;
        assert_eq!(api.protected(&format!("Bearer {}", api.token().await)).await.status, 200);
        assert!(!kids(&key_set(&api).await).contains(&id.as_str()));
    }
}

#[tokio::test]
async fn a_retired_key_is_refused_although_no_rotation_has_followed() {
    for algorithm in ["ES256", "HS256"] {
        let api = Api::with(rotating(algorithm)).await;
        api.stack.rotate().await.unwrap();
        let leaked = format!("Bearer {}", api.token().await);
        api.stack.rotate().await.unwrap();
        let first = |token: &str| header(token)["kid"].as_str().unwrap().to_owned();
        let id = first(&leaked[7..]);
        api.until(async || first(&api.token().await) != id).await;
        let good = api.token().await;
        assert_eq!(api.protected(&leaked).await.status, 200);
        // The secret of HS256 still has it.
        api.store.retire_key(&id, crate::api::now()).await.unwrap();
        api.until(async || api.protected(&leaked).await.status == 401).await;
        assert_eq!(api.protected(&format!("Bearer {good}")).await.status, 200);
        // With the last one retired too there is nothing to verify with, and no old key goes on doing so.
        api.store.retire_key(&first(&good), crate::api::now()).await.unwrap();
        api.until(async || api.protected(&leaked).await.status == 503).await;
        api.protected(&format!("Bearer {good}")).await.error(503, "temporarily_unavailable");
    }
}

#[tokio::test]
async fn tokens_with_unknown_kids_drive_no_load() {
    let api = Api::with(rotating("ES256")).await;
    api.stack.rotate().await.unwrap();
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("authorizer", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    assert!(api.stack.set_variable("authorizer", "KEY_REFRESH", "300").await);
    let begin = std::time::Instant::now();
    let good = api.token().await;
    let [_, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("no JWT") };
    for number in 0..10_000 {
        let header = json!({ "alg": "ES256", "kid": format!("random-{number}"), "typ": "at+jwt" });
        let token = format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let event = crate::authorizer::rest(&json!({ "Authorization": format!("Bearer {token}") }));
        assert_eq!(api.invoke("authorizer", &event).await, Err("Unauthorized".to_owned()));
    }
    let allowed = 1 + usize::try_from(begin.elapsed().as_secs() / 5).unwrap() + 1;
    assert!(proxy.count("Query") <= allowed, "{} reads, {allowed} allowed", proxy.count("Query"));
    assert_eq!(api.protected(&format!("Bearer {good}")).await.status, 200);
}

#[tokio::test]
async fn an_interrupted_step_that_is_repeated_leaves_a_working_ring() {
    for algorithm in ["ES256", "HS256"] {
        let api = Api::with(rotating(algorithm)).await;
        api.stack.rotate().await.unwrap();
        let store = Proxy::start(api.stack.store_url()).await;
        let secrets = store.beside(api.stack.secrets_url()).await;
        assert!(api.stack.set_variable("rotate-keys", "AWS_ENDPOINT_URL_DYNAMODB", &store.url).await);
        assert!(api.stack.set_variable("rotate-keys", "AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.url).await);
        let mut interrupted = 0;
        // More writes than a rotation makes, so that the last rounds go through.
        for write in 0..8 {
            for cut in [Cut::Before, Cut::After] {
                let before = api.token().await;
                store.cut(write, cut);
                let outcome = api.stack.rotate().await;
                assert_eq!(outcome.is_err(), store.was_cut(), "write {write} {cut:?}: {outcome:?}");
                interrupted += usize::from(store.was_cut());
                // In between, everything works with what there is.
                assert_eq!(api.protected(&format!("Bearer {}", api.token().await)).await.status, 200);
                store.heal();
                api.stack.rotate().await.unwrap();
                let after = api.token().await;
                for token in [before, after] {
                    let answer = api.protected(&format!("Bearer {token}")).await;
                    assert_eq!(answer.status, 200, "{algorithm} write {write} {cut:?}: {}", api.log());
                }
            }
        }
        assert!(interrupted >= 4, "{algorithm}: {interrupted} interruptions");
        let rows = api.store.keys().await.unwrap();
        assert_eq!(rows.iter().filter(|row| row.expires.is_none()).count(), usize::from(algorithm != "HS256"));
    }
}

#[tokio::test]
async fn a_rotation_does_not_bring_back_a_key_retired_meanwhile() {
    let api = Api::with(rotating("ES256")).await;
    api.stack.rotate().await.unwrap();
    let retired = header(&api.token().await)["kid"].as_str().unwrap().to_owned();
    let store = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("rotate-keys", "AWS_ENDPOINT_URL_DYNAMODB", &store.url).await);
    assert!(api.stack.set_variable("rotate-keys", "KEY_PUBLISH_AHEAD", "600").await);
    // The new ring is made, and its key isn't published yet.
    store.cut(0, Cut::Before);
    assert!(api.stack.rotate().await.is_err() && store.was_cut());
    store.heal();
    api.store.retire_key(&retired, crate::api::now()).await.unwrap();
    let outcome = api.stack.rotate().await.unwrap_err();
    assert!(format!("{outcome:?}").contains("this rotation has been overtaken"), "{outcome:?}");
}

#[tokio::test]
async fn keys_already_read_serve_while_table_and_secret_are_down() {
    let api = Api::with(rotating("ES256")).await;
    api.stack.rotate().await.unwrap();
    let bearer = format!("Bearer {}", api.token().await);
    assert_eq!(api.protected(&bearer).await.status, 200);
    api.stack.stop_store().await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(api.protected(&bearer).await.status, 200);
    }
    assert!(api.log().contains("the old ones stay in use"), "{}", api.log());
    api.stack.start_store().await.unwrap();
    api.stack.stop_secrets().await;
    api.token().await;
}

#[test]
fn algorithms_are_known_by_their_names() {
    for name in ["ES256", "EdDSA", "RS256", "HS256"] {
        assert_eq!(name.parse::<Algorithm>().unwrap().name(), name);
    }
}
