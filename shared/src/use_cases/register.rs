//! Making an account of one's own.

use std::time::Duration;

use super::{Unavailable, authenticate::Authenticator};
use crate::{
    store::{Store, StoreError},
    values::{
        client::Client,
        guessing::Address,
        password::NewPassword,
        scope::Scopes,
        time::Clock,
        user::User,
        username::{ReservedNames, Username},
    },
};

/// Why no account is made.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Another account has the name. Who registers has to be told.
    #[error("another account has the name")]
    Taken,
    /// The name is one that nobody can register. Who registers is told the same as of a taken one.
    #[error("the name is reserved")]
    Reserved,
    /// Too many accounts were asked for from the address; it may ask again after this time.
    #[error("too many accounts were asked for from the address")]
    TooMany(Duration),
    /// Something is down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Makes accounts for whoever asks.
pub struct Registration {
    /// Users and counts.
    pub store: Store,
    /// Hashes passwords.
    pub authenticator: Authenticator,
    /// What a new account may do.
    pub scopes: Scopes,
    /// The names that nobody can register.
    pub reserved: ReservedNames,
    /// How many accounts may be asked for from one address in an hour.
    pub per_address: u64,
    /// The time.
    pub clock: Clock,
}

impl Registration {
    /// Makes an account. The password is hashed before anybody looks whether the name is free, so that both answers
    /// take the same work. A reserved name takes it too, whether or not an account has it.
    ///
    /// # Errors
    /// [`RegistrationError`] says why not.
    pub async fn register(
        &self,
        username: Username,
        password: NewPassword,
        client: &Client,
    ) -> Result<User, RegistrationError> {
        let address = Address::of(client.address.as_deref());
        let counted = self.store.count_registration(address, self.per_address, self.clock.now()).await;
        if let Some(wait) = counted.map_err(Unavailable::from)? {
            return Err(RegistrationError::TooMany(wait));
        }
        let hash = self.authenticator.hash(password).await?;
        let user = User::new(username, hash, self.scopes.clone(), self.clock.now());
        if self.reserved.contains(&user.username) {
            self.store.refuse_user(&user).await.map_err(Unavailable::from)?;
            return Err(RegistrationError::Reserved);
        }
        self.add(&user).await?;
        Ok(user)
    }

    /// Adds the account, unless another one has the name. It may be there already, added by an attempt whose answer was
    /// lost, so that the SDK's next attempt found the name taken: no two hashes have one salt.
    async fn add(&self, user: &User) -> Result<(), RegistrationError> {
        let is_same = |found: &User| found.password_hash.as_str() == user.password_hash.as_str();
        match self.store.add_or_find_user(user).await {
            Ok(found) if found.as_ref().is_none_or(is_same) => Ok(()),
            Ok(_) | Err(StoreError::Unreadable(_)) => Err(RegistrationError::Taken),
            Err(error) => Err(Unavailable::from(error).into()),
        }
    }
}
