//! Sessions: one for each sign-in, kept alive by refreshes.
//!
//! A session has a counter, and each of its refresh tokens is for one value of it. A refresh moves the counter on, so
//! that a token is used once, but for a grace window in which it gives the same successor again: two tabs refresh at
//! once, and answers get lost. Who presents a token that was used longer ago has a copy of it, or its holder's copy
//! was stolen: the session ends (RFC 9700 section 4.14.2).

use std::{fmt, str::FromStr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;

use crate::values::{
    client::Client,
    scope::Scopes,
    time::{Seconds, Timestamp},
};

/// Bytes of randomness in an identifier: too many to guess or to meet twice.
pub(crate) const RANDOM_BYTES: usize = 16;

const YEAR: u64 = 365 * 24 * 3600;

/// How long a session lasts at most, in seconds: a minute to a year.
pub type Lifetime = Seconds<60, YEAR>;
/// How long a session lasts without a refresh, in seconds: a minute to a year.
pub type IdleTimeout = Seconds<60, YEAR>;
/// For how many seconds a used refresh token gives the same successor again: 0, which is never, to 300.
pub type GraceWindow = Seconds<0, 300>;

/// For how long the access token of an ended session may pass: `off`, which is until it expires, or seconds from 0 to
/// 3600.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationDelay {
    /// Until the token expires: sessions are not looked at.
    Off,
    /// At most so long.
    AtMost(Duration),
}

/// The text is no such delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be off, or a whole number of seconds from 0 to 3600")]
pub struct InvalidRevocationDelay;

impl FromStr for RevocationDelay {
    type Err = InvalidRevocationDelay;

    fn from_str(text: &str) -> Result<Self, InvalidRevocationDelay> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let seconds = text.parse::<Seconds<0, 3600>>().map_err(|_| InvalidRevocationDelay)?;
        Ok(Self::AtMost(seconds.into()))
    }
}

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// At most, whatever happens.
    pub lifetime: Duration,
    /// Without a refresh.
    pub idle: Duration,
    /// How long a used refresh token gives the same successor again, to within a second in its holder's favour.
    pub grace: Duration,
}

/// A session, as its row in the table holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Which refresh token is to be used next.
    pub counter: u64,
    /// What the sign-in was granted; a refresh may ask for less.
    pub scopes: Scopes,
    /// The client that signed in, as it called itself.
    pub client_id: String,
    /// Which password of the account it was; see [`crate::values::user::User::password_version`].
    pub password_version: u64,
    /// When the sign-in was.
    pub created: Timestamp,
    /// When the counter was moved last.
    pub last_used: Timestamp,
    /// Until when it can be refreshed, unless it is before.
    pub expires: Timestamp,
    /// When it ends, whatever happens.
    pub ends: Timestamp,
    /// When it was ended by hand or by reuse, if it was.
    pub ended: Option<Timestamp>,
    /// Who used it last.
    pub client: Client,
}

/// How a refresh token that moved nothing relates to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenUse {
    /// The one to be used next: something else stood in the way.
    Next,
    /// It was used a moment ago, and has its successor already.
    JustUsed,
    /// It was used before that, or never issued.
    Reused,
}

impl Session {
    /// A session that begins now.
    #[must_use]
    pub fn begin(
        id: SessionId,
        scopes: Scopes,
        client_id: String,
        password_version: u64,
        client: Client,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            counter: 0,
            scopes,
            client_id,
            password_version,
            created: now,
            last_used: now,
            expires: now.after(policy.idle),
            ends: now.after(policy.lifetime),
            ended: None,
            client,
        }
    }

    /// Whether the session goes on.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.until()
    }

    /// When it ends, if nothing happens.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.expires.min(self.ends)
    }

    /// How the refresh token for this value of the counter relates to the session.
    #[must_use]
    pub fn token_use(&self, counter: u64, policy: &Policy, now: Timestamp) -> RefreshTokenUse {
        if counter == self.counter {
            return RefreshTokenUse::Next;
        }
        let is_last = counter.checked_add(1) == Some(self.counter);
        // Both times are cut to whole seconds, so that up to a second more is let pass, and never less.
        let in_window = !policy.grace.is_zero() && now <= self.last_used.after(policy.grace);
        if is_last && in_window { RefreshTokenUse::JustUsed } else { RefreshTokenUse::Reused }
    }
}

/// Names one session: 16 random bytes in base64url, 22 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(String);

/// The text is no session identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a session identifier")]
pub struct InvalidSessionId;

impl SessionId {
    /// Makes a new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(random_identifier(rng))
    }

    /// Takes the text as a session identifier.
    ///
    /// # Errors
    /// [`InvalidSessionId`] where it isn't 16 bytes in base64url without padding.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionId> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if bytes.len() == RANDOM_BYTES => Ok(Self(text.to_owned())),
            _ => Err(InvalidSessionId),
        }
    }

    pub(crate) fn to_bytes(&self) -> [u8; RANDOM_BYTES] {
        let mut bytes = [0; RANDOM_BYTES];
        // An identifier's text is that of so many bytes.
        let _ = URL_SAFE_NO_PAD.decode_slice(&self.0, &mut bytes);
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; RANDOM_BYTES]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The identifier's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 16 random bytes in base64url, for sessions and for a token's `jti`.
pub(crate) fn random_identifier(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0; RANDOM_BYTES];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{rand_core::UnwrapErr, rngs::SysRng};

    #[test]
    fn the_revocation_delay_is_off_or_seconds() {
        assert_eq!("off".parse(), Ok(RevocationDelay::Off));
        assert_eq!("0".parse(), Ok(RevocationDelay::AtMost(Duration::ZERO)));
        assert_eq!("3600".parse(), Ok(RevocationDelay::AtMost(Duration::from_hours(1))));
        for text in ["", "on", "OFF", "-1", "3601", "1.5"] {
            assert_eq!(text.parse::<RevocationDelay>(), Err(InvalidRevocationDelay), "{text}");
        }
    }

    const NOW: Timestamp = Timestamp(1_800_000_000);
    const POLICY: Policy =
        Policy { lifetime: Duration::from_secs(1000), idle: Duration::from_secs(100), grace: Duration::from_secs(10) };

    fn session() -> Session {
        let id = SessionId::from_bytes([7; RANDOM_BYTES]);
        Session::begin(id, Scopes::default(), "web".to_owned(), 1, Client::default(), &POLICY, NOW)
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_session_lasts_until_it_idles_ends_or_is_ended() {
        let session = session();
        assert!(session.is_live(NOW) && session.is_live(later(99)));
        assert!(!session.is_live(later(100)));
        let refreshed = Session { expires: later(2000), ..session.clone() };
        assert!(refreshed.is_live(later(999)) && !refreshed.is_live(later(1000)));
        assert!(!Session { ended: Some(NOW), ..session }.is_live(NOW));
    }

    #[test]
    fn the_token_before_the_last_alone_has_a_grace_window() {
        let session = Session { counter: 5, ..session() };
        for seconds in 0..=10 {
            assert_eq!(session.token_use(4, &POLICY, later(seconds)), RefreshTokenUse::JustUsed);
        }
        assert_eq!(session.token_use(4, &POLICY, later(11)), RefreshTokenUse::Reused);
        assert_eq!(session.token_use(5, &POLICY, later(11)), RefreshTokenUse::Next);
        for counter in [0, 3, 6, u64::MAX] {
            assert_eq!(session.token_use(counter, &POLICY, NOW), RefreshTokenUse::Reused, "{counter}");
        }
    }

    #[test]
    fn without_a_window_every_used_token_is_reuse() {
        let strict = Policy { grace: Duration::ZERO, ..POLICY };
        let session = Session { counter: 5, ..session() };
        assert_eq!(session.token_use(4, &strict, NOW), RefreshTokenUse::Reused);
    }

    #[test]
    fn a_generated_one_parses_and_differs_from_the_next() {
        let mut rng = UnwrapErr(SysRng);
        let id = SessionId::generate(&mut rng);
        assert_eq!(SessionId::parse(id.as_str()).unwrap(), id);
        assert_ne!(SessionId::generate(&mut rng), id);
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["", "short", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAA/"] {
            assert_eq!(SessionId::parse(text), Err(InvalidSessionId), "{text:?}");
        }
    }
}
