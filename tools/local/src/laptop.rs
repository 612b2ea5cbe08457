//! The first key and the first user, which a deployed stack gets from its schedule and its operator.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use local::Stack;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde_json::Value;
use shared::BoxError;
use shared::aws::sdk::laptop_config;
use shared::key::Algorithm;
use shared::password::{Cost, Password, PasswordHash};
use shared::scope::Scopes;
use shared::store::{CLAIM, Store};
use shared::time::Timestamp;
use shared::user::User;
use shared::username::Username;

/// The user that exists on a laptop only. The password is shorter than a new one may be.
const USERNAME: &str = "johndoe";
const PASSWORD: &str = "secret";
const SCOPES: &str = "profile:read profile:write";
/// The cost that the template has by default, so that the first sign-in need not renew the hash.
const COST: u8 = 12;

/// Rotates the signing keys, if the template has a schedule for that, where there is no key yet, where
/// the newest isn't published (the store may be another one than last time) or where it isn't for
/// `algorithm`.
///
/// # Errors
/// The secret or the store can't be read, or the rotation fails.
pub(crate) async fn see_to_keys(stack: &Stack, algorithm: Option<&str>, now: Timestamp) -> Result<(), BoxError> {
    let Some(secret) = stack.secret_arn() else { return Ok(()) };
    let secrets = Client::new(&laptop_config(stack.secrets_url()));
    let ring = match secrets.get_secret_value().secret_id(secret).send().await {
        Ok(answer) => answer.secret_string,
        Err(error) if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) => {
            None
        }
        Err(error) => return Err(error.into()),
    };
    let is_right = match ring.as_deref().and_then(Key::newest) {
        Some(key) => algorithm.is_none_or(|algorithm| key.algorithm == algorithm) && key.verifies(stack, now).await?,
        None => false,
    };
    if !is_right {
        stack.rotate().await?;
    }
    Ok(())
}

/// The members of a key that say whether it has to be rotated.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    id: String,
    algorithm: String,
}

impl Key {
    /// The newest key of a ring, the first. A ring is a JWK Set or a single JWK.
    fn newest(ring: &str) -> Option<Self> {
        let ring: Value = serde_json::from_str(ring).ok()?;
        let key = if ring["keys"].is_array() { &ring["keys"][0] } else { &ring };
        Some(Self { id: key["kid"].as_str()?.to_owned(), algorithm: key["alg"].as_str()?.to_owned() })
    }

    /// Whether what it signs is valid. A key of HS256 isn't published, unless to say that it's retired.
    async fn verifies(&self, stack: &Stack, now: Timestamp) -> Result<bool, BoxError> {
        let store = Store::new(&laptop_config(stack.store_url()), stack.table_name());
        let rows = store.keys().await?;
        let row = rows.iter().find(|row| row.id == self.id);
        Ok(row.map_or(self.algorithm == Algorithm::Hs256.name(), |row| row.verifies(now)))
    }
}

/// Adds the laptop's user, unless there is one of that name.
///
/// # Errors
/// The store can't be read or written.
pub(crate) async fn add_first_user(stack: &Stack, now: Timestamp) -> Result<(), BoxError> {
    let store = Store::new(&laptop_config(stack.store_url()), stack.table_name());
    let username = Username::parse(USERNAME)?;
    if store.find_user(&username).await?.is_some() || store.is_deleted(&username).await? {
        return Ok(());
    }
    let password = Password::new(PASSWORD.to_owned())?;
    let mut rng = UnwrapErr(SysRng);
    let password_hash = PasswordHash::renew(&password, Cost::new(COST)?, &mut rng);
    let scopes = Scopes::parse(SCOPES)?;
    if store.add_user(&User::new(username, password_hash, scopes, now, &mut rng), now).await? {
        return Ok(());
    }
    let seconds = CLAIM.as_secs();
    Err(format!("{USERNAME} was being added when a stack was stopped: start it again in {seconds} seconds").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_key_of_a_ring_is_its_first() {
        let key = |id: &str| Some(Key { id: id.to_owned(), algorithm: "ES256".to_owned() });
        let [a, b] = ["a", "b"].map(|id| format!(r#"{{"kid":"{id}","alg":"ES256"}}"#));
        assert_eq!(Key::newest(&format!(r#"{{"keys":[{a},{b}]}}"#)), key("a"));
        assert_eq!(Key::newest(&b), key("b"));
        for without in ["", "{}", r#"{"keys":[]}"#, "null"] {
            assert_eq!(Key::newest(without), None, "{without}");
        }
    }
}
