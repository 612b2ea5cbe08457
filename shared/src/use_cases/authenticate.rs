//! Whether a password is an account's: the one place where a password is looked at, whichever door it comes in by.

use tracing::{error, warn};

use super::Unavailable;
use crate::{
    causes,
    store::{Store, StoreError},
    values::{
        client::Client,
        guessing::{Address, Throttled},
        password::{Cost, NewPassword, Password, PasswordHash},
        random::SystemRandom,
        time::Clock,
        user::{Status, User},
        username::Username,
    },
};

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The credentials don't open an account. The client isn't told more than that.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Too many passwords were tried; this one was not looked at.
    #[error(transparent)]
    Throttled(Throttled),
    /// Something is down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for AuthenticationError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why credentials don't open an account: for the log only.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// No account has the name. It isn't kept: people type passwords into the wrong field.
    #[error("no account has the name")]
    UnknownUser,
    /// The account's row can't be read.
    #[error("the account's row can't be read")]
    UnreadableUser,
    /// The password is not the account's.
    #[error("the password is not the account's")]
    WrongPassword(Username),
    /// The account is disabled, whatever the password.
    #[error("the account is disabled")]
    DisabledUser(Username),
}

impl Rejection {
    /// The word for the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::UnreadableUser => "unreadable_user",
            Self::WrongPassword(_) => "wrong_password",
            Self::DisabledUser(_) => "disabled_user",
        }
    }

    /// The account's name, where there is one.
    #[must_use]
    pub fn user(&self) -> Option<&Username> {
        match self {
            Self::UnknownUser | Self::UnreadableUser => None,
            Self::WrongPassword(username) | Self::DisabledUser(username) => Some(username),
        }
    }
}

/// Verifies passwords, and hashes new ones.
#[derive(Clone)]
pub struct Authenticator {
    store: Store,
    cost: Cost,
    /// What the password of an unknown user is verified against.
    decoy: PasswordHash,
    clock: Clock,
    random: SystemRandom,
}

impl Authenticator {
    /// An authenticator whose new hashes, and whose work for unknown users, have this cost.
    #[must_use]
    pub fn new(store: Store, cost: Cost, clock: Clock, mut random: SystemRandom) -> Self {
        let decoy = PasswordHash::decoy(cost, &mut random);
        Self { store, cost, decoy, clock, random }
    }

    /// The account whose password it is.
    ///
    /// The guess is counted before anything else is looked at. Every refusal then takes one read and the work of one
    /// verification at the cost of the setting, unless the account's own hash costs more.
    ///
    /// # Errors
    /// [`AuthenticationError`] says why nobody is let in.
    pub async fn authenticate(
        &self,
        username: &Username,
        password: &Password,
        client: &Client,
    ) -> Result<User, AuthenticationError> {
        let address = Address::of(client.address.as_deref());
        let counted = self.store.count_guess(username, address, self.clock.now(), &mut { self.random }).await?;
        let guess = counted.map_err(AuthenticationError::Throttled)?;
        let user = self.verify(username, password).await?;
        // Where it can't be noted the guess stays counted as a failure, which is no reason to turn the user away.
        if let Err(error) = self.store.guess_was_right(&guess, self.clock.now()).await {
            warn!(user = %user.username, cause = causes(&error), "a sign-in could not be noted, and counts as a failure");
        }
        Ok(user)
    }

    async fn verify(&self, username: &Username, password: &Password) -> Result<User, AuthenticationError> {
        let found = match self.store.find_user(username).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(Rejection::UnknownUser),
            // An error of its own would tell that the name is known.
            Err(StoreError::Unreadable(row)) => {
                error!(cause = causes(&row), "a user's row can't be read, so its password can't be verified");
                Err(Rejection::UnreadableUser)
            }
            Err(error @ StoreError::Unavailable(_)) => return Err(error.into()),
        };
        let hash = found.as_ref().map_or(&self.decoy, |user| &user.password_hash).clone();
        let active = found.as_ref().is_ok_and(|user| user.status == Status::Active);
        let (password, cost, mut random) = (password.clone(), self.cost, self.random);
        let verified = on_a_thread_of_its_own(move || {
            let verified = hash.verify(&password);
            if !(verified && active) {
                hash.even_out(&password, cost, &mut random);
            }
            verified
        })
        .await?;

        let user = found?;
        if !verified {
            return Err(Rejection::WrongPassword(user.username).into());
        }
        if user.status == Status::Disabled {
            return Err(Rejection::DisabledUser(user.username).into());
        }
        Ok(user)
    }

    /// Hashes a password that an account is to be given.
    ///
    /// # Errors
    /// [`Unavailable`] where the thread for it fails.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, Unavailable> {
        let (cost, mut random) = (self.cost, self.random);
        on_a_thread_of_its_own(move || PasswordHash::new(&password, cost, &mut random)).await
    }

    /// Puts a hash of today's form and cost into the place of an older one, of a password that was just verified, unless
    /// the older one has not seen the whole password. Where that fails the next sign-in tries again.
    pub async fn renew_hash(&self, user: &User, password: &Password) {
        if !user.password_hash.needs_renewal(self.cost, password) {
            return;
        }
        if let Err(error) = self.replace_hash(user, password).await {
            warn!(user = %user.username, cause = causes(&error), "the password's hash could not be renewed");
        }
    }

    async fn replace_hash(&self, user: &User, password: &Password) -> Result<(), Unavailable> {
        let (password, cost, mut random) = (password.clone(), self.cost, self.random);
        let new = on_a_thread_of_its_own(move || PasswordHash::renew(&password, cost, &mut random)).await?;
        // Where the hash isn't the old one any more, somebody has set a newer.
        self.store.replace_hash(&user.username, &user.password_hash, &new).await?;
        Ok(())
    }
}

/// Hashing takes as long as its cost says, which would hold up everything else.
async fn on_a_thread_of_its_own<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unavailable> {
    tokio::task::spawn_blocking(work).await.map_err(Unavailable::because)
}
