//! Where a function gets its keys from, and how they stay fresh.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use tracing::{error, warn};
use zeroize::Zeroizing;

use crate::{
    BoxError,
    key::{RingError, SigningKeys, VerifyingKeys},
    log::causes,
    store::{KeyRow, Store, StoreError},
    time::{Clock, Timestamp},
};

/// How long an instance that met an unknown `kid` waits before it looks for new keys again: random ones
/// can't drive load. A new key is published longer than that before it signs, unless it takes the place of
/// a retired one: its first tokens may meet a 401 for these seconds.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long after a failed read calls go on with old keys and don't wait for another. Busy instances read again
/// every [`LOOK_AGAIN_AFTER`] beside their calls; this is for one that was idle.
const WAIT_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How old keys may get, in seconds from 1 to 3600; 300 by default. A call that finds them half as old has them
/// read anew beside it; one that finds them older than this waits for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRefresh(Duration);

/// The text is no age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of seconds from 1 to 3600")]
pub struct InvalidKeyRefresh;

impl KeyRefresh {
    /// How old the keys of a signer may get by default: after a leak, what the old key signs is refused.
    pub const OF_A_SIGNER: Self = Self(Duration::from_mins(1));
}

impl Default for KeyRefresh {
    fn default() -> Self {
        Self(Duration::from_mins(5))
    }
}

impl FromStr for KeyRefresh {
    type Err = InvalidKeyRefresh;

    fn from_str(text: &str) -> Result<Self, InvalidKeyRefresh> {
        match text.parse() {
            Ok(seconds @ 1..=3600) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(InvalidKeyRefresh),
        }
    }
}

/// The setting that names a ring: a JWK or JWK Set in place (it begins with `{`; for a laptop, never for
/// a deployed stack), or the ARN or name of the Secrets Manager secret that holds one.
#[derive(Clone)]
pub enum KeySetting {
    /// The ring itself.
    Inline(Zeroizing<String>),
    /// The secret that holds it.
    Secret(String),
}

impl FromStr for KeySetting {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text.trim_start().starts_with('{') {
            Self::Inline(Zeroizing::new(text.to_owned()))
        } else {
            Self::Secret(text.to_owned())
        })
    }
}

impl fmt::Debug for KeySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(..)"),
            Self::Secret(id) => f.debug_tuple("Secret").field(id).finish(),
        }
    }
}

/// There are no keys to work with: an outage, whatever the request.
#[derive(Debug, thiserror::Error)]
pub enum KeysUnavailable {
    /// The secret could not be read.
    #[error("the secret {id} could not be read")]
    Secret {
        /// The secret's ARN or name.
        id: String,
        /// Secrets Manager's answer, or why there is none.
        #[source]
        source: BoxError,
    },
    /// The keys' rows could not be read.
    #[error("the keys' rows could not be read")]
    Rows(#[from] StoreError),
    /// The ring that was read can't be used.
    #[error("the key ring can't be used")]
    Ring(#[from] RingError),
    /// There is no key yet: the first rotation has not ended.
    #[error("there is no key yet")]
    None,
    /// The last attempt to read keys failed, a moment ago.
    #[error("the keys could not be read a moment ago")]
    Recently,
}

/// Reads keys from where they are kept.
pub trait ReadKeys: Send + Sync + 'static {
    /// What is read.
    type Keys: Send + Sync + 'static;

    /// Reads the keys.
    ///
    /// # Errors
    /// [`KeysUnavailable`] where they can't be read or can't be used.
    fn read(&self, now: Timestamp) -> impl Future<Output = Result<Self::Keys, KeysUnavailable>> + Send;
}

/// A private ring: in a secret, or in place.
pub struct SigningRing {
    setting: KeySetting,
    secrets: aws_sdk_secretsmanager::Client,
}

impl SigningRing {
    /// The ring that the setting names.
    #[must_use]
    pub fn new(setting: KeySetting, sdk: &SdkConfig) -> Self {
        Self { setting, secrets: aws_sdk_secretsmanager::Client::new(sdk) }
    }
}

impl ReadKeys for SigningRing {
    type Keys = SigningKeys;

    async fn read(&self, _: Timestamp) -> Result<SigningKeys, KeysUnavailable> {
        match &self.setting {
            KeySetting::Inline(text) => Ok(SigningKeys::parse(text)?),
            KeySetting::Secret(id) => {
                let unreadable = |source| KeysUnavailable::Secret { id: id.clone(), source };
                let answer = self.secrets.get_secret_value().secret_id(id).send().await;
                let text = answer
                    .map_err(|error| unreadable(error.into()))?
                    .secret_string
                    .map(Zeroizing::new)
                    .ok_or_else(|| unreadable("it holds no text".into()))?;
                Ok(SigningKeys::parse(&text)?)
            }
        }
    }
}

/// The keys to verify with.
pub enum VerifyingRing {
    /// A ring in place.
    Inline(Zeroizing<String>),
    /// The published keys, and with `secrets` the HS256 keys of the private ring, which are never published.
    Published {
        /// The table with the published keys.
        store: Store,
        /// The private ring, where HS256 is in use.
        secrets: Option<SigningRing>,
    },
}

impl ReadKeys for VerifyingRing {
    type Keys = VerifyingKeys;

    async fn read(&self, now: Timestamp) -> Result<VerifyingKeys, KeysUnavailable> {
        let keys = match self {
            Self::Inline(text) => VerifyingKeys::parse(text)?,
            Self::Published { store, secrets } => {
                let rows = store.keys().await?;
                let mut keys = VerifyingKeys::default();
                for row in rows.iter().filter(|row| row.verifies(now)) {
                    // One damaged row must not take the other keys away.
                    if let Some(Err(cause)) = row.jwk.as_deref().map(|jwk| keys.insert(jwk, row.expires)) {
                        error!(
                            security_event = "key_unusable",
                            key = row.id,
                            cause = causes(&cause),
                            "a published key can't be used"
                        );
                    }
                }
                if let Some(secrets) = secrets {
                    let ring = secrets.read(now).await?;
                    let retired = |id: &str| rows.iter().any(|row| row.retired && row.id == id);
                    keys.insert_secrets(&ring, retired);
                }
                keys
            }
        };
        if keys.is_empty() { Err(KeysUnavailable::None) } else { Ok(keys) }
    }
}

/// The rows of the keys that verify now: what other services may know.
pub struct PublishedKeys(pub Store);

impl ReadKeys for PublishedKeys {
    type Keys = Vec<KeyRow>;

    async fn read(&self, now: Timestamp) -> Result<Vec<KeyRow>, KeysUnavailable> {
        let mut rows = self.0.keys().await?;
        rows.retain(|row| row.jwk.is_some() && row.verifies(now));
        rows.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
        Ok(rows)
    }
}

/// Keys that are read at the first need, and anew while they are in use: beside a call as long as they are
/// fresh enough, before it once they are not. Where that fails, the old ones stay in use, and the log says so.
pub struct KeySource<R: ReadKeys> {
    reader: Arc<R>,
    cache: Arc<Mutex<Cache<R::Keys>>>,
    refresh: KeyRefresh,
    clock: Clock,
}

struct Cache<K> {
    keys: Option<Arc<K>>,
    /// When the keys were read.
    read: Timestamp,
    /// When the last attempt to read began.
    attempted: Option<Timestamp>,
    /// Whether the last attempt failed.
    failed: bool,
}

impl<R: ReadKeys> KeySource<R> {
    /// A source that has read nothing yet.
    #[must_use]
    pub fn new(reader: R, refresh: KeyRefresh, clock: Clock) -> Self {
        let cache = Cache { keys: None, read: Timestamp(0), attempted: None, failed: false };
        Self { reader: Arc::new(reader), cache: Arc::new(Mutex::new(cache)), refresh, clock }
    }

    /// The keys.
    ///
    /// # Errors
    /// [`KeysUnavailable`] where none have been read so far and they can't be read now, and where those that were
    /// read are no more.
    pub async fn keys(&self) -> Result<Arc<R::Keys>, KeysUnavailable> {
        let (cached, stale, failed, just_failed) = {
            let (cache, now) = (self.lock(), (self.clock)());
            let just_failed = cache.failed && cache.attempted.is_some_and(|last| now < last.after(WAIT_AGAIN_AFTER));
            (cache.keys.clone(), now >= cache.read.after(self.refresh.0), cache.failed, just_failed)
        };
        let Some(keys) = cached else { return self.read().await };
        // A failure of long ago says nothing of now: only while reads go on failing do calls not wait for them.
        if stale && !just_failed {
            return Ok(self.read_or_keep().await?.unwrap_or(keys));
        }
        if self.attempt(if failed { LOOK_AGAIN_AFTER } else { self.refresh.0 / 2 }) {
            let source = Self {
                reader: Arc::clone(&self.reader),
                cache: Arc::clone(&self.cache),
                refresh: self.refresh,
                clock: self.clock,
            };
            tokio::spawn(async move { source.read_or_keep().await });
        }
        Ok(keys)
    }

    /// Reads the keys anew; where that fails, says so in the log.
    ///
    /// # Errors
    /// [`KeysUnavailable::None`], where they were read and there is none any more: the last was retired.
    async fn read_or_keep(&self) -> Result<Option<Arc<R::Keys>>, KeysUnavailable> {
        match self.read().await {
            Ok(keys) => Ok(Some(keys)),
            Err(none @ KeysUnavailable::None) => Err(none),
            Err(error) => {
                warn!(
                    security_event = "keys_not_refreshed",
                    cause = causes(&error),
                    "the keys could not be read anew, and the old ones stay in use"
                );
                Ok(None)
            }
        }
    }

    /// The keys, read anew because those at hand lack one; at most once in 5 seconds. `None`: it has not been
    /// that long since they were read.
    ///
    /// # Errors
    /// [`KeysUnavailable`] where they can't be read, or could not a moment ago: then it is unknown whether
    /// there is such a key.
    pub async fn look_again(&self) -> Result<Option<Arc<R::Keys>>, KeysUnavailable> {
        if self.attempt(LOOK_AGAIN_AFTER) {
            self.read().await.map(Some)
        } else if self.lock().failed {
            Err(KeysUnavailable::Recently)
        } else {
            Ok(None)
        }
    }

    /// Whether the last attempt is so long ago; if so, another one begins now.
    fn attempt(&self, after: Duration) -> bool {
        let now = (self.clock)();
        let mut cache = self.lock();
        let due = cache.attempted.is_none_or(|attempted| now >= attempted.after(after));
        if due {
            cache.attempted = Some(now);
        }
        due
    }

    async fn read(&self) -> Result<Arc<R::Keys>, KeysUnavailable> {
        let now = (self.clock)();
        self.lock().attempted = Some(now);
        let outcome = self.reader.read(now).await.map(Arc::new);
        let mut cache = self.lock();
        cache.failed = outcome.is_err();
        match &outcome {
            Ok(keys) => {
                cache.keys = Some(Arc::clone(keys));
                cache.read = now;
            }
            // An answer, and no failure: what was there must not stay in use.
            Err(KeysUnavailable::None) => cache.keys = None,
            Err(_) => {}
        }
        outcome
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache<R::Keys>> {
        // No code panics with the lock held.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// The tests' clock. They move it, and so run one at a time.
    static NOW: AtomicU64 = AtomicU64::new(0);
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    fn now() -> Timestamp {
        Timestamp(NOW.load(Ordering::SeqCst))
    }

    /// Gives the number of the read, or fails.
    #[derive(Default)]
    struct Counter {
        reads: AtomicU64,
        broken: AtomicBool,
        empty: AtomicBool,
    }

    impl ReadKeys for Arc<Counter> {
        type Keys = u64;

        async fn read(&self, _: Timestamp) -> Result<u64, KeysUnavailable> {
            let read = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
            if self.broken.load(Ordering::SeqCst) {
                Err(KeysUnavailable::Secret { id: "ring".to_owned(), source: "it is broken".into() })
            } else if self.empty.load(Ordering::SeqCst) {
                Err(KeysUnavailable::None)
            } else {
                Ok(read)
            }
        }
    }

    fn source() -> (Arc<Counter>, KeySource<Arc<Counter>>) {
        NOW.store(1000, Ordering::SeqCst);
        let counter = Arc::<Counter>::default();
        (Arc::clone(&counter), KeySource::new(counter, KeyRefresh::default(), now))
    }

    fn pass(seconds: u64) {
        NOW.fetch_add(seconds, Ordering::SeqCst);
    }

    #[tokio::test]
    async fn keys_are_read_once_and_anew_beside_a_call_that_finds_them_half_as_old_as_they_may_get() {
        let _guard = ONE_AT_A_TIME.lock().await;
        let (counter, source) = source();
        for _ in 0..10 {
            assert_eq!(*source.keys().await.unwrap(), 1);
            pass(14);
        }
        pass(10);
        assert_eq!(*source.keys().await.unwrap(), 1);
        tokio::task::yield_now().await;
        assert_eq!(*source.keys().await.unwrap(), 2);
        assert_eq!(counter.reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn no_call_uses_keys_older_than_they_may_get() {
        let _guard = ONE_AT_A_TIME.lock().await;
        let (_, source) = source();
        for read in 1..10 {
            assert_eq!(*source.keys().await.unwrap(), read);
            pass(300);
        }
    }

    #[tokio::test]
    async fn a_failed_refresh_keeps_the_old_keys_and_holds_up_one_call_only() {
        let _guard = ONE_AT_A_TIME.lock().await;
        let (counter, source) = source();
        source.keys().await.unwrap();
        counter.broken.store(true, Ordering::SeqCst);
        pass(300);
        assert_eq!(*source.keys().await.unwrap(), 1);
        assert_eq!(counter.reads.load(Ordering::SeqCst), 2);
        for reads in 2..10 {
            for _ in 0..10 {
                assert_eq!(*source.keys().await.unwrap(), 1);
                // Those after the first are read beside calls, at most once in five seconds.
                assert_eq!(counter.reads.load(Ordering::SeqCst), reads);
            }
            pass(5);
            source.keys().await.unwrap();
            tokio::task::yield_now().await;
        }
        counter.broken.store(false, Ordering::SeqCst);
        pass(5);
        source.keys().await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(*source.keys().await.unwrap(), 11);
    }

    #[tokio::test]
    async fn a_failure_of_long_ago_does_not_let_old_keys_pass() {
        let _guard = ONE_AT_A_TIME.lock().await;
        let (counter, source) = source();
        source.keys().await.unwrap();
        pass(150);
        counter.broken.store(true, Ordering::SeqCst);
        assert_eq!(*source.keys().await.unwrap(), 1);
        tokio::task::yield_now().await;
        counter.broken.store(false, Ordering::SeqCst);
        pass(3600);
        assert_eq!(*source.keys().await.unwrap(), 3);
    }

    #[tokio::test]
    async fn keys_that_are_no_more_do_not_stay_in_use() {
        let _guard = ONE_AT_A_TIME.lock().await;
        // Read anew before a call, and beside one.
        for (age, calls) in [(300, 1), (150, 2)] {
            let (counter, source) = source();
            source.keys().await.unwrap();
            counter.empty.store(true, Ordering::SeqCst);
            pass(age);
            for _ in 1..calls {
                assert_eq!(*source.keys().await.unwrap(), 1);
                tokio::task::yield_now().await;
            }
            for _ in 0..3 {
                assert!(matches!(source.keys().await, Err(KeysUnavailable::None)));
            }
            // Nor does a failure after that bring them back.
            counter.broken.store(true, Ordering::SeqCst);
            assert!(source.keys().await.is_err());
            counter.broken.store(false, Ordering::SeqCst);
            counter.empty.store(false, Ordering::SeqCst);
            assert!(source.keys().await.is_ok());
        }
    }

    #[tokio::test]
    async fn without_any_keys_every_call_tries() {
        let _guard = ONE_AT_A_TIME.lock().await;
        let (counter, source) = source();
        counter.broken.store(true, Ordering::SeqCst);
        assert!(source.keys().await.is_err());
        assert!(source.keys().await.is_err());
        counter.broken.store(false, Ordering::SeqCst);
        assert_eq!(*source.keys().await.unwrap(), 3);
    }

    #[tokio::test]
    async fn looks_again_at_most_once_in_five_seconds() {
        let _guard = ONE_AT_A_TIME.lock().await;
        let (counter, source) = source();
        source.keys().await.unwrap();
        for second in 0..60 {
            for _ in 0..1000 {
                let found = source.look_again().await.unwrap();
                assert!(found.is_none() || second % 5 == 0);
            }
            pass(1);
        }
        assert_eq!(counter.reads.load(Ordering::SeqCst), 1 + 60 / 5 - 1);
    }

    #[tokio::test]
    async fn while_looking_again_fails_nobody_can_tell() {
        let _guard = ONE_AT_A_TIME.lock().await;
        let (counter, source) = source();
        source.keys().await.unwrap();
        pass(5);
        counter.broken.store(true, Ordering::SeqCst);
        assert!(source.look_again().await.is_err());
        assert!(matches!(source.look_again().await, Err(KeysUnavailable::Recently)));
        counter.broken.store(false, Ordering::SeqCst);
        pass(5);
        assert_eq!(source.look_again().await.unwrap().as_deref(), Some(&3));
    }
}
