//! Counts password guesses around the grant.

use lambda_http::Request;
use rand::CryptoRng;
use shared::{http, log::causes, store::Guess, throttle::Address, user::User, username::Username};
use tracing::warn;

use crate::{
    Login,
    error::{LoginError, unavailable},
};

impl<R: CryptoRng + Clone + Send + 'static> Login<R> {
    /// Counts a guess at this name's password, which may be made only then.
    pub(crate) async fn count_guess(&self, request: &Request, username: &Username) -> Result<Guess, LoginError> {
        let address = Address::of(http::client_address(request));
        let counted = self.store.count_guess(username, address, (self.clock)(), &mut self.rng.clone()).await;
        counted.map_err(unavailable)?.map_err(LoginError::Throttled)
    }

    /// Forgets the failures before a right password. Where that fails the guess stays counted as a failure, which
    /// is no reason to turn the user away.
    pub(crate) async fn guess_was_right(&self, guess: &Guess, user: &User) {
        if let Err(error) = self.store.guess_was_right(guess, (self.clock)()).await {
            warn!(user = %user.username, cause = causes(&error), "a sign-in could not be noted, and counts as a failure");
        }
    }
}
