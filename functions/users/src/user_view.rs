//! A user as an administrator sees it.

use serde::Serialize;
use shared::{time::Timestamp, use_cases::administer_users::ChangedUser, user::UserSummary};

/// A user after a change.
#[derive(Serialize)]
pub(crate) struct ChangedUserView<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    /// Whether sessions are left that should have ended, for the same request again; absent where not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

impl<'a> ChangedUserView<'a> {
    pub(crate) fn of(changed: &'a ChangedUser) -> Self {
        Self { user: UserView::of(&changed.user), more: changed.has_sessions_left }
    }
}

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
