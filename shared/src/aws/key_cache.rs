//! How the keys that a function uses stay fresh.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tracing::warn;

use crate::{
    BoxError, causes,
    store::StoreError,
    values::{
        key::RingError,
        time::{Clock, Seconds, Timestamp},
    },
};

/// How long an instance that met an unknown `kid` waits before it looks for new keys again: random ones
/// can't drive load. A new key is published longer than that before it signs, unless it takes the place of
/// a retired one: its first tokens may meet a 401 for these seconds.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long after a failed read calls go on with old keys and don't wait for another. Busy instances read again
/// every [`LOOK_AGAIN_AFTER`] beside their calls; this is for one that was idle.
const WAIT_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How old keys may get, in seconds from 1 to 3600. A call that finds them half as old has them read anew beside it;
/// one that finds them older than this waits for that.
pub type KeyRefresh = Seconds<1, 3600>;

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

/// Keys that are read at the first need, and anew while they are in use: beside a call as long as they are
/// fresh enough, before it once they are not. Where that fails, the old ones stay in use, and the log says so.
pub struct KeyCache<R: ReadKeys> {
    reader: Arc<R>,
    cache: Arc<Mutex<Cache<R::Keys>>>,
    refresh: Duration,
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

impl<R: ReadKeys> KeyCache<R> {
    /// A cache that has read nothing yet.
    #[must_use]
    pub fn new(reader: R, refresh: Duration, clock: Clock) -> Self {
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
            let (cache, now) = (self.lock(), self.clock.now());
            let just_failed = cache.failed && cache.attempted.is_some_and(|last| now < last.after(WAIT_AGAIN_AFTER));
            (cache.keys.clone(), now >= cache.read.after(self.refresh), cache.failed, just_failed)
        };
        let Some(keys) = cached else { return self.read().await };
        // A failure of long ago says nothing of now: only while reads go on failing do calls not wait for them.
        if stale && !just_failed {
            return Ok(self.read_or_keep().await?.unwrap_or(keys));
        }
        if self.attempt(if failed { LOOK_AGAIN_AFTER } else { self.refresh / 2 }) {
            let cache = Self {
                reader: Arc::clone(&self.reader),
                cache: Arc::clone(&self.cache),
                refresh: self.refresh,
                clock: self.clock.clone(),
            };
            tokio::spawn(async move { cache.read_or_keep().await });
        }
        Ok(keys)
    }

    /// The keys that were read last, however old; `None` where none have been.
    #[must_use]
    pub fn at_hand(&self) -> Option<Arc<R::Keys>> {
        self.lock().keys.clone()
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
        let now = self.clock.now();
        let mut cache = self.lock();
        let due = cache.attempted.is_none_or(|attempted| now >= attempted.after(after));
        if due {
            cache.attempted = Some(now);
        }
        due
    }

    async fn read(&self) -> Result<Arc<R::Keys>, KeysUnavailable> {
        let now = self.clock.now();
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

    /// A cache whose keys may get five minutes old, with what it reads from and its clock.
    fn cache() -> (Arc<Counter>, KeyCache<Arc<Counter>>, Clock) {
        let (counter, clock) = (Arc::<Counter>::default(), Clock::stopped(Timestamp(1000)));
        (Arc::clone(&counter), KeyCache::new(counter, Duration::from_mins(5), clock.clone()), clock)
    }

    fn pass(clock: &Clock, seconds: u64) {
        clock.advance(Duration::from_secs(seconds));
    }

    #[tokio::test]
    async fn keys_half_as_old_as_they_may_get_are_read_beside_a_call() {
        let (counter, cache, clock) = cache();
        for _ in 0..10 {
            assert_eq!(*cache.keys().await.unwrap(), 1);
            pass(&clock, 14);
        }
        pass(&clock, 10);
        assert_eq!(*cache.keys().await.unwrap(), 1);
        tokio::task::yield_now().await;
        assert_eq!(*cache.keys().await.unwrap(), 2);
        assert_eq!(counter.reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn no_call_uses_keys_older_than_they_may_get() {
        let (_, cache, clock) = cache();
        for read in 1..10 {
            assert_eq!(*cache.keys().await.unwrap(), read);
            pass(&clock, 300);
        }
    }

    #[tokio::test]
    async fn a_failed_refresh_keeps_the_keys_and_holds_up_only_one_call() {
        let (counter, cache, clock) = cache();
        cache.keys().await.unwrap();
        counter.broken.store(true, Ordering::SeqCst);
        pass(&clock, 300);
        assert_eq!(*cache.keys().await.unwrap(), 1);
        assert_eq!(counter.reads.load(Ordering::SeqCst), 2);
        for reads in 2..10 {
            for _ in 0..10 {
                assert_eq!(*cache.keys().await.unwrap(), 1);
                // Those after the first are read beside calls, at most once in five seconds.
                assert_eq!(counter.reads.load(Ordering::SeqCst), reads);
            }
            pass(&clock, 5);
            cache.keys().await.unwrap();
            tokio::task::yield_now().await;
        }
        counter.broken.store(false, Ordering::SeqCst);
        pass(&clock, 5);
        cache.keys().await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(*cache.keys().await.unwrap(), 11);
    }

    #[tokio::test]
    async fn a_failure_of_long_ago_does_not_let_old_keys_pass() {
        let (counter, cache, clock) = cache();
        cache.keys().await.unwrap();
        pass(&clock, 150);
        counter.broken.store(true, Ordering::SeqCst);
        assert_eq!(*cache.keys().await.unwrap(), 1);
        tokio::task::yield_now().await;
        counter.broken.store(false, Ordering::SeqCst);
        pass(&clock, 3600);
        assert_eq!(*cache.keys().await.unwrap(), 3);
    }

    #[tokio::test]
    async fn keys_that_are_no_more_do_not_stay_in_use() {
        // Read anew before a call, and beside one.
        for (age, calls) in [(300, 1), (150, 2)] {
            let (counter, cache, clock) = cache();
            cache.keys().await.unwrap();
            counter.empty.store(true, Ordering::SeqCst);
            pass(&clock, age);
            for _ in 1..calls {
                assert_eq!(*cache.keys().await.unwrap(), 1);
                tokio::task::yield_now().await;
            }
            for _ in 0..3 {
                assert!(matches!(cache.keys().await, Err(KeysUnavailable::None)));
            }
            // Nor does a failure after that bring them back.
            counter.broken.store(true, Ordering::SeqCst);
            assert!(cache.keys().await.is_err());
            counter.broken.store(false, Ordering::SeqCst);
            counter.empty.store(false, Ordering::SeqCst);
            assert!(cache.keys().await.is_ok());
        }
    }

    #[tokio::test]
    async fn without_any_keys_every_call_tries() {
        let (counter, cache, _) = cache();
        counter.broken.store(true, Ordering::SeqCst);
        assert!(cache.keys().await.is_err());
        assert!(cache.keys().await.is_err());
        counter.broken.store(false, Ordering::SeqCst);
        assert_eq!(*cache.keys().await.unwrap(), 3);
    }

    #[tokio::test]
    async fn looks_again_at_most_once_in_five_seconds() {
        let (counter, cache, clock) = cache();
        cache.keys().await.unwrap();
        for second in 0..60 {
            for _ in 0..1000 {
                let found = cache.look_again().await.unwrap();
                assert!(found.is_none() || second % 5 == 0);
            }
            pass(&clock, 1);
        }
        assert_eq!(counter.reads.load(Ordering::SeqCst), 1 + 60 / 5 - 1);
    }

    #[tokio::test]
    async fn while_looking_again_fails_nobody_can_tell() {
        let (counter, cache, clock) = cache();
        cache.keys().await.unwrap();
        pass(&clock, 5);
        counter.broken.store(true, Ordering::SeqCst);
        assert!(cache.look_again().await.is_err());
        assert!(matches!(cache.look_again().await, Err(KeysUnavailable::Recently)));
        counter.broken.store(false, Ordering::SeqCst);
        pass(&clock, 5);
        assert_eq!(cache.look_again().await.unwrap().as_deref(), Some(&3));
    }
}
