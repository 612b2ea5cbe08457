//! Making the tokens of a session: what the grants have in common once they know who it is for.

use std::{sync::Arc, time::Duration};

use super::Unavailable;
use crate::{
    aws::{
        key_cache::{KeyCache, KeysUnavailable},
        key_readers::SigningRing,
    },
    values::{
        access_token::{self, AccessToken, Grant},
        client::Client,
        cookie::{self, SetCookie, TooLong},
        key::{SigningKey, SigningKeys},
        random::SystemRandom,
        refresh_token::RefreshToken,
        scope::Scopes,
        session::Session,
        time::{Clock, Timestamp},
        username::Username,
    },
};

/// Signs the tokens of sessions.
pub struct TokenIssuer {
    /// The keys that tokens are made with.
    pub keys: KeyCache<SigningRing>,
    /// For whom access tokens are (`aud`).
    pub audience: String,
    /// How long access tokens are valid, unless their session ends before.
    pub lifetime: Duration,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: SystemRandom,
}

/// The tokens of a session, new or refreshed.
pub struct TokenPair {
    /// Whose they are.
    pub username: Username,
    /// The session, as it is now.
    pub session: Session,
    /// What the access token allows.
    pub scopes: Scopes,
    /// The access token.
    pub access: AccessToken,
    /// The refresh token.
    pub refresh: RefreshToken,
    /// When they were made: what they last is counted from here.
    pub issued: Timestamp,
    /// Who had used the same refresh token a moment before, where that is another client: one of the two may have a
    /// copy. Always `None` at a sign-in.
    pub shared_with: Option<Client>,
    /// When the key was made that has signed the access token, where it says so.
    pub key_made: Option<Timestamp>,
}

impl TokenPair {
    /// The cookies that hold the tokens.
    ///
    /// # Errors
    /// [`TooLong`] where browsers would not keep them.
    pub fn cookies(&self) -> Result<[SetCookie; 2], TooLong> {
        let set = |name, token, until| SetCookie::set(name, token, self.issued.until(until));
        Ok([
            set(cookie::ACCESS, self.access.expose(), self.access.expires())?,
            set(cookie::REFRESH, self.refresh.expose(), self.session.until())?,
        ])
    }
}

impl TokenIssuer {
    /// The ring, with a key that signs now if there is one.
    pub(super) async fn ring(&self) -> Result<Arc<SigningKeys>, Unavailable> {
        let ring = self.keys.keys().await?;
        // Before the first rotation the ring is empty.
        if ring.signing(self.clock.now()).is_none() { self.newer_ring(ring).await } else { Ok(ring) }
    }

    /// Whether the ring that was read last has a key that signs now.
    pub(super) fn may_sign(&self) -> bool {
        self.keys.at_hand().is_some_and(|ring| ring.signing(self.clock.now()).is_some())
    }

    /// The ring, with a key that signs now.
    pub(super) async fn signing_ring(&self) -> Result<Arc<SigningKeys>, Unavailable> {
        let ring = self.ring().await?;
        signing(&ring, self.clock.now())?;
        Ok(ring)
    }

    /// The ring, read anew if that hasn't just been done.
    pub(super) async fn newer_ring(&self, ring: Arc<SigningKeys>) -> Result<Arc<SigningKeys>, Unavailable> {
        Ok(self.keys.look_again().await?.unwrap_or(ring))
    }

    /// Makes the tokens: a new access token, which doesn't outlive the session, and the refresh token that `refresh`
    /// makes.
    pub(super) fn issue(
        &self,
        ring: &SigningKeys,
        issuer: &str,
        (username, session, scopes): (Username, Session, Scopes),
        refresh: impl FnOnce(&SigningKey, &Username, &Session) -> Result<RefreshToken, Unavailable>,
    ) -> Result<TokenPair, Unavailable> {
        let now = self.clock.now();
        let key = signing(ring, now)?;
        let grant = Grant {
            issuer,
            audience: &self.audience,
            subject: &username,
            client_id: &session.client_id,
            scopes: &scopes,
            session: &session.id,
            lifetime: self.lifetime.min(now.until(session.ends)),
        };
        let access = access_token::issue(&grant, key, now, &mut { self.random }).map_err(Unavailable::because)?;
        let refresh = refresh(key, &username, &session)?;
        let key_made = key.made();
        Ok(TokenPair { username, session, scopes, access, refresh, issued: now, shared_with: None, key_made })
    }
}

fn signing(ring: &SigningKeys, now: Timestamp) -> Result<&SigningKey, Unavailable> {
    Ok(ring.signing(now).ok_or(KeysUnavailable::None)?)
}
