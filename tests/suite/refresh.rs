//! `POST /login` with the grant `refresh_token`, and `POST /revoke`.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::json;
use shared::user::Status;
use tokio::task::JoinSet;

use crate::{
    api::{Answer, Api, FORM, JSON, PASSWORD, Ring, Setup, form, hash, now},
    proxy::{Cut, Proxy},
    token::claims,
};

/// The grace window in template.yaml, in seconds.
const WINDOW: u64 = 10;

fn session_of(answer: &Answer) -> String {
    claims(&answer.access_token())["sid"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!(
        answer.error(400, "invalid_grant"),
        "The refresh token is not valid, or no longer: sign in again",
        "{}",
        answer.text
    );
}

async fn revoke(api: &Api, fields: &[(&str, &str)]) -> Answer {
    api.send(Method::POST, "/revoke", &[("Content-Type", FORM)], form(fields)).await
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_of_the_same_session() {
    let api = Api::start().await;
    let first = api.login(&[("username", "johndoe"), ("password", PASSWORD), ("client_id", "web")]).await;
    let answer = api.refresh(&first.refresh_token()).await;
    let body = answer.json();
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("bearer"), Some(1800)));
    assert_eq!(body["scope"], "read write");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_ne!(answer.refresh_token(), first.refresh_token());
    let (old, new) = (claims(&first.access_token()), claims(&answer.access_token()));
    for claim in ["iss", "sub", "aud", "sid", "client_id", "scope"] {
        assert_eq!(old[claim], new[claim], "{claim}");
    }
    assert_ne!(old["jti"], new["jti"]);
    assert_eq!(api.protected(&format!("Bearer {}", answer.access_token())).await.status, 200);
    // And so on.
    let mut token = answer.refresh_token();
    for _ in 0..3 {
        token = api.refresh(&token).await.refresh_token();
    }
    assert_eq!(api.session(&session_of(&first)).await.unwrap().counter, 4);
}

#[tokio::test]
async fn json_does_the_same_and_a_missing_token_is_named() {
    let api = Api::start().await;
    let token = api.sign_in().await.refresh_token();
    let post = async |body: serde_json::Value| {
        api.send(Method::POST, "/login", &[("Content-Type", JSON)], body.to_string()).await
    };
    assert_eq!(post(json!({ "grant_type": "refresh_token", "refresh_token": token })).await.status, 200);
    let answer = post(json!({ "grant_type": "refresh_token" })).await;
    assert_eq!(answer.error(400, "invalid_request"), "refresh_token is missing");
    let answer = post(json!({ "grant_type": "refresh_token", "refresh_token": 1 })).await;
    assert_eq!(answer.error(400, "invalid_request"), "refresh_token must be a string");
}

#[tokio::test]
async fn scope_may_narrow_and_never_widen() {
    let api = Api::start().await;
    let signed_in = api.login(&[("username", "johndoe"), ("password", PASSWORD), ("scope", "read")]).await;
    let token = signed_in.refresh_token();
    let with = async |token: &str, scope: &str| {
        api.login(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)]).await
    };
    // The user has it, the session doesn't; and the user hasn't it at all. Neither uses the token up.
    for scope in ["write", "read write", "admin"] {
        with(&token, scope).await.error(400, "invalid_scope");
    }
    api.age_session(&session_of(&signed_in), WINDOW + 1).await;
    let narrow = with(&token, "read").await;
    assert_eq!(narrow.json()["scope"], "read");
    // In the window too.
    with(&token, "write").await.error(400, "invalid_scope");
    assert_eq!(with(&token, "read").await.refresh_token(), narrow.refresh_token());
    let many: Vec<String> = (0..101).map(|number| format!("s{number}")).collect();
    with(&narrow.refresh_token(), &many.join(" ")).await.error(400, "invalid_scope");
}

#[tokio::test]
async fn a_narrowed_refresh_leaves_the_session_as_wide_as_it_was() {
    let api = Api::start().await;
    let token = api.sign_in().await.refresh_token();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", "read")];
    let narrow = api.login(&fields).await;
    assert_eq!(narrow.json()["scope"], "read");
    assert_eq!(api.refresh(&narrow.refresh_token()).await.json()["scope"], "read write");
}

#[tokio::test]
async fn in_the_window_everyone_gets_the_same_successor() {
    let api = Api::start().await;
    let signed_in = api.sign_in().await;
    let token = signed_in.refresh_token();
    let next = api.refresh(&token).await.refresh_token();
    for _ in 0..5 {
        assert_eq!(api.refresh(&token).await.refresh_token(), next);
    }
    assert_eq!(api.session(&session_of(&signed_in)).await.unwrap().counter, 1);
    assert_eq!(api.refresh(&next).await.status, 200);
}

#[tokio::test]
async fn after_the_window_reuse_ends_this_session_and_no_other() {
    let api = Api::start().await;
    let (signed_in, other) = (api.sign_in().await, api.sign_in().await);
    let token = signed_in.refresh_token();
    let next = api.refresh(&token).await.refresh_token();
    api.age_session(&session_of(&signed_in), WINDOW + 1).await;
    assert_refused(&api.refresh(&token).await);
    // The thief's or the owner's, nobody can tell: both are out.
    assert_refused(&api.refresh(&next).await);
    assert_refused(&api.refresh(&token).await);
    assert_eq!(api.refresh(&other.refresh_token()).await.status, 200);

    let mut events = api.lines();
    events.retain(|line| line["security_event"] == "refresh_token_reused");
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event["level"], "WARN");
    assert_eq!(event["user"], "johndoe");
    assert_eq!(event["session"], session_of(&signed_in));
    assert_eq!(event["address"], "127.0.0.1");
}

#[tokio::test]
async fn any_ancestor_is_reuse_in_a_hundred_of_a_hundred_tries() {
    let api = Api::start().await;
    let bystander = api.sign_in().await;
    for round in 0..100 {
        let signed_in = api.sign_in().await;
        let mut tokens = vec![signed_in.refresh_token()];
        for _ in 0..=round % 5 {
            tokens.push(api.refresh(tokens.last().unwrap()).await.refresh_token());
        }
        // The last one used is reuse after the window, those before it at any time.
        let replayed = round % (tokens.len() - 1);
        if replayed + 2 == tokens.len() {
            api.age_session(&session_of(&signed_in), WINDOW + 1).await;
        }
        assert_refused(&api.refresh(&tokens[replayed]).await);
        assert_refused(&api.refresh(tokens.last().unwrap()).await);
    }
    assert_eq!(api.refresh(&bystander.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn without_a_window_a_second_use_is_reuse() {
    let api = Api::with(Setup { parameters: vec![("RefreshGraceWindow", "0")], ..Setup::default() }).await;
    let token = api.sign_in().await.refresh_token();
    let next = api.refresh(&token).await.refresh_token();
    assert_refused(&api.refresh(&token).await);
    assert_refused(&api.refresh(&next).await);
}

#[tokio::test]
async fn a_changed_or_foreign_token_is_refused_and_ends_nothing() {
    let api = Api::start().await;
    let token = api.sign_in().await.refresh_token();
    let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_refused(&api.refresh(&URL_SAFE_NO_PAD.encode(changed)).await);
    }
    for text in ["x", "eyJhbGciOiJub25lIn0.e30.", &"A".repeat(5000), &format!("{token}A"), "\0"] {
        assert_refused(&api.refresh(text).await);
    }
    // An access token is no refresh token, and the other way round.
    assert_refused(&api.refresh(&api.token().await).await);
    assert_eq!(api.protected(&format!("Bearer {token}")).await.status, 401);
    assert_eq!(api.refresh(&token).await.status, 200);
}

#[tokio::test]
async fn a_session_idles_out_and_ends_at_its_absolute_end() {
    let day = 24 * 3600;
    let api = Api::start().await;
    let (idle, busy) = (api.sign_in().await, api.sign_in().await);
    let mut token = busy.refresh_token();
    for _ in 0..3 {
        api.age_session(&session_of(&busy), 29 * day).await;
        token = api.refresh(&token).await.refresh_token();
    }
    api.age_session(&session_of(&busy), 3 * day).await;
    assert_refused(&api.refresh(&token).await);
    api.age_session(&session_of(&idle), 30 * day).await;
    assert_refused(&api.refresh(&idle.refresh_token()).await);
    // Neither is a theft.
    assert!(!api.log().contains("refresh_token_reused"));
}

#[tokio::test]
async fn an_access_token_does_not_outlive_its_session() {
    let api = Api::with(Setup { parameters: vec![("SessionLifetime", "600")], ..Setup::default() }).await;
    let signed_in = api.sign_in().await;
    assert_eq!(signed_in.json()["expires_in"], 600);
    api.age_session(&session_of(&signed_in), 500).await;
    let answer = api.refresh(&signed_in.refresh_token()).await;
    let claims = claims(&answer.access_token());
    let left = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!((90..=100).contains(&left), "{left}");
    assert!(answer.json()["expires_in"].as_u64().unwrap().abs_diff(left) <= 1);
}

#[tokio::test]
async fn a_disabled_user_s_sessions_end() {
    let api = Api::start().await;
    let signed_in = api.sign_in().await;
    let username = "johndoe".parse().unwrap();
    assert!(api.store.set_status(&username, Status::Disabled, now()).await.unwrap());
    assert_refused(&api.refresh(&signed_in.refresh_token()).await);
    // For good, also where the user is enabled again.
    assert!(api.store.set_status(&username, Status::Active, now()).await.unwrap());
    assert_refused(&api.refresh(&signed_in.refresh_token()).await);
}

#[tokio::test]
async fn a_new_password_ends_old_sessions_and_a_renewed_hash_does_not() {
    let api = Api::start().await;
    let username = "johndoe".parse().unwrap();
    let before = api.sign_in().await;
    let user = api.user("johndoe").await;
    assert!(api.store.replace_hash(&username, &user.password_hash, &hash(PASSWORD)).await.unwrap());
    let token = api.refresh(&before.refresh_token()).await.refresh_token();
    assert!(api.store.set_password(&username, &hash("another long password"), now()).await.unwrap());
    assert_refused(&api.refresh(&token).await);
    api.keep_secret("another long password");
    let after = api.login(&[("username", "johndoe"), ("password", "another long password")]).await;
    assert_eq!(api.refresh(&after.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn scopes_that_the_user_has_lost_are_not_refreshed() {
    let api = Api::start().await;
    api.add_user("jane", hash(PASSWORD), "read", Status::Active).await;
    let token = api.login(&[("username", "jane"), ("password", PASSWORD)]).await.refresh_token();
    api.set_scopes("jane", &["write"]).await;
    let answer = api.refresh(&token).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json().get("scope").is_none(), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_refreshes_move_the_counter_once() {
    refresh_in_parallel(200, 3).await;
}

/// `cargo test -p tests --test suite -- --ignored two_hundred` (about 15 minutes on two cores).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn two_hundred_parallel_refreshes_a_thousand_times() {
    refresh_in_parallel(200, 1000).await;
}

/// Refreshes one token so many times at once, and so on with its successor.
async fn refresh_in_parallel(at_once: usize, rounds: u64) {
    let api = Arc::new(Api::start().await);
    let signed_in = api.sign_in().await;
    let mut token = signed_in.refresh_token();
    for round in 1..=rounds {
        let mut calls = JoinSet::new();
        for _ in 0..at_once {
            let (api, token) = (Arc::clone(&api), token.clone());
            calls.spawn(async move { api.refresh(&token).await.refresh_token() });
        }
        let successors: BTreeSet<String> = calls.join_all().await.into_iter().collect();
        assert_eq!(successors.len(), 1);
        token = successors.into_iter().next().unwrap();
        assert_eq!(api.session(&session_of(&signed_in)).await.unwrap().counter, round);
        api.keep_last_secrets(1000);
    }
    assert!(!api.log().contains("refresh_token_reused"));
}

#[tokio::test]
async fn an_update_whose_answer_is_lost_ends_no_session() {
    let api = Api::start().await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("login", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    let mut token = api.sign_in().await.refresh_token();
    for cut in [Cut::After, Cut::AfterOnce, Cut::Before, Cut::After, Cut::AfterOnce] {
        proxy.cut(0, cut);
        let answer = api.refresh(&token).await;
        if cut == Cut::AfterOnce {
            // The SDK tries again by itself, and finds what it has done.
            assert!(proxy.was_cut() && proxy.count("UpdateItem") == 2);
            token = answer.refresh_token();
        } else {
            assert_eq!(answer.error(503, "temporarily_unavailable"), "Try again in a few seconds");
            assert!(proxy.was_cut());
            proxy.heal();
            // The client does as it's told.
            token = api.refresh(&token).await.refresh_token();
        }
        proxy.heal();
    }
    assert!(!api.log().contains("refresh_token_reused"));
}

#[tokio::test]
async fn a_sign_in_whose_write_lost_its_answer_succeeds() {
    let api = Api::start().await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("login", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    api.sign_in().await;
    proxy.cut_of("PutItem", 0, Cut::AfterOnce);
    let signed_in = api.sign_in().await;
    assert!(proxy.was_cut() && proxy.count("PutItem") == 2);
    assert_eq!(api.refresh(&signed_in.refresh_token()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_killed_at_any_moment_strands_no_session() {
    kill_while_refreshing(40).await;
}

/// `cargo test -p tests --test suite -- --ignored a_thousand_refreshes` (some minutes).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_thousand_refreshes_while_the_function_is_killed() {
    kill_while_refreshing(1000).await;
}

async fn kill_while_refreshing(refreshes: usize) {
    // However long the next attempt takes on a machine as busy as this one.
    let parameters = vec![("RefreshGraceWindow", "300")];
    let api = Arc::new(Api::with(Setup { parameters, ..Setup::default() }).await);
    let mut token = api.sign_in().await.refresh_token();
    // How long a call takes of a function that has to start first, on this machine as busy as it is.
    api.stack.kill("login").await;
    let begin = Instant::now();
    token = api.refresh(&token).await.refresh_token();
    let call = begin.elapsed();
    let killer = tokio::spawn({
        let api = Arc::clone(&api);
        async move {
            for round in 0_u32.. {
                // From the process's start to past its answer.
                tokio::time::sleep(call * (round * 7 % 40) / 20).await;
                api.stack.kill("login").await;
            }
        }
    });
    let mut failed = 0;
    for _ in 0..refreshes {
        // A client whose call failed tries again, with the token that it has.
        for attempt in 0.. {
            let answer = api.refresh(&token).await;
            if answer.status == 200 {
                token = answer.refresh_token();
                break;
            }
            answer.error(502, "server_error");
            failed += 1;
            assert!(attempt < 100, "{}", api.log());
        }
    }
    killer.abort();
    assert!(failed > refreshes / 20, "only {failed} calls met a killed function");
    assert!(!api.log().contains("refresh_token_reused"));
    assert_eq!(api.refresh(&token).await.status, 200);
}

#[tokio::test]
async fn refresh_tokens_outlive_rotations_and_not_a_retired_key() {
    let every = |function: &'static str, name: &'static str, value: &str| (function, name, value.to_owned());
    let api = Api::with(Setup {
        ring: Ring::Rotated,
        environment: vec![every("login", "KEY_REFRESH", "1"), every("rotate-keys", "KEY_PUBLISH_AHEAD", "1")],
        ..Setup::default()
    })
    .await;
    api.stack.rotate().await.unwrap();
    let (signed_in, later) = (api.sign_in().await, api.sign_in().await);
    let first = crate::token::header(&signed_in.access_token())["kid"].as_str().unwrap().to_owned();
    let mut token = signed_in.refresh_token();
    for algorithm in ["EdDSA", "HS256", "ES256"] {
        api.stack.set_variable("rotate-keys", "SIGNING_ALGORITHM", algorithm).await;
        api.stack.rotate().await.unwrap();
        api.until(async || crate::token::header(&api.token().await)["alg"] == algorithm).await;
        let answer = api.refresh(&token).await;
        assert_eq!(crate::token::header(&answer.access_token())["alg"], algorithm);
        token = answer.refresh_token();
    }
    api.store.retire_key(&first, now()).await.unwrap();
    api.stack.rotate().await.unwrap();
    api.until(async || api.refresh(&later.refresh_token()).await.status == 400).await;
    assert_refused(&api.refresh(&token).await);
    assert!(!api.log().contains("refresh_token_reused"));
}

#[tokio::test]
async fn a_refresh_while_the_store_is_down_is_an_outage_without_loss() {
    let api = Api::start().await;
    let token = api.sign_in().await.refresh_token();
    api.stack.stop_store().await;
    api.refresh(&token).await.error(503, "temporarily_unavailable");
    revoke(&api, &[("token", &token)]).await.error(503, "temporarily_unavailable");
    api.stack.start_store().await.unwrap();
    assert_eq!(api.refresh(&token).await.status, 200);
}

#[tokio::test]
async fn revocation_ends_the_session_by_either_of_its_tokens() {
    let api = Api::start().await;
    let other = api.sign_in().await;
    for hint in [None, Some("refresh_token"), Some("access_token"), Some("nonsense")] {
        for access in [false, true] {
            let signed_in = api.sign_in().await;
            let token = if access { signed_in.access_token() } else { signed_in.refresh_token() };
            let mut fields = vec![("token", token.as_str())];
            fields.extend(hint.map(|hint| ("token_type_hint", hint)));
            let answer = revoke(&api, &fields).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_refused(&api.refresh(&signed_in.refresh_token()).await);
            // Again is no error.
            assert_eq!(revoke(&api, &fields).await.status, 200);
        }
    }
    assert_eq!(api.refresh(&other.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn revoking_what_is_no_token_of_ours_succeeds_and_ends_nothing() {
    let api = Api::start().await;
    let signed_in = api.sign_in().await;
    let (refresh, access) = (signed_in.refresh_token(), signed_in.access_token());
    let tampered = |token: &str| {
        let mut bytes = token.as_bytes().to_vec();
        let at = bytes.len() - 5;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for token in ["unknown", "a.b.c", &tampered(&refresh), &tampered(&access), &"x".repeat(5000)] {
        assert_eq!(revoke(&api, &[("token", token)]).await.status, 200, "{token}");
    }
    assert_eq!(revoke(&api, &[]).await.error(400, "invalid_request"), "token is missing");
    assert_eq!(api.refresh(&refresh).await.status, 200);
}

#[tokio::test]
async fn the_table_holds_no_token_no_key_and_no_password() {
    let api = Api::with(Setup { ring: Ring::Rotated, ..Setup::default() }).await;
    api.stack.rotate().await.unwrap();
    let signed_in = api.sign_in().await;
    let refreshed = api.refresh(&signed_in.refresh_token()).await;
    let narrow = api.login(&[("username", "johndoe"), ("password", PASSWORD), ("scope", "read")]).await;
    revoke(&api, &[("token", &narrow.refresh_token())]).await;
    let dump = api.dump().await;
    assert!(dump.contains("SESSION#johndoe") && dump.contains("USER#johndoe"), "{dump}");
    for answer in [&signed_in, &refreshed, &narrow] {
        for token in [answer.access_token(), answer.refresh_token()] {
            let signature = &token[token.len() - 40..];
            assert!(!dump.contains(&token) && !dump.contains(signature), "{dump}");
        }
    }
    assert!(!dump.contains(PASSWORD));
    for private in ["\\\"d\\\":", "\\\"k\\\":", "eyJ"] {
        assert!(!dump.contains(private), "{private} in {dump}");
    }
}
