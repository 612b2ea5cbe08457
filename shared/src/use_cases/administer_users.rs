//! Accounts, for those who administer them.

use super::Unavailable;
use crate::{
    store::Store,
    values::{
        scope::Scopes,
        time::Timestamp,
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

/// Makes a change, and gives the account as it is then; `None` where there is none of that name.
///
/// What takes something away comes first: where something fails on the way, the account can do less than it should, and
/// the same request again does the rest.
///
/// # Errors
/// [`Unavailable`] where rows can't be read or written.
pub async fn change_user(
    store: &Store,
    username: &Username,
    change: &UserChange,
    now: Timestamp,
) -> Result<Option<UserSummary>, Unavailable> {
    if change.status == Some(Status::Disabled) {
        if !store.set_status(username, Status::Disabled, now).await? {
            return Ok(None);
        }
        store.remove_sessions(username, None, now).await?;
    }
    if let Some(scopes) = &change.scopes
        && !store.set_scopes(username, scopes, now).await?
    {
        return Ok(None);
    }
    if change.status == Some(Status::Active) && !store.set_status(username, Status::Active, now).await? {
        return Ok(None);
    }
    Ok(store.find_user_summary(username).await?)
}
