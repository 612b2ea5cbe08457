//! Live revocation: access tokens of sessions that have ended.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::{
    api::{Answer, Api, Setup},
    proxy::Proxy,
    token::claims,
};

async fn with(staleness: &'static str) -> Api {
    Api::with(Setup { parameters: vec![("LiveRevocation", staleness)], ..Setup::default() }).await
}

fn bearer(answer: &Answer) -> String {
    format!("Bearer {}", answer.access_token())
}

async fn log_out(api: &Api, signed_in: &Answer) {
    let answer = api.send(Method::POST, "/logout", &[("Authorization", &bearer(signed_in))], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn off_a_token_lives_until_it_expires() {
    let api = with("off").await;
    let signed_in = api.sign_in().await;
    log_out(&api, &signed_in).await;
    assert_eq!(api.protected(&bearer(&signed_in)).await.status, 200);
}

#[tokio::test]
async fn at_zero_seconds_a_token_is_refused_however_its_session_ended() {
    let api = with("0").await;
    for way in ["logout", "revoke", "reuse", "idle"] {
        let (signed_in, other) = (api.sign_in().await, api.sign_in().await);
        assert_eq!(api.protected(&bearer(&signed_in)).await.status, 200);
        let session = claims(&signed_in.access_token())["sid"].as_str().unwrap().to_owned();
        match way {
            "logout" => log_out(&api, &signed_in).await,
            "revoke" => {
                let body = crate::api::form(&[("token", &signed_in.refresh_token())]);
                api.send(Method::POST, "/revoke", &[("Content-Type", crate::api::FORM)], body).await;
            }
            "reuse" => {
                api.refresh(&signed_in.refresh_token()).await;
                api.age_session(&session, 11).await;
                api.refresh(&signed_in.refresh_token()).await.error(400, "invalid_grant");
            }
            _ => api.age_session(&session, 30 * 24 * 3600).await,
        }
        api.protected(&bearer(&signed_in)).await.error(401, "invalid_token");
        assert_eq!(api.protected(&bearer(&other)).await.status, 200);
    }
    assert!(api.log().contains("session_over"), "{}", api.log());
}

#[tokio::test]
async fn an_ended_session_is_refused_in_time_without_constant_reads() {
    let api = with("2").await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("authorizer", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    let signed_in = api.sign_in().await;
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(api.protected(&bearer(&signed_in)).await.status, 200);
    }
    let reads = proxy.count("GetItem");
    assert!(reads as u64 <= 1 + begin.elapsed().as_secs(), "{reads}");
    log_out(&api, &signed_in).await;
    let ended = Instant::now();
    while api.protected(&bearer(&signed_in)).await.status == 200 {
        assert!(ended.elapsed() < Duration::from_secs(3), "it still passes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(ended.elapsed() < Duration::from_millis(2500), "{:?}", ended.elapsed());
}

#[tokio::test]
async fn a_session_that_cannot_be_looked_up_is_an_outage() {
    let api = with("0").await;
    let signed_in = api.sign_in().await;
    assert_eq!(api.protected(&bearer(&signed_in)).await.status, 200);
    api.stack.stop_store().await;
    api.protected(&bearer(&signed_in)).await.error(503, "temporarily_unavailable");
    // What is refused anyway needs no session.
    api.protected("Bearer x").await.error(401, "invalid_token");
    api.stack.start_store().await.unwrap();
    assert_eq!(api.protected(&bearer(&signed_in)).await.status, 200);
}

#[tokio::test]
async fn a_valid_token_of_a_session_that_never_was_is_refused() {
    let api = with("60").await;
    let key = api.keys.newest().unwrap();
    let mut rng = rand::rand_core::UnwrapErr(rand::rngs::SysRng);
    let grant = shared::access_token::Grant {
        issuer: api.stack.url(),
        audience: crate::api::AUDIENCE,
        subject: &"johndoe".parse().unwrap(),
        client_id: "web",
        scopes: &shared::scope::Scopes::default(),
        session: &shared::session::SessionId::generate(&mut rng),
        lifetime: Duration::from_mins(30),
    };
    let token = api.issued(&shared::access_token::issue(&grant, key, crate::api::now(), &mut rng).unwrap());
    api.protected(&format!("Bearer {token}")).await.error(401, "invalid_token");
}
