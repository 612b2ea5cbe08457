//! Giving one's own account another password.

use super::{
    Unavailable,
    authenticate::{AuthenticationError, Authenticator},
};
use crate::{
    store::{PasswordUpdate, Store, StoreError},
    values::{
        client::Client,
        password::{NewPassword, Password},
        session::SessionId,
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
    /// The account has another password than the one that was verified, or is disabled or gone.
    #[error("the account has changed since its password was verified")]
    AccountChanged,
    /// The session that the request came from has ended.
    #[error("the session is over")]
    SessionOver,
    /// The password is the new one, and other sessions may go on.
    #[error("the password is changed, and sessions of the old one may go on")]
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
    /// Gives the account another password, and ends its sessions but for the one that this comes from. Gives how many
    /// have ended.
    ///
    /// # Errors
    /// [`PasswordChangeError`] says what was not done.
    pub async fn change(
        &self,
        (username, session): (&Username, &SessionId),
        current: &Password,
        new: NewPassword,
        client: &Client,
    ) -> Result<usize, PasswordChangeError> {
        let user = self.authenticator.authenticate(username, current, client).await?;
        let hash = self.authenticator.hash(new).await?;
        let now = self.clock.now();
        match self.store.update_password(&user, session, &hash, now).await.map_err(Unavailable::from)? {
            PasswordUpdate::Done => {}
            PasswordUpdate::UserChanged => return Err(PasswordChangeError::AccountChanged),
            PasswordUpdate::SessionOver => return Err(PasswordChangeError::SessionOver),
        }
        let ended = self.store.remove_sessions(&user.username, Some(session), now).await;
        ended.map_err(PasswordChangeError::SessionsLeft)
    }
}
