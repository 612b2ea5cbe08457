//! One address, many accounts: known passwords that are tried on them all, and an office that isn't doing that.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::user::Status;

use crate::{
    api::{Api, PASSWORD, Setup, hash},
    throttle::{Reply, guess, sign_in, within_a_window},
};

const ONE: &str = "198.51.100.7";

/// The events of this kind in the log.
fn events(api: &Api, kind: &str) -> Vec<Value> {
    api.lines().into_iter().filter(|line| line["security_event"] == kind).collect()
}

/// A guess at each of so many names; every fourth of them has an account.
async fn stuff(api: &Api, address: impl Fn(usize) -> String, names: usize) -> Vec<Reply> {
    let mut replies = Vec::new();
    for number in 0..names {
        replies.push(guess(api, &address(number), &format!("name{number}")).await);
    }
    replies
}

async fn with_some_names(parameters: Vec<(&'static str, &'static str)>) -> Api {
    let api = Api::with(Setup { parameters, ..Setup::default() }).await;
    let hash = hash(PASSWORD);
    for number in (0..200).step_by(4) {
        api.add_user(&format!("name{number}"), hash.clone(), "", Status::Active).await;
    }
    api
}

#[tokio::test]
async fn one_address_at_200_names_is_refused_after_100() {
    let (api, replies) = within_a_window(async || {
        let api = with_some_names(Vec::new()).await;
        let replies = stuff(&api, |_| ONE.to_owned(), 200).await;
        (api, replies)
    })
    .await;
    let statuses: Vec<u64> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!((&statuses[..100], &statuses[100..]), (&[401; 100][..], &[429; 100][..]));
    for reply in &replies[100..] {
        assert!((1..=1800).contains(&reply.retry_after()));
    }

    let events = events(&api, "sign_ins_stuffed");
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!((event["address"].as_str(), event["network"].as_str()), (Some(ONE), Some(ONE)));
    assert_eq!((event["level"].as_str(), event["outcome"].as_str()), (Some("WARN"), Some("refused")));
    let lines = api.lines();
    let failed = lines.iter().filter(|line| line["FailedSignIns"] == 1 && line["stack"] == "gatehouse").count();
    let refused = lines.iter().filter(|line| line["limit"] == "client" && line["Throttles"] == 1).count();
    assert_eq!((failed, refused), (100, 100));

    // Others are not concerned.
    assert_eq!(sign_in(&api, "198.51.100.8", "name0", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_office_of_50_behind_one_address_sees_none_of_it() {
    let api = Api::start().await;
    let hash = hash(PASSWORD);
    for person in 0..50 {
        let name = format!("person{person}");
        api.add_user(&name, hash.clone(), "read", Status::Active).await;
        assert_eq!(guess(&api, ONE, &name).await.status, 401, "{name}");
        assert_eq!(sign_in(&api, ONE, &name, PASSWORD).await.status, 200, "{name}");
    }
    assert!(events(&api, "sign_ins_stuffed").is_empty());
}

#[tokio::test]
async fn a_site_s_networks_share_what_four_addresses_may() {
    let (api, replies) = within_a_window(async || {
        let api = with_some_names(vec![("FailuresPerAddress", "10")]).await;
        let replies = stuff(&api, |number| format!("2001:db8:1:{number:x}::1"), 60).await;
        (api, replies)
    })
    .await;
    let mut counts = BTreeMap::new();
    for reply in &replies {
        *counts.entry(reply.status).or_insert(0) += 1;
    }
    assert_eq!(counts, [(401, 40), (429, 20)].into());
    let events = events(&api, "sign_ins_stuffed");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["network"], "2001:db8:1::/48");
}

#[tokio::test]
async fn who_lives_behind_a_spent_address_signs_in_still() {
    let (api, statuses) = within_a_window(async || {
        let api = with_some_names(vec![("FailuresPerAddress", "10")]).await;
        let mut statuses = vec![sign_in(&api, ONE, "name0", PASSWORD).await.status];
        stuff(&api, |_| ONE.to_owned(), 20).await;
        // name4 hasn't signed in from there.
        for (name, password) in [("name0", PASSWORD), ("name0", "wrong password"), ("name4", PASSWORD)] {
            statuses.push(sign_in(&api, ONE, name, password).await.status);
        }
        (api, statuses)
    })
    .await;
    assert_eq!(statuses, [200, 200, 429, 429]);
    drop(api);
}

/// Guesses by a stolen token are failures of the address too, and the last one of a budget is an event there.
#[tokio::test]
async fn wrong_current_passwords_count_with_sign_ins() {
    let api = Api::with(Setup { parameters: vec![("FailuresPerAddress", "10")], ..Setup::default() }).await;
    let mut tokens = Vec::new();
    for number in 0..20 {
        let name = format!("name{number}");
        api.add_user(&name, hash(PASSWORD), "", Status::Active).await;
        tokens.push(api.login(&[("username", &name), ("password", PASSWORD)]).await.access_token());
    }
    for token in &tokens {
        let body = r#"{"current_password":"wrong password","new_password":"a long enough one"}"#;
        let headers = [("Authorization", &*format!("Bearer {token}")), ("Content-Type", crate::api::JSON)];
        let answer = api.send(reqwest::Method::POST, "/password", &headers, body).await;
        assert!([400, 429].contains(&answer.status), "{}", answer.text);
    }
    let events = events(&api, "sign_ins_stuffed");
    assert!(!events.is_empty() && events.iter().all(|event| event["function"] == "account"), "{events:?}");
    assert!(events.iter().all(|event| event["user"].is_string()), "{events:?}");
}
