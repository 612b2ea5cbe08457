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

mod secret;

use std::{str::FromStr, time::Duration};

use lambda_runtime::Diagnostic;
use rand::CryptoRng;
use serde::Deserialize;
use shared::{
    BoxError,
    key::{Algorithm, Fate, Retention, SigningKey, SigningKeys, VerifyingKeys},
    log::{Entry, causes},
    scope::Scopes,
    session::{self, SessionId},
    store::{KeyRow, Store},
    time::{Clock, Timestamp},
    token::{self, Grant, Lifetime},
    username::Username,
};

pub use crate::secret::Secret;
use crate::secret::Stage;

/// How long an older key verifies beyond the longest life of a token that it may have signed: instances
/// that can't read the new ring sign with the old one for a while.
const MARGIN: Duration = Duration::from_hours(24);

/// How long a key is published before it signs, in seconds from 1 to 86400; 600 by default.
///
/// Longer than verifiers keep keys: functions look for new ones every 5 minutes (`KEY_REFRESH`), and other
/// services may cache `/.well-known/jwks.json` for as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishAhead(Duration);

/// The text is no such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of seconds from 1 to 86400")]
pub struct InvalidPublishAhead;

impl Default for PublishAhead {
    fn default() -> Self {
        Self(Duration::from_mins(10))
    }
}

impl FromStr for PublishAhead {
    type Err = InvalidPublishAhead;

    fn from_str(text: &str) -> Result<Self, InvalidPublishAhead> {
        match text.parse() {
            Ok(seconds @ 1..=86400) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(InvalidPublishAhead),
        }
    }
}

/// One call of Secrets Manager.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    step: Step,
    /// The secret's ARN.
    secret_id: String,
    /// The version that is to become current.
    client_request_token: String,
}

#[derive(Clone, Copy, Deserialize, Debug)]
enum Step {
    #[serde(rename = "createSecret")]
    Create,
    #[serde(rename = "setSecret")]
    Set,
    #[serde(rename = "testSecret")]
    Test,
    #[serde(rename = "finishSecret")]
    Finish,
}

/// The rotation, with all that it needs.
pub struct Rotation<R> {
    /// The signing ring.
    pub secret: Secret,
    /// Where public halves are published.
    pub store: Store,
    /// What the next key is for.
    pub algorithm: Algorithm,
    /// How long tokens live.
    pub lifetime: Lifetime,
    /// How long sessions last, and so how long refresh tokens of older keys count.
    pub session_lifetime: session::Lifetime,
    /// How long a key is published before it signs.
    pub publish_ahead: PublishAhead,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub rng: R,
}

/// A step that failed; its cause is in the log.
#[derive(Debug)]
pub struct RotationError(String);

impl From<RotationError> for Diagnostic {
    fn from(error: RotationError) -> Self {
        Self { error_type: "RotationError".to_owned(), error_message: error.0 }
    }
}

impl<R: CryptoRng + Clone> Rotation<R> {
    /// Takes one step, and says what the log is to say of it. [`RotationError`] names the step and what went wrong;
    /// Secrets Manager tries again later.
    pub async fn handle(&self, event: &Event) -> (Result<(), RotationError>, Entry) {
        let step = format!("{:?}", event.step);
        let (answer, entry) = match self.take(event).await {
            Ok(outcome) => (Ok(()), Entry::new(outcome)),
            Err(cause) => {
                let error = RotationError(format!("{step} failed: {}", causes(cause.as_ref())));
                (Err(error), Entry::failed("failed", cause.as_ref()).security_event("key_rotation_failed"))
            }
        };
        (answer, entry.with("step", &step).with("version", &event.client_request_token))
    }

    async fn take(&self, event: &Event) -> Result<&'static str, BoxError> {
        let (id, version) = (event.secret_id.as_str(), event.client_request_token.as_str());
        let stage = self.secret.stage(id, version).await?;
        match (event.step, stage) {
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
        let now = (self.clock)();
        let signs_from = now.after(self.publish_ahead.0);
        let retention = Retention {
            signs_from,
            verifies_until: signs_from.after(self.lifetime.into()).after(MARGIN),
            sessions: self.session_lifetime.into(),
        };
        let mut rng = self.rng.clone();
        let rotated = current
            .rotated(self.algorithm, now, &retention, &|id| fate(id, &current, &rows), &mut rng)
            .ok_or("no key could be made")?;
        self.secret.put(id, version, &rotated.to_private_jwks()).await?;
        Ok("created")
    }

    async fn publish(&self, ring: &SigningKeys) -> Result<&'static str, BoxError> {
        let key = newest(ring)?;
        let Some(jwk) = key.public_jwk() else { return Ok("nothing to publish") };
        let published = self.store.publish_key(key.id(), &jwk, (self.clock)()).await?;
        Ok(if published { "published" } else { "done before" })
    }

    /// Signs a token with the new key, and verifies it with what verifiers will read.
    async fn test(&self, pending: &SigningKeys) -> Result<&'static str, BoxError> {
        let (key, now) = (newest(pending)?, (self.clock)());
        let mut keys = VerifyingKeys::default();
        for row in self.store.keys().await?.iter().filter(|row| row.verifies(now)) {
            if let Some(jwk) = &row.jwk {
                keys.insert(jwk, row.expires)?;
            }
        }
        keys.insert_secrets(pending, |_| false);
        let mut rng = self.rng.clone();
        let grant = Grant {
            issuer: "rotation",
            audience: "rotation",
            subject: &Username::parse("rotation")?,
            client_id: "rotation",
            scopes: &Scopes::default(),
            session: &SessionId::generate(&mut rng),
            lifetime: self.lifetime.into(),
        };
        let token = token::issue(&grant, key, now, &mut rng)?;
        token::verify(token.expose(), &keys, "rotation", "rotation", now)?;
        Ok("tested")
    }

    /// Refuses to let a key sign that verifiers have not had the time to find. That happens only where the steps
    /// before were held up for long; the next attempt finds the key published for long enough.
    fn check_published_ahead(&self, ring: &SigningKeys, rows: &[KeyRow]) -> Result<(), BoxError> {
        let (key, now) = (newest(ring)?, (self.clock)());
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
        let now = (self.clock)();
        let last_token = now.after(self.lifetime.into());
        let signer = current.signing(now).map(SigningKey::id);
        let too_old = pending
            .keys()
            .filter(|key| Some(key.id()) == signer)
            .any(|key| key.verifies_until().is_some_and(|end| end < last_token));
        let retired = pending.signing(now).is_some_and(|key| fate(key.id(), pending, rows) != Fate::Kept);
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
                (None, None) => Some((self.clock)().after(self.lifetime.into()).after(MARGIN)),
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
fn is_published_ahead(published: Timestamp, signs_from: Timestamp, ahead: PublishAhead) -> bool {
    let between_steps = Duration::from_mins(1);
    signs_from.after(between_steps) >= published.after(ahead.0)
}

fn newest(ring: &SigningKeys) -> Result<&SigningKey, BoxError> {
    ring.newest().ok_or_else(|| "the ring has no key".into())
}

/// What became of a key of the ring, as the rows tell: it was retired by hand, or nobody can know its public half,
/// because its row is gone.
fn fate(id: &str, ring: &SigningKeys, rows: &[KeyRow]) -> Fate {
    match rows.iter().find(|row| row.id == id) {
        Some(row) if row.retired => Fate::Retired,
        None if ring.keys().any(|key| key.id() == id && key.public_jwk().is_some()) => Fate::Unpublished,
        _ => Fate::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_published_late_is_not_to_sign_yet() {
        let ahead = PublishAhead::default();
        let published = Timestamp(10_000);
        for signs_from in [10_600, 10_595, 10_540, 20_000] {
            assert!(is_published_ahead(published, Timestamp(signs_from), ahead), "{signs_from}");
        }
        for signs_from in [0, 9_000, 10_000, 10_500] {
            assert!(!is_published_ahead(published, Timestamp(signs_from), ahead), "{signs_from}");
        }
    }

    #[test]
    fn the_time_ahead_is_a_setting_with_bounds() {
        assert_eq!("600".parse(), Ok(PublishAhead::default()));
        for text in ["", "0", "86401", "-1", "x"] {
            assert_eq!(text.parse::<PublishAhead>(), Err(InvalidPublishAhead), "{text}");
        }
    }
}
