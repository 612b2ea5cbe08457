//! Whether a password is an account's: the one place where a password is looked at, whichever door it comes in by.

use tracing::{error, warn};

use super::Unavailable;
use crate::{
    causes,
    store::{Guess, LookUp, Store, StoreError, UnreadableRow},
    values::{
        client::Client,
        guessing::{Address, FailuresPerAddress, Network, Throttled},
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
    #[error("{rejection}")]
    Rejected {
        /// Why not.
        rejection: Rejection,
        /// The network whose budget of failures this was the last one of: from now on its guesses aren't heard.
        spent: Option<Network>,
    },
    /// Too many passwords were tried. This one was not looked at, unless it came from an address that is known for the
    /// account and isn't the account's.
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
    /// The account was disabled, deleted, given another password or fewer scopes while the sign-in was under way.
    #[error("the account has changed since its password was verified")]
    ChangedUser(Username),
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
            Self::ChangedUser(_) => "changed_user",
        }
    }

    /// The account's name, where there is one.
    #[must_use]
    pub fn user(&self) -> Option<&Username> {
        match self {
            Self::UnknownUser | Self::UnreadableUser => None,
            Self::WrongPassword(username) | Self::DisabledUser(username) | Self::ChangedUser(username) => {
                Some(username)
            }
        }
    }
}

/// Whose password it was.
#[derive(Debug)]
pub struct Authenticated {
    /// The account, as it was when the password was looked at.
    pub user: User,
    /// The guess that was counted for it.
    guess: Guess,
}

/// Verifies passwords, and hashes new ones.
#[derive(Clone)]
pub struct Authenticator {
    store: Store,
    cost: Cost,
    failures_per_address: FailuresPerAddress,
    /// What the password of an unknown user is verified against.
    decoy: PasswordHash,
    clock: Clock,
    random: SystemRandom,
}

impl Authenticator {
    /// An authenticator whose new hashes, and whose work for unknown users, have this cost, and which hears an address
    /// until it has failed so often.
    #[must_use]
    pub fn new(
        store: Store,
        cost: Cost,
        failures_per_address: FailuresPerAddress,
        clock: Clock,
        mut random: SystemRandom,
    ) -> Self {
        let decoy = PasswordHash::decoy(cost, &mut random);
        Self { store, cost, failures_per_address, decoy, clock, random }
    }

    /// The account whose password it is.
    ///
    /// One read gives the account and the counts, whatever the name, and the guess is counted before the password is
    /// looked at. A refusal then takes the work of one verification at the cost of the setting, unless the account's own
    /// hash costs more, and as many writes for each name. Beyond the limits of [`crate::guessing`] a refusal takes the
    /// read alone, but for a known address, which waits for a verification first.
    ///
    /// # Errors
    /// [`AuthenticationError`] says why nobody is let in.
    pub async fn authenticate(
        &self,
        username: &Username,
        password: &Password,
        client: &Client,
    ) -> Result<Authenticated, AuthenticationError> {
        let address = Address::of(client.address.as_deref());
        let looked_up = self.store.look_up(username, address, self.clock.now(), &mut { self.random }).await?;
        let LookUp { user, counts } = looked_up;
        let counted = self.store.count_guess(counts, self.failures_per_address).await?;
        let guess = counted.map_err(AuthenticationError::Throttled)?;
        match self.verify(user, password).await? {
            Ok(user) => Ok(Authenticated { user, guess }),
            Err(rejection) => {
                let counted = self.store.guess_was_wrong(&guess, self.failures_per_address).await?;
                let spent = counted.map_err(AuthenticationError::Throttled)?;
                Err(AuthenticationError::Rejected { rejection, spent })
            }
        }
    }

    /// Notes that the password was right, so that it is no failure. Whoever is let in calls it, perhaps beside another
    /// call.
    pub async fn note(&self, authenticated: &Authenticated) {
        let Authenticated { user, guess } = authenticated;
        // Where it can't be noted the guess stays counted, which is no reason to turn the user away.
        if let Err(error) = self.store.guess_was_right(guess, self.clock.now()).await {
            warn!(user = %user.username, cause = causes(&error), "a sign-in could not be noted, and counts as a failure");
        }
    }

    /// Whether the password is that of the account, and opens it.
    async fn verify(
        &self,
        found: Result<Option<User>, UnreadableRow>,
        password: &Password,
    ) -> Result<Result<User, Rejection>, Unavailable> {
        let found = found.map_err(|row| {
            // An error of its own would tell that the name is known.
            error!(cause = causes(&row), "a user's row can't be read, so its password can't be verified");
            Rejection::UnreadableUser
        });
        let found = found.and_then(|user| user.ok_or(Rejection::UnknownUser));
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
        Ok(found.and_then(|user| match user.status {
            _ if !verified => Err(Rejection::WrongPassword(user.username)),
            Status::Disabled => Err(Rejection::DisabledUser(user.username)),
            Status::Active => Ok(user),
        }))
    }

    /// Hashes a password that an account is to be given.
    ///
    /// # Errors
    /// [`Unavailable`] where the thread for it fails.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, Unavailable> {
        hash_password(password, self.cost, self.random).await
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

/// Hashes a password that an account is to be given, at this cost.
pub(super) async fn hash_password(
    password: NewPassword,
    cost: Cost,
    mut random: SystemRandom,
) -> Result<PasswordHash, Unavailable> {
    on_a_thread_of_its_own(move || PasswordHash::new(&password, cost, &mut random)).await
}

/// Hashing takes as long as its cost says, which would hold up everything else.
async fn on_a_thread_of_its_own<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unavailable> {
    tokio::task::spawn_blocking(work).await.map_err(Unavailable::because)
}
