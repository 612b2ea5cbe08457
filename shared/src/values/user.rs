//! Accounts.

use std::{fmt, str::FromStr};

use rand::CryptoRng;

use crate::values::{password::PasswordHash, scope::Scopes, time::Timestamp, username::Username};

/// An account, as its two rows in the table hold it.
#[derive(Clone, Debug)]
pub struct User {
    /// The name, as typed when the account was made.
    pub username: Username,
    /// A number by which the account is told from another one of the same name, drawn at random when it is made.
    pub account: u64,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The version of the password: sessions of another version are over. It begins at random, so that no other account
    /// of the name has the same, and goes up by one with each new password.
    pub password_version: u64,
    /// What the account may do; a token carries a subset of these.
    pub scopes: Scopes,
    /// Whether the account may sign in.
    pub status: Status,
    /// When the account was made.
    pub created: Timestamp,
    /// When the account was last changed; signing in doesn't count.
    pub updated: Timestamp,
}

impl User {
    /// A new account that may sign in.
    #[must_use]
    pub fn new(
        username: Username,
        password_hash: PasswordHash,
        scopes: Scopes,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Self {
        Self {
            username,
            account: rng.next_u64(),
            password_hash,
            // Far below the largest number, however often the password changes.
            password_version: rng.next_u64() >> 16,
            scopes,
            status: Status::Active,
            created: now,
            updated: now,
        }
    }
}

/// The members of an account that may be shown: all but the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSummary {
    /// The name, as typed when the account was made.
    pub username: Username,
    /// Whether the account may sign in.
    pub status: Status,
    /// What the account may do.
    pub scopes: Scopes,
    /// When the account was made.
    pub created: Timestamp,
    /// When the account was last changed.
    pub updated: Timestamp,
}

/// Whether an account may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may.
    Active,
    /// It may not, and nothing tells it from an account that doesn't exist.
    Disabled,
}

impl Status {
    /// The status as the table has it: `active` or `disabled`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be active or disabled")]
pub struct InvalidStatus;

impl FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == text).ok_or(InvalidStatus)
    }
}
