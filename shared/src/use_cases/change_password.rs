//! Giving one's own account another password.

use super::{
    Unavailable,
    authenticate::{AuthenticationError, Authenticator},
    end_sessions::REMOVAL_TIME,
};
use crate::{
    store::{Removal, Store, StoreError},
    values::{
        client::Client,
        password::{NewPassword, Password},
        time::Clock,
        username::Username,
    },
};

/// Why the password isn't changed, or not all that goes with it is done.
#[derive(Debug, thiserror::Error)]
pub enum PasswordChangeError {
    /// The current password is not looked at, or isn't the account's.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// The account has another password than the one that was verified, or is gone.
    #[error("the account has changed since its password was verified")]
    AccountChanged,
    /// The password is the new one, and the rows of sessions are left, which can't be refreshed any more.
    #[error("the password is changed, and rows of sessions of the old one are left")]
    SessionsLeft(#[source] StoreError),
    /// Something is down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Changes passwords.
pub struct PasswordChange {
    /// Users and sessions.
    pub store: Store,
    /// Verifies and hashes passwords.
    pub authenticator: Authenticator,
    /// The time.
    pub clock: Clock,
}

impl PasswordChange {
    /// Gives the account another password, and ends all of its sessions: whoever has signed in with the old one, the
    /// caller too, has to sign in again. Gives how many have ended.
    ///
    /// The password is written before sessions are looked for: a sign-in that overlaps either finds the new password when
    /// it looks a second time, or has put its session before they are looked for. Those that are
    /// left where there are very many can't be refreshed either: they are of the old password.
    ///
    /// # Errors
    /// [`PasswordChangeError`] says what was not done.
    pub async fn change(
        &self,
        username: &Username,
        current: &Password,
        new: NewPassword,
        client: &Client,
    ) -> Result<Removal, PasswordChangeError> {
        let authenticated = self.authenticator.authenticate(username, current, client).await?;
        let user = &authenticated.user;
        let hash = self.authenticator.hash(new).await?;
        let now = self.clock.now();
        // Neither decides anything for the other. In boxes, because what waits side by side would make the future of
        // every call as large as both.
        let replacement = Box::pin(self.store.replace_password(user, &hash, now));
        let (replaced, ()) = tokio::join!(replacement, Box::pin(self.authenticator.note(&authenticated)));
        if !replaced.map_err(Unavailable::from)? {
            return Err(PasswordChangeError::AccountChanged);
        }
        let ended = self.store.remove_sessions(&user.username, None, now, REMOVAL_TIME).await;
        ended.map_err(PasswordChangeError::SessionsLeft)
    }
}
