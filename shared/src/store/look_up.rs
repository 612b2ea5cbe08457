//! What has to be known before a password is looked at: the account, and the counts that say whether.

use rand::CryptoRng;

use super::{
    Store, StoreError, UnreadableRow,
    failures::{failures_key, failures_of},
    guesses::{Guess, GuessCounts, ceiling_key},
    users::{read_account, user_keys},
};
use crate::values::{
    guessing::{Address, Network},
    session::random_identifier,
    time::Timestamp,
    user::User,
    username::Username,
};

/// An account, as somebody wants to sign in to it.
pub struct LookUp {
    /// The account; `None` where there is none of the name.
    pub user: Result<Option<User>, UnreadableRow>,
    /// The counts that a guess at its password has to pass.
    pub counts: GuessCounts,
}

impl Store {
    /// The account of this name, and the counts for a guess at it from this address, all read consistently by one call.
    /// Beside that call the guess is counted already where the address is known and near no delay. For every name the
    /// same calls are made.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read, the account's alone excepted, or the guess can't be counted.
    pub async fn look_up(
        &self,
        username: &Username,
        address: Address,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<LookUp, StoreError> {
        let guess = Guess::new(username.clone(), address, random_identifier(rng), now);
        let networks: Vec<Network> = Network::of(address).collect();
        let counts_table = self.counts_table()?;
        let mut keys: Vec<_> = user_keys(username).map(|key| (self.table.as_str(), key)).into();
        keys.push((counts_table, ceiling_key(username, guess.window())));
        keys.extend(networks.iter().map(|network| (counts_table, failures_key(*network, guess.window()))));
        // In boxes, because what waits side by side would make the future of every call as large as both.
        let (rows, pair) =
            tokio::join!(Box::pin(self.get_all_in_time(&keys)), Box::pin(self.count_where_known(&guess)));
        // As many as there are keys, in the same order.
        let mut rows = rows?.into_iter();
        let mut next = || rows.next().flatten();
        let (user, credential, ceiling) = (next(), next(), next());
        let mut failures = Vec::with_capacity(networks.len());
        for network in networks {
            failures.push((network, failures_of(next())?));
        }
        let counts = GuessCounts::new(guess, pair?, ceiling, failures)?;
        Ok(LookUp { user: read_account(user, credential), counts })
    }
}
