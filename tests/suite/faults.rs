//! What goes wrong between the functions and the store, and with the functions themselves. Each scenario prints its
//! figures: `cargo test -p tests --test suite -- --nocapture faults::`, or one of them by its name.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, rand_core::UnwrapErr, rngs::SysRng};
use reqwest::Method;
use serde_json::json;
use shared::{user::Status, username::Username};

use crate::{
    api::{Answer, Api, JSON, PASSWORD, Ring, Setup, hash},
    outage::LOGIN_TIMEOUT,
    proxy::{Fault, Proxy},
};

/// Clients at once, each with a user of its own: several guesses at one account at a time would be throttled.
const CLIENTS: usize = 8;

/// A stack whose functions reach the store through a proxy. Each client has signed in once.
async fn behind_a_proxy() -> (Arc<Api>, Proxy) {
    let api =
        Api::with(Setup { ring: Ring::Rotated, parameters: vec![("LiveRevocation", "0")], ..Setup::default() }).await;
    api.stack.rotate().await.unwrap();
    let proxy = Proxy::start(api.stack.store_url()).await;
    for function in ["login", "authorizer", "account", "sessions"] {
        assert!(api.stack.set_variable(function, "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    }
    for client in 0..CLIENTS {
        api.add_user(&user(client), hash(PASSWORD), "", Status::Active).await;
        assert_eq!(sign_in(&api, client).await.status, 200);
    }
    (Arc::new(api), proxy)
}

fn user(client: usize) -> String {
    format!("client{client}")
}

async fn sign_in(api: &Api, client: usize) -> Answer {
    api.login(&[("username", &user(client)), ("password", PASSWORD)]).await
}

/// What became of many calls.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    unavailable: usize,
    slowest: Duration,
}

impl Tally {
    /// Takes note of an answer, which may be this or a clean 503 and nothing else.
    #[track_caller]
    fn note(&mut self, answer: &Answer, expected: u16, begin: Instant) {
        self.slowest = self.slowest.max(begin.elapsed());
        if answer.status == expected {
            self.done += 1;
        } else {
            answer.error(503, "temporarily_unavailable");
            assert!(answer.header("retry-after").is_some());
            self.unavailable += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.unavailable += other.unavailable;
        self.slowest = self.slowest.max(other.slowest);
    }

    #[expect(clippy::print_stdout, reason = "the figures are what the scenarios are run for")]
    fn say(&self, what: &str) {
        let all = self.done + self.unavailable;
        println!("{what}: {} of {all} done, {} clean 503, slowest {:?}", self.done, self.unavailable, self.slowest);
    }
}

/// Every client signs in so often, and holds on to the last refresh token.
async fn sign_ins(api: &Arc<Api>, times: usize) -> Tally {
    let clients = (0..CLIENTS).map(|client| {
        let api = Arc::clone(api);
        tokio::spawn(async move {
            let mut tally = Tally::default();
            for _ in 0..times {
                let begin = Instant::now();
                tally.note(&sign_in(&api, client).await, 200, begin);
            }
            tally
        })
    });
    let mut sum = Tally::default();
    for client in clients.collect::<Vec<_>>() {
        sum.add(&client.await.unwrap());
    }
    sum
}

/// How many sessions the clients have in the table.
async fn sessions(api: &Api) -> usize {
    let mut sum = 0;
    for client in 0..CLIENTS {
        sum += api.store.sessions(&Username::parse(&user(client)).unwrap()).await.unwrap().len();
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn with_half_of_the_calls_throttled_sign_ins_succeed() {
    let (api, proxy) = behind_a_proxy().await;
    proxy.disturb(Fault::Throttle, 50);
    let tally = sign_ins(&api, 50).await;
    proxy.heal();
    tally.say("half throttled: sign-ins");
    assert!(tally.done * 100 >= (tally.done + tally.unavailable) * 99, "{tally:?}");
    assert!(tally.slowest < LOGIN_TIMEOUT, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_calls_throttled_all_get_503_and_nobody_is_let_in() {
    let (api, proxy) = behind_a_proxy().await;
    let signed_in = sign_in(&api, 0).await;
    let (bearer, refresh) = (format!("Bearer {}", signed_in.access_token()), signed_in.refresh_token());
    proxy.disturb(Fault::Throttle, 100);
    let mut tally = sign_ins(&api, 2).await;
    assert_eq!(tally.done, 0);
    for password in [PASSWORD, "wrong password"] {
        for username in ["client0", "nobody"] {
            let begin = Instant::now();
            tally.note(&api.login(&[("username", username), ("password", password)]).await, 0, begin);
        }
    }
    let begin = Instant::now();
    tally.note(&api.refresh(&refresh).await, 0, begin);
    // An authorizer with keys and one that has just started.
    for restart in [false, true] {
        if restart {
            api.stack.kill("authorizer").await;
        }
        let begin = Instant::now();
        tally.note(&api.protected(&bearer).await, 0, begin);
    }
    tally.say("all throttled: sign-ins, refreshes and protected calls");
    assert!(tally.slowest < LOGIN_TIMEOUT, "{tally:?}");

    // By itself: nothing is started anew.
    proxy.heal();
    let tally = sign_ins(&api, 1).await;
    tally.say("afterwards: sign-ins");
    assert_eq!(tally.done, CLIENTS);
    assert_eq!(api.protected(&bearer).await.status, 200);
    assert_eq!(api.refresh(&refresh).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_lost_answers_and_cut_connections_end_no_session() {
    let (api, proxy) = behind_a_proxy().await;
    for (what, fault, percent) in [
        ("half delayed by 300 ms", Fault::Delay(Duration::from_millis(300)), 50),
        ("a tenth delayed past an attempt's timeout", Fault::Delay(Duration::from_millis(1500)), 10),
        ("a third of the answers lost after the write", Fault::LoseAnswer, 33),
        ("a third of the connections cut before the write", Fault::CutConnection, 33),
    ] {
        let before = sessions(&api).await;
        proxy.disturb(fault, percent);
        let tally = sign_ins(&api, 8).await;
        let refreshes = refreshes(&api, 8).await;
        proxy.heal();
        tally.say(&format!("{what}: sign-ins"));
        refreshes.say(&format!("{what}: refreshes"));
        let made = sessions(&api).await - before;
        // One more for each client, whose session was refreshed. A session may be made and its answer lost for good.
        assert!(made >= tally.done + CLIENTS, "{made} sessions of {tally:?}");
        assert!(made <= tally.done + tally.unavailable + CLIENTS, "{made} sessions of {tally:?}");
        for tally in [&tally, &refreshes] {
            assert!(tally.done * 100 >= (tally.done + tally.unavailable) * 95, "{what}: {tally:?}");
            assert!(tally.slowest < LOGIN_TIMEOUT, "{what}: {tally:?}");
        }
    }
    // A retry that the server took for a second use would end a session.
    assert!(!api.log().contains("refresh_token_reused"));
}

/// Every client refreshes a session of its own so often, each time with the token that it got last.
async fn refreshes(api: &Arc<Api>, times: usize) -> Tally {
    let clients = (0..CLIENTS).map(|client| {
        let api = Arc::clone(api);
        tokio::spawn(async move {
            let mut token = loop {
                let answer = sign_in(&api, client).await;
                if answer.status == 200 {
                    break answer.refresh_token();
                }
            };
            let mut tally = Tally::default();
            for _ in 0..times {
                let begin = Instant::now();
                let answer = api.refresh(&token).await;
                tally.note(&answer, 200, begin);
                if answer.status == 200 {
                    token = answer.refresh_token();
                }
            }
            tally
        })
    });
    let mut sum = Tally::default();
    for client in clients.collect::<Vec<_>>() {
        sum.add(&client.await.unwrap());
    }
    sum
}

/// What a client of the mixed load knows to be so, because it was told.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Accounts, and their passwords. A change that wasn't answered leaves two.
    passwords: HashMap<String, Vec<String>>,
    /// Refresh tokens of sessions that go on.
    going_on: Vec<String>,
    /// Refresh tokens of sessions that were ended.
    ended: Vec<String>,
    /// Calls that were answered as asked, and those that weren't.
    done: usize,
    failed: usize,
}

impl Acknowledged {
    /// Whether a call was answered so. Otherwise the function or the store was gone, or too many had guessed before.
    #[track_caller]
    fn note(&mut self, answer: &Answer, expected: u16) -> bool {
        let done = answer.status == expected;
        assert!(done || [429, 502, 503].contains(&answer.status), "{} {}", answer.status, answer.text);
        *(if done { &mut self.done } else { &mut self.failed }) += 1;
        done
    }
}

/// One client's part of the mixed load: it registers, signs in, refreshes, changes its password, signs in again and logs
/// out.
async fn load(api: &Api, client: usize, until: Instant) -> Acknowledged {
    let mut known = Acknowledged::default();
    for round in 0.. {
        if Instant::now() > until {
            break;
        }
        let (username, password) = (format!("load{client}.{round}"), format!("the first password {client}.{round}"));
        let body = json!({ "username": username, "password": password }).to_string();
        let answer = api.send(Method::POST, "/register", &[("Content-Type", JSON)], body).await;
        // Without an answer the account may be there or not.
        if !known.note(&answer, 201) {
            continue;
        }
        known.passwords.insert(username.clone(), vec![password.clone()]);
        let answer = api.login(&[("username", &username), ("password", &password)]).await;
        if !known.note(&answer, 200) {
            continue;
        }
        let (bearer, mut refresh) = (format!("Bearer {}", answer.access_token()), answer.refresh_token());
        for _ in 0..3 {
            // Again at once, with the token that it has, as a client does that got no answer.
            refresh = loop {
                assert!(until.elapsed() < Duration::from_mins(1), "the store is back, and no refresh succeeds");
                let answer = api.refresh(&refresh).await;
                if known.note(&answer, 200) {
                    break answer.refresh_token();
                }
            };
        }
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", JSON)];
        let new = format!("the second password {client}.{round}");
        let body = json!({ "current_password": password, "new_password": new }).to_string();
        let answer = api.send(Method::POST, "/password", &headers, body).await;
        if !known.note(&answer, 200) {
            // Its sessions may have ended or not.
            known.passwords.insert(username, vec![new, password]);
            continue;
        }
        known.ended.push(refresh);
        let answer = api.login(&[("username", &username), ("password", &new)]).await;
        known.passwords.insert(username, vec![new]);
        if !known.note(&answer, 200) {
            continue;
        }
        let (bearer, refresh) = (format!("Bearer {}", answer.access_token()), answer.refresh_token());
        if round % 2 == 0 {
            known.going_on.push(refresh);
            continue;
        }
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", JSON)];
        let answer = api.send(Method::POST, "/logout", &headers, "{}").await;
        if known.note(&answer, 200) {
            known.ended.push(refresh);
        }
    }
    known
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_killed_functions_and_stores() {
    chaos(Duration::from_secs(10)).await;
}

/// `cargo test -p tests --test suite -- --ignored --nocapture ten_minutes_of_killing`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes"]
async fn ten_minutes_of_killing() {
    chaos(Duration::from_mins(10)).await;
}

#[expect(clippy::print_stdout, reason = "the figures are what the scenario is run for")]
async fn chaos(duration: Duration) {
    let parameters = vec![
        ("RegistrationsPerAddress", "1000000"),
        ("LiveRevocation", "0"),
        // However long the next attempt takes on a machine as busy as this one.
        ("RefreshGraceWindow", "300"),
    ];
    let api = Arc::new(Api::with(Setup { ring: Ring::Rotated, parameters, ..Setup::default() }).await);
    api.stack.rotate().await.unwrap();
    let until = Instant::now() + duration;
    let killer = tokio::spawn({
        let api = Arc::clone(&api);
        async move {
            let (mut rng, mut kills, mut stops) = (UnwrapErr(SysRng), 0, 0);
            while Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(rng.random_range(20..300))).await;
                if rng.random_range(0..5) == 0 {
                    api.stack.stop_store().await;
                    tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
                    api.stack.start_store().await.unwrap();
                    stops += 1;
                } else {
                    let functions = ["login", "account", "sessions", "authorizer"];
                    kills += usize::from(api.stack.kill(functions[rng.random_range(0..functions.len())]).await);
                }
            }
            (kills, stops)
        }
    });
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let api = Arc::clone(&api);
            tokio::spawn(async move { load(&api, client, until).await })
        })
        .collect();
    let (kills, stops) = killer.await.unwrap();
    let mut all = Acknowledged::default();
    for client in clients {
        let known = client.await.unwrap();
        all.passwords.extend(known.passwords);
        all.going_on.extend(known.going_on);
        all.ended.extend(known.ended);
        all.done += known.done;
        all.failed += known.failed;
    }
    println!(
        "{kills} functions killed, {stops} times without a store; {} calls acknowledged, {} not; {} accounts, {} \
         sessions that go on, {} that have ended",
        all.done,
        all.failed,
        all.passwords.len(),
        all.going_on.len(),
        all.ended.len()
    );
    assert!(kills > 5 && stops > 0 && all.failed > 0);
    assert!(all.passwords.len() > 10 && !all.going_on.is_empty() && !all.ended.is_empty());
    for (username, passwords) in &all.passwords {
        let mut statuses = Vec::new();
        for password in passwords {
            // As from another address, which the failures of before don't hold up.
            statuses.push(api.store.find_user(&Username::parse(username).unwrap()).await.unwrap().is_some_and(
                |user| user.password_hash.verify(&shared::password::Password::new(password.clone()).unwrap()),
            ));
        }
        assert_eq!(statuses.iter().filter(|right| **right).count(), 1, "{username} {statuses:?}");
    }
    for token in &all.going_on {
        assert_eq!(api.refresh(token).await.status, 200);
    }
    for token in &all.ended {
        api.refresh(token).await.error(400, "invalid_grant");
    }
}
