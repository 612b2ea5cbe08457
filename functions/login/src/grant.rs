//! The grant itself: from a name and a password to a token, or to a reason why not.

use lambda_http::{Request, http::StatusCode};
use rand::CryptoRng;
use shared::{
    BoxError,
    http::{self, ErrorResponse},
    key_source::KeysUnavailable,
    log::causes,
    password::PasswordHash,
    scope::Scopes,
    session::SessionId,
    store::StoreError,
    token::{self, AccessToken, Grant},
    user::{Status, User},
    username::Username,
};
use tracing::{error, warn};

use crate::{Login, request::PasswordRequest};

/// A sign-in that succeeded.
pub(crate) struct SignedIn {
    pub(crate) username: Username,
    pub(crate) session: SessionId,
    pub(crate) scopes: Scopes,
    pub(crate) token: AccessToken,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The request is malformed.
    #[error("the request is malformed")]
    Malformed(ErrorResponse),
    /// The credentials don't open an account. The client isn't told more than that.
    #[error(transparent)]
    Rejected(Rejection),
    /// The user has not every scope that was asked for.
    #[error("the user lacks a scope that was asked for")]
    InvalidScope,
    /// Something that a sign-in needs is down.
    #[error("a sign-in is not possible now")]
    Unavailable(#[source] BoxError),
}

/// Why credentials don't open an account: for the log only.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// No account has the name. It isn't kept: people type passwords into the wrong field.
    #[error("unknown_user")]
    UnknownUser,
    /// The account's row can't be read.
    #[error("unreadable_user")]
    UnreadableUser,
    /// The password is not the account's.
    #[error("wrong_password")]
    WrongPassword(Username),
    /// The account is disabled, whatever the password.
    #[error("disabled_user")]
    DisabledUser(Username),
}

impl Rejection {
    /// The account's name, where there is one.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::UnknownUser | Self::UnreadableUser => None,
            Self::WrongPassword(username) | Self::DisabledUser(username) => Some(username.as_str()),
        }
    }
}

impl From<LoginError> for ErrorResponse {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Malformed(response) => response,
            LoginError::Rejected(_) => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid_grant", "Invalid credentials").with_challenge("Bearer")
            }
            LoginError::InvalidScope => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_scope", "scope names something that this user may not do")
            }
            LoginError::Unavailable(_) => Self::unavailable(),
        }
    }
}

fn unavailable(cause: impl Into<BoxError>) -> LoginError {
    LoginError::Unavailable(cause.into())
}

impl<R: CryptoRng + Clone + Send + 'static> Login<R> {
    pub(crate) async fn sign_in(&self, request: &Request) -> Result<SignedIn, LoginError> {
        let asked = PasswordRequest::of(request).map_err(LoginError::Malformed)?;
        // First what doesn't depend on the user: an outage must not tell known names from unknown ones.
        let (domain, stage) = http::domain_and_stage(request);
        let issuer = self
            .issuer
            .for_request(domain, stage)
            .ok_or_else(|| unavailable("ISSUER is not set, and the request doesn't say its domain"))?;
        let now = (self.clock)();
        let mut keys = self.keys.keys().await.map_err(unavailable)?;
        if keys.signing(now).is_none() {
            // Before the first rotation the ring is empty.
            keys = self.keys.look_again().await.map_err(unavailable)?.unwrap_or(keys);
        }
        let key = keys.signing(now).ok_or(KeysUnavailable::None).map_err(unavailable)?;

        let user = self.authenticate(&asked).await?;
        let scopes = match asked.scopes {
            None => user.scopes,
            Some(scopes) if scopes.is_subset(&user.scopes) => scopes,
            Some(_) => return Err(LoginError::InvalidScope),
        };
        let mut rng = self.rng.clone();
        let session = SessionId::generate(&mut rng);
        let grant = Grant {
            issuer: &issuer,
            audience: &self.audience,
            subject: &user.username,
            client_id: &asked.client_id,
            scopes: &scopes,
            session: &session,
            lifetime: self.lifetime.into(),
        };
        let token = token::issue(&grant, key, (self.clock)(), &mut rng).map_err(unavailable)?;
        Ok(SignedIn { username: user.username, session, scopes, token })
    }

    /// Finds the user whose password it is. Every refusal takes one read and the work of one verification at the
    /// cost of the setting, unless the account's own hash costs more.
    async fn authenticate(&self, asked: &PasswordRequest) -> Result<User, LoginError> {
        let found = match self.store.find_user(&asked.username).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(Rejection::UnknownUser),
            // An error of its own would tell that the name is known.
            Err(StoreError::Unreadable(row)) => {
                error!(cause = causes(&row), "a user's row can't be read, so its user can't sign in");
                Err(Rejection::UnreadableUser)
            }
            Err(error @ StoreError::Unavailable(_)) => return Err(unavailable(error)),
        };
        let hash = found.as_ref().map_or(&self.decoy, |user| &user.password_hash).clone();
        let password = asked.password.clone();
        let (cost, mut rng) = (self.cost, self.rng.clone());
        let active = found.as_ref().is_ok_and(|user| user.status == Status::Active);
        let verify = move || {
            let verified = hash.verify(&password);
            if !(verified && active) {
                hash.even_out(&password, cost, &mut rng);
            }
            verified
        };
        let verified = tokio::task::spawn_blocking(verify).await.map_err(unavailable)?;

        let user = found.map_err(LoginError::Rejected)?;
        if !verified {
            return Err(LoginError::Rejected(Rejection::WrongPassword(user.username)));
        }
        if user.status == Status::Disabled {
            return Err(LoginError::Rejected(Rejection::DisabledUser(user.username)));
        }
        if user.password_hash.needs_rehash(self.cost) {
            self.rehash(&user, asked).await;
        }
        Ok(user)
    }

    /// Puts a hash of today's form and cost into the place of an older one. The user is signed in whether
    /// that succeeds or not; the next sign-in tries again.
    async fn rehash(&self, user: &User, asked: &PasswordRequest) {
        let (password, cost, mut rng) = (asked.password.clone(), self.cost, self.rng.clone());
        let hashed = tokio::task::spawn_blocking(move || PasswordHash::new(&password, cost, &mut rng)).await;
        let outcome: Result<(), BoxError> = match hashed {
            // Where the hash isn't the old one any more, somebody has set a newer.
            Ok(new) => {
                self.store.replace_hash(&user.username, &user.password_hash, &new).await.map(drop).map_err(Into::into)
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            warn!(user = %user.username, cause = causes(error.as_ref()), "the password's hash could not be renewed");
        }
    }
}
