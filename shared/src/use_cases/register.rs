//! Making an account of one's own.

use std::time::Duration;

use super::{Unavailable, authenticate::hash_password};
use crate::{
    store::Store,
    values::{
        client::Client,
        guessing::Address,
        password::{Cost, NewPassword},
        random::SystemRandom,
        scope::Scopes,
        time::Clock,
        user::User,
        username::{ReservedNames, Username},
    },
};

/// Why no account is made.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Another account has the name, or had it. Who registers has to be told.
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
    /// What a hash costs.
    pub cost: Cost,
    /// What a new account may do.
    pub scopes: Scopes,
    /// The names that nobody can register.
    pub reserved: ReservedNames,
    /// How many accounts may be asked for from one address in an hour.
    pub per_address: u64,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: SystemRandom,
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
        let hash = hash_password(password, self.cost, self.random).await?;
        let now = self.clock.now();
        let user = User::new(username, hash, self.scopes.clone(), now, &mut { self.random });
        if self.reserved.contains(&user.username) {
            self.store.refuse_user(&user).await.map_err(Unavailable::from)?;
            return Err(RegistrationError::Reserved);
        }
        if !self.store.add_user(&user, now).await.map_err(Unavailable::from)? {
            return Err(RegistrationError::Taken);
        }
        Ok(user)
    }
}
