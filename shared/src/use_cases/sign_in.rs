//! Signing in with a name and a password: from these to a session and its tokens.

use std::time::Duration;

use tracing::warn;

use super::{
    Unavailable,
    authenticate::{AuthenticationError, Authenticator, Rejection},
    issue_tokens::{TokenIssuer, TokenPair},
};
use crate::{
    causes,
    store::{Store, StoreError},
    values::{
        client::Client,
        cookie::TooLong,
        key::SigningKeys,
        password::Password,
        refresh_token::RefreshToken,
        scope::Scopes,
        session::{Policy, Session, SessionId},
        session_limit::SessionLimit,
        user::{Status, User},
        username::Username,
    },
};

/// How long making room for a session may hold up its sign-in.
const MAKING_ROOM: Duration = Duration::from_secs(1);

/// Who wants to sign in, and for what.
pub struct SignInRequest {
    /// The name.
    pub username: Username,
    /// The password.
    pub password: Password,
    /// What the tokens shall be able to do; all that the user may, where the request names nothing.
    pub scopes: Option<Scopes>,
    /// Named by the client and not verified: our clients have no credentials of their own.
    pub client_id: String,
    /// Whether the tokens shall go into cookies.
    pub in_cookies: bool,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The credentials are not looked at, or don't open an account.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// The user has not every scope that was asked for.
    #[error("a scope was asked for that the user has not")]
    InvalidScope,
    /// Cookies would be larger than browsers keep.
    #[error(transparent)]
    TooLongForCookies(#[from] TooLong),
    /// Something is down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Signs users in.
pub struct SignIn<'a> {
    /// Users and sessions.
    pub store: &'a Store,
    /// Verifies passwords.
    pub authenticator: &'a Authenticator,
    /// Makes the tokens.
    pub tokens: &'a TokenIssuer,
    /// How long sessions last.
    pub policy: &'a Policy,
    /// How many an account has.
    pub limit: SessionLimit,
}

impl SignIn<'_> {
    /// Signs a user in: begins a session, and gives its tokens, of this issuer.
    ///
    /// # Errors
    /// [`SignInError`] says why not.
    pub async fn sign_in(
        &self,
        request: SignInRequest,
        issuer: &str,
        client: Client,
    ) -> Result<TokenPair, SignInError> {
        if !self.tokens.may_sign() {
            // Without a key no guess is counted.
            self.tokens.signing_ring().await?;
        }
        // A ring that is too old is read anew while the password is looked at. In boxes, as below.
        let authentication = Box::pin(self.authenticator.authenticate(&request.username, &request.password, &client));
        let (ring, authenticated) = tokio::join!(Box::pin(self.tokens.signing_ring()), authentication);
        // First what doesn't depend on the user: an outage must not tell known names from unknown ones.
        let (ring, authenticated) = match (ring, authenticated) {
            (Ok(ring), authenticated) => (ring, authenticated?),
            (Err(outage), authenticated) => {
                if let Ok(authenticated) = &authenticated {
                    // The password was right all the same.
                    self.authenticator.note(authenticated).await;
                }
                return Err(outage.into());
            }
        };
        self.authenticator.renew_hash(&authenticated.user, &request.password).await;
        let pair = match self.make_tokens(&ring, issuer, &authenticated.user, request, client) {
            Ok(pair) => pair,
            Err(refusal) => {
                // The password was right all the same.
                self.authenticator.note(&authenticated).await;
                return Err(refusal);
            }
        };
        // What was noted decides nothing here, so that neither waits for the other.
        let begun = self.store.add_session(&pair.username, &pair.session);
        let (begun, ()) = tokio::join!(begun, Box::pin(self.authenticator.note(&authenticated)));
        begun?;
        // In boxes, because what waits side by side would make the future of every call as large as both.
        let look = Box::pin(self.check_still_stands(&pair));
        let (stands, ()) = tokio::join!(look, Box::pin(self.make_room(&pair.username, &pair.session)));
        stands?;
        Ok(pair)
    }

    /// The tokens of a session that isn't written yet.
    fn make_tokens(
        &self,
        ring: &SigningKeys,
        issuer: &str,
        user: &User,
        request: SignInRequest,
        client: Client,
    ) -> Result<TokenPair, SignInError> {
        let scopes = granted(user, request.scopes)?;
        let session = Session::begin(
            SessionId::generate(&mut { self.tokens.random }),
            scopes.clone(),
            request.client_id,
            user.password_version,
            client,
            self.policy,
            self.tokens.clock.now(),
        );
        let whose = (user.username.clone(), session, scopes);
        let pair = self.tokens.issue(ring, issuer, whose, |key, username, session| {
            Ok(RefreshToken::issue(username, &session.id, session.counter, key.refresh_key()))
        })?;
        if request.in_cookies {
            // Tokens that no browser would keep are for nobody.
            pair.cookies()?;
        }
        Ok(pair)
    }

    /// Looks at the account once more, now that its session is there: whoever disables or deletes it, or changes its
    /// password or scopes, writes that first and looks for sessions afterwards, so that one of the two sees the other.
    /// Until then no token has left.
    async fn check_still_stands(&self, pair: &TokenPair) -> Result<(), SignInError> {
        let stands = match self.store.find_user(&pair.username).await {
            Ok(found) => found.is_some_and(|user| {
                user.status == Status::Active
                    && user.password_version == pair.session.password_version
                    && pair.scopes.is_subset(&user.scopes)
            }),
            // As at the first look, where an unreadable row isn't told from a wrong password.
            Err(StoreError::Unreadable(_)) => false,
            Err(error) => return Err(error.into()),
        };
        if stands {
            return Ok(());
        }
        // Nobody has its tokens; its row is only in the way.
        let removed = self.store.remove_session(&pair.username, &pair.session.id, self.tokens.clock.now()).await;
        if let Err(error) = removed {
            warn!(user = %pair.username, cause = causes(&error), "a session that nobody can use could not be removed");
        }
        let rejection = Rejection::ChangedUser(pair.username.clone());
        Err(AuthenticationError::Rejected { rejection, spent: None }.into())
    }

    /// Removes the account's sessions over the limit, where it is time to count them. A failure is no reason to turn the
    /// user away: a later sign-in counts again.
    async fn make_room(&self, username: &Username, begun: &Session) {
        if !self.limit.is_count_due(&mut { self.tokens.random }) {
            return;
        }
        let removal = self.store.make_room(username, begun, self.limit, self.tokens.clock.now());
        match tokio::time::timeout(MAKING_ROOM, removal).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                warn!(user = %username, cause = causes(&error), "sessions over the limit could not be removed");
            }
            Err(_) => warn!(user = %username, "sessions over the limit could not be removed in time"),
        }
    }
}

/// What the tokens may do: what was asked for, if the user may do all of it.
fn granted(user: &User, asked: Option<Scopes>) -> Result<Scopes, SignInError> {
    match asked {
        None => Ok(user.scopes.clone()),
        Some(scopes) if scopes.is_subset(&user.scopes) => Ok(scopes),
        Some(_) => Err(SignInError::InvalidScope),
    }
}
