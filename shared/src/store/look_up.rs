//! What has to be known before a password is looked at, in one call: the account, and the counts that say whether.

use super::{
    Store, StoreError, UnreadableRow,
    failures::{failures_key, failures_of},
    guesses::{GuessCounts, ceiling_key, pair_key},
    users::{read_account, user_keys},
};
use crate::values::{
    guessing::{Address, Network, Window},
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
    /// The account of this name, and the counts for a guess at it from this address, all read consistently. The same is
    /// read for every name.
    ///
    /// # Errors
    /// [`StoreError`] where rows can't be read, the account's alone excepted.
    pub async fn look_up(&self, username: &Username, address: Address, now: Timestamp) -> Result<LookUp, StoreError> {
        let window = Window::of(now);
        let networks: Vec<Network> = Network::of(address).collect();
        let counts_table = self.counts_table()?;
        let mut keys: Vec<_> = user_keys(username).map(|key| (self.table.as_str(), key)).into();
        keys.push((counts_table, pair_key(username, address)));
        keys.push((counts_table, ceiling_key(username, window)));
        keys.extend(networks.iter().map(|network| (counts_table, failures_key(*network, window))));
        // As many as there are keys, in the same order.
        let mut rows = self.get_all_in_time(&keys).await?.into_iter();
        let mut next = || rows.next().flatten();
        let (user, credential, pair, ceiling) = (next(), next(), next(), next());
        let mut failures = Vec::with_capacity(networks.len());
        for network in networks {
            failures.push((network, failures_of(next())?));
        }
        let counts = GuessCounts::new((username.clone(), address, now), (pair, ceiling), failures)?;
        Ok(LookUp { user: read_account(user, credential), counts })
    }
}
