//! A user as an administrator sees it.

use serde::Serialize;
use shared::{time::Timestamp, user::UserSummary};

/// A user as an administrator sees it. Times are seconds since 1970.
#[derive(Serialize)]
pub(crate) struct UserView<'a> {
    username: &'a str,
    status: &'a str,
    scopes: Vec<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> UserView<'a> {
    pub(crate) fn of(user: &'a UserSummary) -> Self {
        Self {
            username: user.username.as_str(),
            status: user.status.as_str(),
            scopes: user.scopes.iter().collect(),
            created_at: user.created,
            updated_at: user.updated,
        }
    }
}
