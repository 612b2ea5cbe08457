//! Rotates the signing keys, in the four steps that Secrets Manager calls for one version of a secret:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>
//!
//! 1. `createSecret` puts a ring with a new key into the version, in front of the older ones.
//! 2. `setSecret` publishes the new key's public half.
//! 3. `testSecret` signs with the new key and verifies through what is published.
//! 4. `finishSecret` makes the version current, and says until when the older keys verify.
//!
//! Secrets Manager repeats a step after a failure, so each may find its work done, in whole or in part.
//!
//! A key is published some minutes before it signs, because verifiers look for new keys from time to time
//! only. Until then the key before it signs on. That is in the ring itself: each key says from when it signs
//! and, once there is a newer one, until when it verifies.

use std::time::Duration;

use crate::{
    BoxError,
    aws::secrets::{SigningSecret, Stage},
    store::{KeyRow, Store},
    values::{
        access_token::{self, Grant},
        key::{Algorithm, KeyStatus, Retention, SigningKey, SigningKeys, VerifyingKeys},
        random::SystemRandom,
        scope::Scopes,
        session::SessionId,
        time::{Clock, Seconds, Timestamp},
        username::Username,
    },
};

/// How long an older key verifies beyond the longest life of a token that it may have signed: instances
/// that can't read the new ring sign with the old one for a while.
const MARGIN: Duration = Duration::from_hours(24);

/// How long a key is published before it signs, in seconds from 1 to 86400: longer than verifiers keep keys.
pub type PublishAhead = Seconds<1, 86400>;

/// A step of the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Puts a ring with a new key into the version, in front of the older ones.
    Create,
    /// Publishes the new key's public half.
    Set,
    /// Signs with the new key and verifies through what is published.
    Test,
    /// Makes the version current, and says until when the older keys verify.
    Finish,
}

/// The rotation, with all that it needs.
pub struct Rotation {
    /// The signing ring.
    pub secret: SigningSecret,
    /// Where public halves are published.
    pub store: Store,
    /// What the next key is for.
    pub algorithm: Algorithm,
    /// How long tokens live.
    pub lifetime: Duration,
    /// How long sessions last, and so how long refresh tokens of older keys count.
    pub session_lifetime: Duration,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: SystemRandom,
}

impl Rotation {
    /// Takes one step for this version of the secret, and says what came of it, in a word or two for the log.
    ///
    /// # Errors
    /// What went wrong; Secrets Manager tries again later.
    pub async fn take(&self, step: Step, id: &str, version: &str) -> Result<&'static str, BoxError> {
        let stage = self.secret.stage(id, version).await?;
        match (step, stage) {
            // The step that makes a version current may have ended halfway.
            (Step::Finish, Stage::Current) => {
                self.retire(&self.secret.ring(id, version).await?, &self.store.keys().await?).await
            }
            (_, Stage::Current) => Ok("done before"),
            (Step::Create, Stage::Pending) => self.create(id, version).await,
            (Step::Set, Stage::Pending) => self.publish(&self.secret.ring(id, version).await?).await,
            (Step::Test, Stage::Pending) => self.test(&self.secret.ring(id, version).await?).await,
            (Step::Finish, Stage::Pending) => {
                let ring = self.secret.ring(id, version).await?;
                let rows = self.store.keys().await?;
                self.check_published_ahead(&ring, &rows)?;
                self.check_not_overtaken(&self.secret.current_ring(id).await?, &ring, &rows)?;
                self.secret.make_current(id, version).await?;
                self.retire(&ring, &rows).await
            }
        }
    }

    async fn create(&self, id: &str, version: &str) -> Result<&'static str, BoxError> {
        if self.secret.has_value(id, version).await? {
            return Ok("done before");
        }
        let current = self.secret.current_ring(id).await?;
        let rows = self.store.keys().await?;
        let now = self.clock.now();
        let signs_from = now.after(self.publish_ahead);
        let retention = Retention {
            signs_from,
            verifies_until: signs_from.after(self.lifetime).after(MARGIN),
            sessions: self.session_lifetime,
        };
        let mut rng = self.random;
        let rotated = current
            .rotated(self.algorithm, now, &retention, &|id| status(id, &current, &rows), &mut rng)
            .ok_or("no key could be made")?;
        self.secret.put(id, version, &rotated.to_private_jwks()).await?;
        Ok("created")
    }

    async fn publish(&self, ring: &SigningKeys) -> Result<&'static str, BoxError> {
        let key = newest(ring)?;
        let Some(jwk) = key.public_jwk() else { return Ok("nothing to publish") };
        let published = self.store.publish_key(key.id(), &jwk, self.clock.now()).await?;
        Ok(if published { "published" } else { "done before" })
    }

    /// Signs a token with the new key, and verifies it with what verifiers will read.
    async fn test(&self, pending: &SigningKeys) -> Result<&'static str, BoxError> {
        let (key, now) = (newest(pending)?, self.clock.now());
        let mut keys = VerifyingKeys::default();
        for row in self.store.keys().await?.iter().filter(|row| row.verifies(now)) {
            if let Some(jwk) = &row.jwk {
                keys.insert(jwk, row.expires)?;
            }
        }
        keys.insert_secrets(pending, |_| false);
        let mut rng = self.random;
        let grant = Grant {
            issuer: "rotation",
            audience: "rotation",
            subject: &Username::parse("rotation")?,
            client_id: "rotation",
            scopes: &Scopes::default(),
            session: &SessionId::generate(&mut rng),
            lifetime: self.lifetime,
        };
        let token = access_token::issue(&grant, key, now, &mut rng)?;
        access_token::verify(token.expose(), &keys, "rotation", "rotation", now)?;
        Ok("tested")
    }

    /// Refuses to let a key sign that verifiers have not had the time to find. That happens only where the steps
    /// before were held up for long; the next attempt finds the key published for long enough.
    fn check_published_ahead(&self, ring: &SigningKeys, rows: &[KeyRow]) -> Result<(), BoxError> {
        let (key, now) = (newest(ring)?, self.clock.now());
        let has_predecessor = ring.keys().skip(1).any(|older| older.signs_from() <= now);
        let Some(row) = rows.iter().find(|row| row.id == key.id()) else { return Ok(()) };
        if has_predecessor && !is_published_ahead(row.created, key.signs_from().max(now), self.publish_ahead) {
            return Err("the new key was published a moment ago, and would sign at once: try again later".into());
        }
        Ok(())
    }

    /// Refuses a ring that was made so long ago that the key which signs now would end before its tokens, or one
    /// whose key was retired since. Both only happen where a rotation was held up.
    fn check_not_overtaken(
        &self,
        current: &SigningKeys,
        pending: &SigningKeys,
        rows: &[KeyRow],
    ) -> Result<(), BoxError> {
        let now = self.clock.now();
        let last_token = now.after(self.lifetime);
        let signer = current.signing(now).map(SigningKey::id);
        let too_old = pending
            .keys()
            .filter(|key| Some(key.id()) == signer)
            .any(|key| key.verifies_until().is_some_and(|end| end < last_token));
        let retired = pending.signing(now).is_some_and(|key| status(key.id(), pending, rows) != KeyStatus::Kept);
        if too_old || retired {
            return Err("this rotation has been overtaken: remove AWSPENDING from its version, and rotate anew".into());
        }
        Ok(())
    }

    /// Says until when the older keys verify.
    async fn retire(&self, ring: &SigningKeys, rows: &[KeyRow]) -> Result<&'static str, BoxError> {
        for row in rows.iter().filter(|row| !row.retired) {
            let expires = ring.keys().find(|key| key.id() == row.id).map(SigningKey::verifies_until);
            let expires = match (expires, row.expires) {
                (Some(expires), current) if expires == current => None,
                (Some(expires), _) => expires,
                // The key of a rotation that was given up.
                (None, None) => Some(self.clock.now().after(self.lifetime).after(MARGIN)),
                // A key that the ring has forgotten since.
                (None, Some(_)) => None,
            };
            if let Some(expires) = expires {
                self.store.expire_key(&row.id, expires).await?;
            }
        }
        Ok("finished")
    }
}

/// Whether a key that is published and signs from these times on is published far enough ahead. Between the
/// step that says when it signs and the one that publishes it lie some seconds.
fn is_published_ahead(published: Timestamp, signs_from: Timestamp, ahead: Duration) -> bool {
    let between_steps = Duration::from_mins(1);
    signs_from.after(between_steps) >= published.after(ahead)
}

fn newest(ring: &SigningKeys) -> Result<&SigningKey, BoxError> {
    ring.newest().ok_or_else(|| "the ring has no key".into())
}

/// What became of a key of the ring, as the rows tell: it was retired by hand, or nobody can know its public half,
/// because its row is gone.
fn status(id: &str, ring: &SigningKeys, rows: &[KeyRow]) -> KeyStatus {
    match rows.iter().find(|row| row.id == id) {
        Some(row) if row.retired => KeyStatus::Retired,
        None if ring.keys().any(|key| key.id() == id && key.public_jwk().is_some()) => KeyStatus::Unpublished,
        _ => KeyStatus::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_published_late_is_not_to_sign_yet() {
        let ahead = Duration::from_mins(10);
        let published = Timestamp(10_000);
        for signs_from in [10_600, 10_595, 10_540, 20_000] {
            assert!(is_published_ahead(published, Timestamp(signs_from), ahead), "{signs_from}");
        }
        for signs_from in [0, 9_000, 10_000, 10_500] {
            assert!(!is_published_ahead(published, Timestamp(signs_from), ahead), "{signs_from}");
        }
    }
}
