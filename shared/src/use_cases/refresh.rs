//! Refreshing: from a session's refresh token to its next.
//!
//! | the token's counter | the session | the client |
//! |---|---|---|
//! | is the session's | moves on | gets the next token |
//! | is the one before, used within the grace window | stays | gets that same next token; where it isn't the same client, the log gets a security event |
//! | is any other | is ended | gets no token, and the log a security event |

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    Unavailable,
    issue_tokens::{TokenIssuer, TokenPair},
};
use crate::{
    store::{RefreshAttempt, RefreshOutcome, Store, StoreError},
    values::{
        client::Client,
        key::SigningKeys,
        refresh_token::{self, PresentedToken},
        scope::Scopes,
        session::{Policy, RefreshTokenUse, Session, SessionId},
        time::Timestamp,
        user::{Status, User},
        username::Username,
    },
};

/// What a client asks for with a refresh token.
pub struct RefreshRequest {
    /// The refresh token's text.
    pub token: Zeroizing<String>,
    /// What the access token shall be able to do; all that the session may, where the request names nothing.
    pub scopes: Option<Scopes>,
}

/// Why a refresh token gives no other.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The client isn't told more than that.
    #[error(transparent)]
    Refused(#[from] RefreshRefusal),
    /// A refresh token was used before, and its session has ended for that. The client isn't told more than for another
    /// refusal.
    #[error("the refresh token was used before")]
    Reused(Box<Reuse>),
    /// The user or the session has not every scope that was asked for.
    #[error("a scope was asked for that the session or the user has not")]
    InvalidScope,
    /// Something is down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for RefreshError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a refresh token is refused: for the log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshRefusal {
    /// No key of ours has made it.
    #[error("no key of ours has made the refresh token")]
    NotOurs,
    /// Its session is not there, ended, or has expired.
    #[error("the session is over")]
    SessionOver,
    /// Its account is not there, or disabled.
    #[error("the account is gone or disabled")]
    UserGone,
    /// The account has another password since.
    #[error("the account has another password since")]
    PasswordChanged,
}

impl RefreshRefusal {
    /// The word for the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::SessionOver => "session_over",
            Self::UserGone => "user_gone",
            Self::PasswordChanged => "password_changed",
        }
    }
}

/// A refresh token that was used again: by a thief, or by the owner after a thief. For the log only.
#[derive(Debug)]
pub struct Reuse {
    /// Whose it is.
    pub user: Username,
    /// The session that has ended.
    pub session: SessionId,
    /// Where the session had been used last.
    pub other_address: Option<String>,
}

/// Refreshes sessions.
pub struct Refresh<'a> {
    /// Users and sessions.
    pub store: &'a Store,
    /// Makes the tokens.
    pub tokens: &'a TokenIssuer,
    /// How long sessions last.
    pub policy: &'a Policy,
}

impl Refresh<'_> {
    /// Exchanges a refresh token for the next, with an access token of this issuer.
    ///
    /// # Errors
    /// [`RefreshError`] says why not.
    pub async fn refresh(
        &self,
        request: &RefreshRequest,
        issuer: &str,
        client: &Client,
    ) -> Result<TokenPair, RefreshError> {
        let at_hand = self.tokens.keys.at_hand();
        let of_at_hand = at_hand.as_ref().and_then(|ring| refresh_token::verify(&request.token, ring).ok());
        // In boxes, because what waits side by side would make the future of every call as large as both.
        let (ring, moved) = if let Some(presented) = of_at_hand {
            // A ring that is too old is read anew beside the table's calls.
            tokio::join!(Box::pin(self.tokens.ring()), Box::pin(self.move_on(&presented, request, client)))
        } else {
            let ring = self.ring_of(&request.token).await?;
            let presented = refresh_token::verify(&request.token, &ring).map_err(|_| RefreshRefusal::NotOurs)?;
            let moved = Box::pin(self.move_on(&presented, request, client)).await;
            (Ok(ring), moved)
        };
        let (user, session, shared_with) = moved?;
        let ring = ring?;
        // The ring that counts is the newer one.
        let presented = refresh_token::verify(&request.token, &ring).map_err(|_| RefreshRefusal::NotOurs)?;
        let scopes = request.scopes.clone().unwrap_or_else(|| session.scopes.intersection(&user.scopes));
        let pair = self.tokens.issue(&ring, issuer, (user.username, session, scopes), |_, _, _| {
            presented.successor().ok_or_else(|| Unavailable::because("the session's counter is at its end"))
        })?;
        Ok(TokenPair { shared_with, ..pair })
    }

    /// Whose refresh token this is and of which session, for the log of one that is refused; `None` where no key of
    /// ours has made it.
    pub async fn owner(&self, token: &str) -> Option<(Username, SessionId)> {
        let ring = self.tokens.keys.keys().await.ok()?;
        refresh_token::verify(token, &ring).ok().map(|presented| (presented.username, presented.session))
    }

    /// The ring, read anew where the token may be of a key that is newer than the ring at hand.
    async fn ring_of(&self, token: &str) -> Result<Arc<SigningKeys>, Unavailable> {
        let ring = self.tokens.ring().await?;
        match refresh_token::verify(token, &ring) {
            Err(refresh_token::Refusal::Code) => self.tokens.newer_ring(ring).await,
            _ => Ok(ring),
        }
    }

    /// Moves the session on, or finds that it has been moved by the same token a moment ago, for an account that may sign
    /// in; gives also who did that, where it is another client.
    ///
    /// The account is read beside the move: what it says then, not what it said before, decides whether there are
    /// tokens, and a session of an account that is gone, disabled or has another password is ended.
    async fn move_on(
        &self,
        presented: &PresentedToken<'_>,
        request: &RefreshRequest,
        client: &Client,
    ) -> Result<(User, Session, Option<Client>), RefreshError> {
        let now = self.tokens.clock.now();
        let attempt = RefreshAttempt {
            counter: presented.counter,
            scopes: request.scopes.as_ref(),
            idle: self.policy.idle,
            client,
        };
        let owner = self.store.find_user(&presented.username);
        let advance = self.store.advance_session(&presented.username, &presented.session, &attempt, now);
        let (owner, advance) = (Box::pin(owner), Box::pin(advance));
        let (owner, outcome) = if let Some(scopes) = &request.scopes {
            let owner = owner.await?.filter(|user| user.status == Status::Active);
            // The token of a request that asks for too much stays unused.
            if owner.as_ref().is_some_and(|user| !scopes.is_subset(&user.scopes)) {
                return Err(RefreshError::InvalidScope);
            }
            (Ok(owner), advance.await)
        } else {
            tokio::join!(owner, advance)
        };
        // The name in a token of ours is no secret to its holder, so that an outage may tell an unreadable account.
        let Some(user) = owner?.filter(|user| user.status == Status::Active) else {
            return Err(self.end(presented, RefreshRefusal::UserGone).await?);
        };
        match self.judge(presented, &user, &attempt, outcome?, now).await? {
            (session, true) => Ok((user, session, None)),
            (session, false) => {
                let other = (session.client != *client).then(|| session.client.clone());
                Ok((user, session, other))
            }
        }
    }

    /// The session as the table gave it, and whether this token has moved it on; otherwise the same token did so a moment
    /// ago.
    async fn judge(
        &self,
        presented: &PresentedToken<'_>,
        user: &User,
        attempt: &RefreshAttempt<'_>,
        outcome: RefreshOutcome,
        now: Timestamp,
    ) -> Result<(Session, bool), RefreshError> {
        let (session, moved) = match outcome {
            RefreshOutcome::Unchanged(None) => return Err(RefreshRefusal::SessionOver.into()),
            RefreshOutcome::Advanced(session) => (session, true),
            RefreshOutcome::Unchanged(Some(session)) => (session, false),
        };
        match over(&session, user, now) {
            Some(RefreshRefusal::PasswordChanged) => {
                return Err(self.end(presented, RefreshRefusal::PasswordChanged).await?);
            }
            Some(reason) => return Err(reason.into()),
            None if moved => return Ok((session, true)),
            None => {}
        }
        let token_use = session.token_use(presented.counter, self.policy, now);
        if token_use == RefreshTokenUse::Reused {
            self.end(presented, RefreshRefusal::SessionOver).await?;
            let (user, session, other_address) = (user.username.clone(), session.id, session.client.address);
            return Err(RefreshError::Reused(Box::new(Reuse { user, session, other_address })));
        }
        if attempt.scopes.is_some_and(|scopes| !scopes.is_subset(&session.scopes)) {
            return Err(RefreshError::InvalidScope);
        }
        match token_use {
            RefreshTokenUse::JustUsed => Ok((session, false)),
            RefreshTokenUse::Next | RefreshTokenUse::Reused => {
                Err(Unavailable::because("the session could not be moved on").into())
            }
        }
    }

    /// Ends the session, and gives the refusal for that.
    async fn end(&self, presented: &PresentedToken<'_>, reason: RefreshRefusal) -> Result<RefreshError, StoreError> {
        self.store.end_session(&presented.username, &presented.session, self.tokens.clock.now()).await?;
        Ok(reason.into())
    }
}

/// Why a session gives no tokens any more, whatever the token; `None` where it does.
fn over(session: &Session, user: &User, now: Timestamp) -> Option<RefreshRefusal> {
    if !session.is_live(now) {
        Some(RefreshRefusal::SessionOver)
    } else if session.password_version != user.password_version {
        Some(RefreshRefusal::PasswordChanged)
    } else {
        None
    }
}
