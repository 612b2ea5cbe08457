//! An account of one's own: `POST /register` makes one, and `POST /password` gives it another password.

mod error;
mod request;

use std::{num::NonZeroU64, str::FromStr};

use lambda_http::{Body, Request, RequestExt, Response, http::StatusCode};
use rand::CryptoRng;
use serde_json::json;
use shared::{
    Identity,
    http::{self, ErrorResponse},
    log::{Entry, causes},
    password::{Cost, Password, PasswordHash},
    scope::Scopes,
    store::{PasswordUpdate, Store, StoreError},
    throttle::Address,
    time::Clock,
    user::{Status, User},
    username::Username,
};
use tracing::{error, warn};

use crate::{
    error::{Refusal, unavailable},
    request::{NewAccount, PasswordChange},
};

/// The account's routes, with all that they need.
pub struct Account<R> {
    /// Users and sessions.
    pub store: Store,
    /// Whether anybody may make an account.
    pub registration: Registration,
    /// What a new account may do.
    pub scopes: Scopes,
    /// How many accounts may be asked for from one address in an hour.
    pub registrations_per_address: NonZeroU64,
    /// The cost of new hashes, and of the work for users who can't be found.
    pub cost: Cost,
    /// What a password is verified against where there is no account; of this cost.
    pub decoy: PasswordHash,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub rng: R,
}

/// Whether anybody may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anybody may.
    On,
    /// Nobody may: the route is as if it weren't there.
    Off,
}

/// The text is no such setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be on or off")]
pub struct InvalidRegistration;

impl FromStr for Registration {
    type Err = InvalidRegistration;

    fn from_str(text: &str) -> Result<Self, InvalidRegistration> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(InvalidRegistration),
        }
    }
}

impl<R: CryptoRng + Clone + Send + 'static> Account<R> {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> (Response<Body>, Entry) {
        // By its end: a custom domain may put something of its own in front of the path.
        let path = request.raw_http_path().trim_end_matches('/');
        let outcome = if path.ends_with("/register") {
            self.register(&request).await
        } else if path.ends_with("/password") {
            self.change_password(&request).await
        } else {
            Err(Refusal::NotFound)
        };
        outcome.unwrap_or_else(|refusal| {
            let entry = refusal.entry();
            (ErrorResponse::from(refusal).into(), entry)
        })
    }

    /// Makes an account. The password is hashed before anybody looks whether the name is free, so that both answers
    /// take the same work.
    async fn register(&self, request: &Request) -> Result<(Response<Body>, Entry), Refusal> {
        if self.registration == Registration::Off {
            return Err(Refusal::NotFound);
        }
        let NewAccount { username, password } = NewAccount::of(request)?;
        let (address, limit) = (Address::of(http::client_address(request)), self.registrations_per_address);
        let wait = self.store.count_registration(address, limit, (self.clock)()).await.map_err(unavailable)?;
        if let Some(wait) = wait {
            return Err(Refusal::TooManyRegistrations(wait));
        }
        let user = User::new(username, self.hash(password).await?, self.scopes.clone(), (self.clock)());
        self.add(&user).await?;
        let response = http::json(StatusCode::CREATED, &json!({ "username": user.username.as_str() }));
        Ok((response, Entry::new("registered").with("user", &user.username)))
    }

    /// Adds the account, unless another one has the name. It may be there already, added by an attempt whose answer was
    /// lost, so that the SDK's next attempt found the name taken: no two hashes have one salt.
    async fn add(&self, user: &User) -> Result<(), Refusal> {
        let is_same = |found: &User| found.password_hash.as_str() == user.password_hash.as_str();
        match self.store.add_or_find_user(user).await {
            Ok(found) if found.as_ref().is_none_or(is_same) => Ok(()),
            Ok(_) | Err(StoreError::Unreadable(_)) => Err(Refusal::Taken),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Gives the caller's account another password, and ends its other sessions.
    async fn change_password(&self, request: &Request) -> Result<(Response<Body>, Entry), Refusal> {
        let caller = Identity::of(request)?;
        let PasswordChange { current, new } = PasswordChange::of(request, &caller.username)?;
        let user = self.authenticate(&caller.username, current, request).await?;
        let hash = self.hash(new).await?;
        let now = (self.clock)();
        match self.store.update_password(&user, &caller.session, &hash, now).await.map_err(unavailable)? {
            PasswordUpdate::Done => {}
            PasswordUpdate::UserChanged => return Err(Refusal::WrongPassword),
            PasswordUpdate::SessionOver => return Err(Refusal::SessionOver),
        }
        let ended = self.store.remove_sessions(&user.username, Some(&caller.session), now).await;
        let ended = ended.map_err(|error| Refusal::SessionsLeft(error.into()))?;
        Ok((http::json(StatusCode::OK, &json!({ "ended": ended })), Entry::new("password_changed").by(&caller)))
    }

    /// Verifies the caller's password, as a sign-in does: the guess is counted first, and every refusal takes the work
    /// of one verification.
    async fn authenticate(&self, username: &Username, password: Password, request: &Request) -> Result<User, Refusal> {
        let address = Address::of(http::client_address(request));
        let guess = self.store.count_guess(username, address, (self.clock)(), &mut self.rng.clone()).await;
        let guess = guess.map_err(unavailable)?.map_err(Refusal::Throttled)?;
        let user = match self.store.find_user(username).await {
            Ok(user) => user.filter(|user| user.status == Status::Active),
            Err(StoreError::Unreadable(row)) => {
                error!(cause = causes(&row), "a user's row can't be read, so its password can't be changed");
                None
            }
            Err(error @ StoreError::Unavailable(_)) => return Err(unavailable(error)),
        };
        let hash = user.as_ref().map_or(&self.decoy, |user| &user.password_hash).clone();
        let verified = tokio::task::spawn_blocking(move || hash.verify(&password)).await.map_err(unavailable)?;
        let user = user.filter(|_| verified).ok_or(Refusal::WrongPassword)?;
        if let Err(error) = self.store.guess_was_right(&guess, (self.clock)()).await {
            warn!(user = %user.username, cause = causes(&error), "a right password could not be noted, and counts as a failure");
        }
        Ok(user)
    }

    /// Hashes on a thread of its own: it takes as long as the cost says.
    async fn hash(&self, password: Password) -> Result<PasswordHash, Refusal> {
        let (cost, mut rng) = (self.cost, self.rng.clone());
        let hashed = tokio::task::spawn_blocking(move || PasswordHash::new(&password, cost, &mut rng)).await;
        hashed.map_err(unavailable)
    }
}
