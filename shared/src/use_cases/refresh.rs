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
        let ring = self.ring_of(&request.token).await?;
        let presented = refresh_token::verify(&request.token, &ring).map_err(|_| RefreshRefusal::NotOurs)?;
        let user = self.session_owner(&presented).await?;
        if request.scopes.as_ref().is_some_and(|scopes| !scopes.is_subset(&user.scopes)) {
            return Err(RefreshError::InvalidScope);
        }
        let (session, shared_with) = self.advance(&presented, &user, request.scopes.as_ref(), client).await?;
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

    /// The account that the session belongs to, as long as it may sign in.
    async fn session_owner(&self, presented: &PresentedToken<'_>) -> Result<User, RefreshError> {
        // The name in a token of ours is no secret to its holder, so that an outage may tell an unreadable account.
        match self.store.find_user(&presented.username).await? {
            Some(user) if user.status == Status::Active => Ok(user),
            _ => Err(self.end(presented, RefreshRefusal::UserGone).await?),
        }
    }

    /// Moves the session on, or finds that it has been moved by the same token a moment ago; gives also who did that,
    /// where it is another client.
    async fn advance(
        &self,
        presented: &PresentedToken<'_>,
        user: &User,
        scopes: Option<&Scopes>,
        client: &Client,
    ) -> Result<(Session, Option<Client>), RefreshError> {
        let now = self.tokens.clock.now();
        let attempt = RefreshAttempt {
            counter: presented.counter,
            password_version: user.password_version,
            scopes,
            idle: self.policy.idle,
            client,
        };
        let session = match self.store.advance_session(&presented.username, &presented.session, &attempt, now).await? {
            RefreshOutcome::Advanced(session) => return Ok((session, None)),
            RefreshOutcome::Unchanged(None) => return Err(RefreshRefusal::SessionOver.into()),
            RefreshOutcome::Unchanged(Some(session)) => session,
        };
        if let Some(reason) = over(&session, user, now) {
            return Err(match reason {
                RefreshRefusal::PasswordChanged => self.end(presented, reason).await?,
                reason => reason.into(),
            });
        }
        let token_use = session.token_use(presented.counter, self.policy, now);
        if token_use == RefreshTokenUse::Reused {
            self.end(presented, RefreshRefusal::SessionOver).await?;
            let (user, session, other_address) = (user.username.clone(), session.id, session.client.address);
            return Err(RefreshError::Reused(Box::new(Reuse { user, session, other_address })));
        }
        if scopes.is_some_and(|scopes| !scopes.is_subset(&session.scopes)) {
            return Err(RefreshError::InvalidScope);
        }
        match token_use {
            RefreshTokenUse::JustUsed => {
                let other = (session.client != *client).then(|| session.client.clone());
                Ok((session, other))
            }
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
