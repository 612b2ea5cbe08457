//! What the product does, each thing once: values in, an outcome out. Nothing here knows HTTP, Lambda or the
//! environment; the token endpoint, pages and the account API call the same code, so that no door can forget a rule.

pub mod administer_users;
pub mod authenticate;
pub mod change_password;
pub mod end_sessions;
pub mod issue_tokens;
pub mod refresh;
pub mod register;
pub mod revoke;
pub mod rotate_keys;
pub mod sign_in;

use crate::{BoxError, aws::key_cache::KeysUnavailable, store::StoreError};

/// Something that the answer needs is down, or not as it should be: never an allow, and nothing that a client is told.
#[derive(Debug, thiserror::Error)]
#[error("no answer is possible now")]
pub struct Unavailable(#[source] pub BoxError);

impl Unavailable {
    fn because(cause: impl Into<BoxError>) -> Self {
        Self(cause.into())
    }
}

impl From<StoreError> for Unavailable {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl From<KeysUnavailable> for Unavailable {
    fn from(error: KeysUnavailable) -> Self {
        Self(error.into())
    }
}
