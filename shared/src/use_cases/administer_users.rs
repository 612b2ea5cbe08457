//! Changes of accounts that administrators ask for.

use super::{Unavailable, end_sessions::REMOVAL_TIME};
use crate::{
    store::{Store, StoreError},
    values::{
        scope::Scopes,
        time::Clock,
        user::{Status, UserSummary},
        username::Username,
    },
};

/// What to change of an account.
#[derive(Clone, Debug)]
pub struct UserChange {
    /// Whether it may sign in.
    pub status: Option<Status>,
    /// What it may do, in the place of what it could before.
    pub scopes: Option<Scopes>,
}

/// An account after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedUser {
    /// The account as it is then.
    pub user: UserSummary,
    /// Whether a disabled account has so many sessions that not all rows could be removed. They can't be refreshed; the
    /// same change again removes more.
    pub has_sessions_left: bool,
}

/// Why an account is not changed as its administrator asked.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// Whoever asks is no administrator, or has ceased to be one since the access token was issued.
    #[error(transparent)]
    NoAdministrator(#[from] NoAdministrator),
    /// It would take the right to administer users from the account of whoever asks.
    #[error("administrators don't disable, delete or demote their own accounts")]
    OwnAccount,
    /// There is no account of that name.
    #[error("there is no such user")]
    NoSuchUser,
    /// Something is down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for AdministrationError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What is wrong with the account of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAdministrator {
    /// It has been deleted.
    #[error("the administrator's account is gone")]
    Gone,
    /// It may not sign in.
    #[error("the administrator's account is disabled")]
    Disabled,
    /// It hasn't every scope that the request needs.
    #[error("the administrator's account lacks the scope")]
    Demoted,
}

impl NoAdministrator {
    /// The word for it in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Gone => "administrator_gone",
            Self::Disabled => "administrator_disabled",
            Self::Demoted => "administrator_demoted",
        }
    }
}

/// Changes accounts on behalf of an administrator.
///
/// An access token says what its account could do when it was issued. So before anything is written, and before anybody
/// learns whether there is the account to change, the administrator's own row is read, consistently: it has to be there,
/// be active and have the scopes still. The row is read once a call, and the writes follow: an administrator who is
/// disabled in between finishes the change that is under way, and can begin no other.
pub struct Administration<'a> {
    /// Where the accounts are.
    pub store: &'a Store,
    /// What time it is.
    pub clock: &'a Clock,
    /// Whoever asks, by the name in the access token.
    pub administrator: &'a Username,
    /// The scopes that it takes, with single spaces between them: those that the route asks of the token.
    pub needed: &'a str,
}

impl Administration<'_> {
    /// Makes a change, and gives the account as it is then.
    ///
    /// What takes something away comes first: where something fails on the way, the account can do less than it should,
    /// and the same request again does the rest.
    ///
    /// # Errors
    /// [`AdministrationError`]; nothing is written then, unless it is [`Unavailable`], which may come halfway.
    pub async fn change(&self, username: &Username, change: &UserChange) -> Result<ChangedUser, AdministrationError> {
        self.check_administrator().await?;
        if username == self.administrator && self.takes_the_right(change) {
            return Err(AdministrationError::OwnAccount);
        }
        let (store, now) = (self.store, self.clock.now());
        let mut has_sessions_left = false;
        if change.status == Some(Status::Disabled) {
            found(store.set_status(username, Status::Disabled, now).await?)?;
            has_sessions_left = !store.remove_sessions(username, None, now, REMOVAL_TIME).await?.is_complete;
        }
        if let Some(scopes) = &change.scopes {
            found(store.set_scopes(username, scopes, now).await?)?;
        }
        if change.status == Some(Status::Active) {
            found(store.set_status(username, Status::Active, now).await?)?;
        }
        let user = store.find_user_summary(username).await?.ok_or(AdministrationError::NoSuchUser)?;
        Ok(ChangedUser { user, has_sessions_left })
    }

    /// Deletes an account and all of its sessions.
    ///
    /// # Errors
    /// [`AdministrationError`]; nothing is written then, unless it is [`Unavailable`]: the account may be disabled then,
    /// and the same request again goes on.
    pub async fn delete(&self, username: &Username) -> Result<(), AdministrationError> {
        self.check_administrator().await?;
        if username == self.administrator {
            return Err(AdministrationError::OwnAccount);
        }
        found(self.store.remove_user(username, self.clock.now(), REMOVAL_TIME).await?)
    }

    async fn check_administrator(&self) -> Result<(), AdministrationError> {
        let administrator = self.store.find_user_summary(self.administrator).await?.ok_or(NoAdministrator::Gone)?;
        if administrator.status != Status::Active {
            return Err(NoAdministrator::Disabled.into());
        }
        if !administrator.scopes.contains_all(self.needed) {
            return Err(NoAdministrator::Demoted.into());
        }
        Ok(())
    }

    /// Whether an account is no administrator's any more after the change.
    fn takes_the_right(&self, change: &UserChange) -> bool {
        change.status == Some(Status::Disabled)
            || change.scopes.as_ref().is_some_and(|scopes| !scopes.contains_all(self.needed))
    }
}

fn found(found: bool) -> Result<(), AdministrationError> {
    if found { Ok(()) } else { Err(AdministrationError::NoSuchUser) }
}
