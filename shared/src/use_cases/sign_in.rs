//! Signing in with a name and a password: from these to a session and its tokens.

use super::{
    Unavailable,
    authenticate::{AuthenticationError, Authenticator},
    issue_tokens::{TokenIssuer, TokenPair},
};
use crate::{
    store::{Store, StoreError},
    values::{
        client::Client,
        cookie::TooLong,
        password::Password,
        refresh_token::RefreshToken,
        scope::Scopes,
        session::{Policy, Session, SessionId},
        user::User,
        username::Username,
    },
};

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
        // First what doesn't depend on the user: an outage must not tell known names from unknown ones.
        let ring = self.tokens.signing_ring().await?;
        let user = self.authenticator.authenticate(&request.username, &request.password, &client).await?;
        self.authenticator.renew_hash(&user, &request.password).await;
        let scopes = granted(&user, request.scopes)?;
        let session = Session::begin(
            SessionId::generate(&mut { self.tokens.random }),
            scopes.clone(),
            request.client_id,
            user.password_version,
            client,
            self.policy,
            self.tokens.clock.now(),
        );
        let pair = self.tokens.issue(&ring, issuer, (user.username, session, scopes), |key, username, session| {
            Ok(RefreshToken::issue(username, &session.id, session.counter, key.refresh_key()))
        })?;
        if request.in_cookies {
            // Before the session is made: tokens that no browser would keep are for nobody.
            pair.cookies()?;
        }
        self.store.add_session(&pair.username, &pair.session).await?;
        Ok(pair)
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
