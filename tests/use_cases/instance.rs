//! What the `main.rs` of a function wires, on a table of its own, with a clock that stands still until a test moves it.

use std::time::Duration;

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    access_token::{self, Verified},
    aws::{key_cache::KeyCache, key_readers::SigningRing, sdk::laptop_config},
    client::Client,
    key::{Algorithm, SigningKeys, VerifyingKeys},
    key_setting::KeySetting,
    password::{Cost, NewPassword, Password, PasswordHash},
    random,
    scope::Scopes,
    session::{Policy, Session},
    session_limit::SessionLimit,
    store::Store,
    time::{Clock, Timestamp},
    use_cases::{
        authenticate::{AuthenticationError, Authenticator},
        issue_tokens::{TokenIssuer, TokenPair},
        refresh::{Refresh, RefreshError, RefreshRequest},
        sign_in::{SignIn, SignInError, SignInRequest},
    },
    user::User,
};

use crate::{
    line::Line,
    table::{NOW, Table, endpoint, scopes, user, username},
};

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "api";
/// The password of every account here.
pub const PASSWORD: &str = "heavy metal umlaut";
/// How often an address may fail in a window.
pub const FAILURES_PER_ADDRESS: u64 = 20;
/// How long access tokens last.
pub const LIFETIME: Duration = Duration::from_mins(30);
/// How long sessions last.
pub const POLICY: Policy =
    Policy { lifetime: Duration::from_hours(10), idle: Duration::from_hours(2), grace: Duration::from_secs(10) };

/// One instance of a function.
pub struct Instance {
    pub table: Table,
    /// The way to the table that the use-cases take.
    pub store: Store,
    pub clock: Clock,
    pub authenticator: Authenticator,
    pub tokens: TokenIssuer,
    pub policy: Policy,
    pub limit: SessionLimit,
}

impl Instance {
    /// An instance with a ring of one key.
    pub fn start() -> Self {
        let table = Table::create();
        let store = table.store.clone();
        Self::with_inline_ring(table, store)
    }

    /// The same, with a line on its way to the table that can be disturbed.
    pub async fn on_a_line() -> (Line, Self) {
        let line = Line::start(endpoint()).await;
        let table = Table::create();
        let store = table.store_at(&line.url);
        let instance = Self::with_inline_ring(table, store);
        (line, instance)
    }

    fn with_inline_ring(table: Table, store: Store) -> Self {
        let ring = KeySetting::Inline(ring(NOW).to_private_jwks());
        // An inline ring is at no address.
        Self::with_ring(table, store, ring, "http://127.0.0.1:9")
    }

    /// An instance whose ring is that of the setting, in the secrets at this address.
    pub fn with_ring(table: Table, store: Store, ring: KeySetting, secrets: &str) -> Self {
        let clock = Clock::stopped(NOW);
        let random = random::system();
        let authenticator = authenticator(store.clone(), clock.clone());
        let ring = SigningRing::new(ring, &laptop_config(secrets));
        let tokens = TokenIssuer {
            keys: KeyCache::new(ring, Duration::from_hours(1), clock.clone()),
            audience: AUDIENCE.to_owned(),
            lifetime: LIFETIME,
            clock: clock.clone(),
            random,
        };
        Self { table, store, clock, authenticator, tokens, policy: POLICY, limit: SessionLimit(100) }
    }

    /// An authenticator like its own, with another way to the table.
    pub fn authenticator_of(&self, store: Store) -> Authenticator {
        authenticator(store, self.clock.clone())
    }

    /// Moves the clock on by so many seconds.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Adds an account that may `read` and `write`.
    pub async fn add_user(&self, name: &str) -> User {
        let user = User { password_hash: hash_of(PASSWORD, cost(4)), ..user(name) };
        assert!(self.table.store.add_user(&user, NOW).await.unwrap());
        user
    }

    /// The account, as the table has it.
    pub async fn find_user(&self, name: &str) -> User {
        self.table.store.find_user(&username(name)).await.unwrap().unwrap()
    }

    /// The account's sessions, as the table has them.
    pub async fn sessions(&self, name: &str) -> Vec<Session> {
        self.table.store.sessions(&username(name)).await.unwrap()
    }

    /// The only session of johndoe.
    pub async fn session(&self) -> Session {
        let mut sessions = self.sessions("johndoe").await;
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions.remove(0)
    }

    /// Guesses that count, those of accounts and addresses together first, and then those of accounts alone.
    pub async fn guesses(&self) -> (u64, usize) {
        let rows = self.table.counts().await;
        // Failures of addresses count too, in rows without a last guess.
        let failures = rows.iter().filter(|row| row.contains_key("last_guess")).filter_map(|row| row.get("failures"));
        let guesses = rows.iter().filter_map(|row| row.get("guesses"));
        (
            failures.map(|failures| failures.as_n().unwrap().parse::<u64>().unwrap()).sum(),
            guesses.map(|guesses| guesses.as_ss().unwrap().len()).sum(),
        )
    }

    pub async fn authenticate(&self, name: &str, password: &str, address: &str) -> Result<User, AuthenticationError> {
        let (name, password) = (username(name), self::password(password));
        let authenticated = self.authenticator.authenticate(&name, &password, &client(address)).await?;
        self.authenticator.note(&authenticated).await;
        Ok(authenticated.user)
    }

    pub async fn sign_in(&self, request: SignInRequest) -> Result<TokenPair, SignInError> {
        let Self { store, authenticator, tokens, policy, .. } = self;
        SignIn { store, authenticator, tokens, policy, limit: self.limit }
            .sign_in(request, ISSUER, client("192.0.2.1"))
            .await
    }

    /// The tokens of a new session of johndoe's.
    pub async fn begin_session(&self) -> TokenPair {
        self.sign_in(request("johndoe")).await.unwrap()
    }

    /// Refreshes, from another address than the sign-in's.
    pub async fn refresh(&self, token: &str, asked: Option<&str>) -> Result<TokenPair, RefreshError> {
        let Self { store, tokens, policy, .. } = self;
        let request = RefreshRequest { token: token.to_owned().into(), scopes: asked.map(scopes) };
        Refresh { store, tokens, policy }.refresh(&request, ISSUER, &client("198.51.100.7")).await
    }

    /// What the access token says to a verifier that has the instance's keys.
    pub async fn verify(&self, access: &str) -> Result<Verified, access_token::Refusal> {
        let ring = self.tokens.keys.keys().await.unwrap();
        let keys = VerifyingKeys::parse(&ring.to_verifying_jwks()).unwrap();
        access_token::verify(access, &keys, ISSUER, AUDIENCE, self.clock.now())
    }

    /// What the access token allows.
    pub async fn allowed(&self, pair: &TokenPair) -> Scopes {
        self.verify(pair.access.expose()).await.unwrap().scopes
    }
}

fn authenticator(store: Store, clock: Clock) -> Authenticator {
    let failures = FAILURES_PER_ADDRESS.to_string().parse().unwrap();
    Authenticator::new(store, cost(4), failures, clock, random::system())
}

/// A ring of one key that signs from now on.
pub fn ring(now: Timestamp) -> SigningKeys {
    SigningKeys::generate(Algorithm::Es256, now, &mut UnwrapErr(SysRng)).unwrap()
}

/// A sign-in of the account with its password, for all that it may do.
pub fn request(name: &str) -> SignInRequest {
    SignInRequest {
        username: username(name),
        password: password(PASSWORD),
        scopes: None,
        client_id: "web".to_owned(),
        in_cookies: false,
    }
}

pub fn client(address: &str) -> Client {
    Client { address: Some(address.to_owned()), user_agent: Some("curl".to_owned()) }
}

pub fn cost(cost: u8) -> Cost {
    Cost::new(cost).unwrap()
}

pub fn password(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

pub fn new_password(text: &str) -> NewPassword {
    NewPassword::new(text.to_owned(), &username("anybody")).unwrap()
}

pub fn hash_of(text: &str, cost: Cost) -> PasswordHash {
    PasswordHash::renew(&password(text), cost, &mut UnwrapErr(SysRng))
}

/// A point in time so many seconds after the instance's start.
pub fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}
