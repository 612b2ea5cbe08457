//! The laptop's stack with more clients at once than it has instances: each tries again, and nobody loses a session.
//! Each scenario prints its figures: `cargo test -p tests --test suite -- --nocapture laptop::`.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use local::Limits;
use rand::{RngExt, rand_core::UnwrapErr, rngs::SysRng};
use shared::user::Status;

use crate::api::{Api, FORM, PASSWORD, Setup, form, hash};

const CLIENTS: usize = 200;
/// How often each client refreshes its session.
const REFRESHES: usize = 3;
/// How long a client goes on trying.
const DEADLINE: Duration = Duration::from_mins(3);

/// What the clients' calls came to.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    /// Answered with a 5xx, which is no more than "try again".
    turned_away: usize,
    /// Given up by the client.
    hung_up: usize,
}

/// A client with a user of its own.
struct Client {
    api: Arc<Api>,
    http: reqwest::Client,
    username: String,
    /// How long it waits for an answer, from and to; drawn for every call.
    patience: Option<(Duration, Duration)>,
    tally: Tally,
}

impl Client {
    /// Asks the token endpoint for so long until it says yes, with the very same fields: as a client does that doesn't
    /// know what became of its call. Gives the refresh token.
    async fn insist(&mut self, fields: &[(&str, &str)]) -> String {
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < DEADLINE, "{} gets nowhere: {:?}", self.username, self.tally);
            let request = self.http.post(format!("{}/login", self.api.stack.url()));
            let request = request.header("Content-Type", FORM).body(form(fields));
            let request = match self.patience {
                Some((least, most)) => request.timeout(UnwrapErr(SysRng).random_range(least..most)),
                None => request,
            };
            let answer = async {
                let response = request.send().await?;
                Ok::<_, reqwest::Error>((response.status().as_u16(), response.text().await?))
            };
            match answer.await {
                Ok((200, text)) => {
                    self.tally.done += 1;
                    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
                    let token = answer["refresh_token"].as_str().unwrap().to_owned();
                    self.api.keep_secret(&token);
                    return token;
                }
                Ok((502..=504, _)) => self.tally.turned_away += 1,
                Ok((status, text)) => panic!("{}: {status} {text}", self.username),
                Err(error) => {
                    assert!(error.is_timeout(), "{error}");
                    self.tally.hung_up += 1;
                }
            }
        }
    }

    /// Signs in and refreshes the session; gives the last refresh token.
    async fn run(mut self) -> (Tally, String) {
        let username = self.username.clone();
        let mut token = self.insist(&[("username", &username), ("password", PASSWORD)]).await;
        for _ in 0..REFRESHES {
            token = self.insist(&[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
        }
        (self.tally, token)
    }
}

/// All clients at once. Afterwards their sessions go on, and no call was made without a caller.
#[expect(clippy::print_stdout, reason = "the figures are what the scenarios are run for")]
async fn rush(setup: Setup, patience: Option<(Duration, Duration)>) -> Tally {
    let api = Arc::new(Api::with(setup).await);
    let password_hash = hash(PASSWORD);
    for client in 0..CLIENTS {
        api.add_user(&format!("client{client}"), password_hash.clone(), "", Status::Active).await;
    }
    let begin = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            // A connection of its own, as from another machine.
            let http = reqwest::Client::new();
            let (api, username) = (Arc::clone(&api), format!("client{number}"));
            tokio::spawn(Client { api, http, username, patience, tally: Tally::default() }.run())
        })
        .collect();
    let mut all = Tally::default();
    let mut tokens = Vec::new();
    for client in clients {
        let (tally, token) = client.await.unwrap();
        all.done += tally.done;
        all.turned_away += tally.turned_away;
        all.hung_up += tally.hung_up;
        tokens.push(token);
    }
    let took = begin.elapsed();

    let log = api.log();
    let abandoned: HashSet<&str> = log
        .lines()
        .filter_map(|line| {
            line.strip_prefix("[gateway] login was not called for ")?.split_once(": its caller had gone")
        })
        .map(|(request_id, _)| request_id)
        .collect();
    let made: Vec<_> = lines(&log);
    println!("{all:?} in {took:?}: {} calls made, {} taken back with their callers", made.len(), abandoned.len());
    assert_eq!(all.done, CLIENTS * (1 + REFRESHES));
    for line in &made {
        assert!(!abandoned.contains(line["request_id"].as_str().unwrap()), "made without a caller: {line}");
        assert!(["signed_in", "refreshed"].contains(&line["outcome"].as_str().unwrap()), "{line}");
    }
    // Each call that was made was answered, or given up on the way.
    assert!(made.len() + abandoned.len() <= all.done + all.hung_up + all.turned_away, "{all:?}");
    assert!(!log.contains("refresh_token_reused"));
    api.keep_last_secrets(CLIENTS);
    for token in tokens {
        assert_eq!(api.refresh(&token).await.status, 200);
    }
    all
}

/// What login has written of its calls.
fn lines(log: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().filter_map(|line| line.strip_prefix("[login] "));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_at_once_lose_no_session() {
    let tally = rush(Setup::default(), None).await;
    assert_eq!(tally.hung_up, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_that_hang_up_and_retry_lose_no_session() {
    let setup = Setup {
        // Two instances, so that there is always a queue to hang up in.
        limits: Limits { instances: 2, ..Limits::default() },
        // However long the next attempt takes on a machine as busy as this one. A call that is made late, after its
        // client has gone on, uses an older token than the grace window is for.
        parameters: vec![("RefreshGraceWindow", "300")],
        ..Setup::default()
    };
    let tally = rush(setup, Some((Duration::from_millis(50), Duration::from_secs(2)))).await;
    assert!(tally.hung_up > 0, "{tally:?}");
}
