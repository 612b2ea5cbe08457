//! The grant `refresh_token` (RFC 6749 section 6): from a session's token to its next, or to a reason why not.
//!
//! | the token's counter | the session | the client |
//! |---|---|---|
//! | is the session's | moves on | gets the next token |
//! | is the one before, used within the grace window | stays | gets that same next token |
//! | is any other | is ended | gets 400, and the log a security event |

use lambda_http::Request;
use rand::CryptoRng;
use shared::{
    http,
    key::SigningKeys,
    refresh_token::{self, Presented},
    scope::Scopes,
    session::{Session, Standing},
    store::{RefreshAttempt, RefreshOutcome},
    time::Timestamp,
    token::Grant,
    user::{Status, User},
};

use crate::{
    Login,
    answer::Granted,
    error::{LoginError, NotRefreshed, Reuse, unavailable},
    request::RefreshRequest,
    signing,
};

impl<R: CryptoRng + Clone + Send + 'static> Login<R> {
    pub(crate) async fn refresh(&self, asked: &RefreshRequest, request: &Request) -> Result<Granted, LoginError> {
        if asked.in_cookies {
            self.check_origin(request, asked.from_cookie)?;
        }
        let issuer = self.issuer(request)?;
        let mut ring = self.ring().await?;
        if refresh_token::verify(&asked.token, &ring).is_err_and(|refusal| refusal == refresh_token::Refusal::Code) {
            // It may be of a key that is newer than the ring at hand.
            ring = self.keys.look_again().await.map_err(unavailable)?.unwrap_or(ring);
        }
        let presented = verify(&asked.token, &ring)?;
        let user = self.session_owner(&presented).await?;
        if asked.scopes.as_ref().is_some_and(|scopes| !scopes.is_subset(&user.scopes)) {
            return Err(LoginError::InvalidScope);
        }
        let session = self.advance(&presented, &user, asked.scopes.as_ref(), request).await?;

        let scopes = asked.scopes.clone().unwrap_or_else(|| session.scopes.intersection(&user.scopes));
        let now = (self.clock)();
        let grant = Grant {
            issuer: &issuer,
            audience: &self.audience,
            subject: &user.username,
            client_id: &session.client_id,
            scopes: &scopes,
            session: &session.id,
            lifetime: self.lifetime.into(),
        };
        let key = signing(&ring, now)?;
        let access = self.access_token(&grant, &session, key, now)?;
        let refresh = presented.successor().ok_or_else(|| unavailable("the session's counter is at its end"))?;
        Ok(Granted {
            username: user.username,
            session,
            scopes,
            access,
            refresh,
            issued: now,
            key_made: key.made(),
            in_cookies: asked.in_cookies,
        })
    }

    /// The account that the session belongs to, as long as it may sign in.
    async fn session_owner(&self, presented: &Presented<'_>) -> Result<User, LoginError> {
        // The name in a token of ours is no secret to its holder, so that an outage may tell an unreadable account.
        match self.store.find_user(&presented.username).await.map_err(unavailable)? {
            Some(user) if user.status == Status::Active => Ok(user),
            _ => Err(self.end(presented, NotRefreshed::UserGone).await?),
        }
    }

    /// Moves the session on, or finds that it has been moved by the same token a moment ago.
    async fn advance(
        &self,
        presented: &Presented<'_>,
        user: &User,
        scopes: Option<&Scopes>,
        request: &Request,
    ) -> Result<Session, LoginError> {
        let now = (self.clock)();
        let hints = http::client_hints(request);
        let attempt = RefreshAttempt {
            counter: presented.counter,
            password_version: user.password_version,
            scopes,
            idle: self.sessions.idle,
            hints: &hints,
        };
        let outcome = self.store.advance_session(&presented.username, &presented.session, &attempt, now).await;
        let session = match outcome.map_err(unavailable)? {
            RefreshOutcome::Advanced(session) => return Ok(session),
            RefreshOutcome::Unchanged(None) => return Err(LoginError::NotRefreshed(NotRefreshed::SessionOver)),
            RefreshOutcome::Unchanged(Some(session)) => session,
        };
        if let Some(reason) = over(&session, user, now) {
            return Err(match reason {
                NotRefreshed::PasswordChanged => self.end(presented, reason).await?,
                reason => LoginError::NotRefreshed(reason),
            });
        }
        let standing = session.standing(presented.counter, &self.sessions, now);
        if standing == Standing::Reused {
            self.end(presented, NotRefreshed::SessionOver).await?;
            let (user, session) = (user.username.clone(), session.id);
            return Err(LoginError::Reused(Box::new(Reuse { user, session, address: hints.address })));
        }
        if scopes.is_some_and(|scopes| !scopes.is_subset(&session.scopes)) {
            return Err(LoginError::InvalidScope);
        }
        match standing {
            Standing::JustUsed => Ok(session),
            Standing::Next | Standing::Reused => Err(unavailable("the session could not be moved on")),
        }
    }

    /// Ends the session, and gives the answer for that.
    async fn end(&self, presented: &Presented<'_>, reason: NotRefreshed) -> Result<LoginError, LoginError> {
        self.store.end_session(&presented.username, &presented.session, (self.clock)()).await.map_err(unavailable)?;
        Ok(LoginError::NotRefreshed(reason))
    }
}

/// Why a session gives no tokens any more, whatever the token; `None` where it does.
fn over(session: &Session, user: &User, now: Timestamp) -> Option<NotRefreshed> {
    if !session.is_live(now) {
        Some(NotRefreshed::SessionOver)
    } else if session.password_version != user.password_version {
        Some(NotRefreshed::PasswordChanged)
    } else {
        None
    }
}

fn verify<'a>(token: &str, ring: &'a SigningKeys) -> Result<Presented<'a>, LoginError> {
    refresh_token::verify(token, ring).map_err(|_| LoginError::NotRefreshed(NotRefreshed::NotOurs))
}
