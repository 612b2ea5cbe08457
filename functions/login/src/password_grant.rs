//! The grant `password` (RFC 6749 section 4.3): from a name and a password to a session and its tokens, or to a reason
//! why not.

use lambda_http::Request;
use rand::CryptoRng;
use shared::{
    BoxError, http,
    log::causes,
    password::PasswordHash,
    refresh_token::RefreshToken,
    session::{Session, SessionId},
    store::StoreError,
    token::Grant,
    user::{Status, User},
};
use tracing::{error, warn};

use crate::{
    Login,
    answer::Granted,
    error::{LoginError, Rejection, unavailable},
    request::PasswordRequest,
    signing,
};

impl<R: CryptoRng + Clone + Send + 'static> Login<R> {
    pub(crate) async fn sign_in(&self, asked: &PasswordRequest, request: &Request) -> Result<Granted, LoginError> {
        if asked.in_cookies {
            // A page of another origin could sign a visitor in as somebody else.
            self.check_origin(request, false)?;
        }
        // First what doesn't depend on the user: an outage must not tell known names from unknown ones.
        let issuer = self.issuer(request)?;
        let ring = self.ring().await?;
        signing(&ring, (self.clock)())?;

        let guess = self.count_guess(request, &asked.username).await?;
        let user = self.authenticate(asked).await?;
        self.guess_was_right(&guess, &user).await;
        let scopes = match &asked.scopes {
            None => user.scopes,
            Some(scopes) if scopes.is_subset(&user.scopes) => scopes.clone(),
            Some(_) => return Err(LoginError::InvalidScope),
        };
        let (now, key) = ((self.clock)(), signing(&ring, (self.clock)())?);
        let session = Session::begin(
            SessionId::generate(&mut self.rng.clone()),
            scopes.clone(),
            asked.client_id.clone(),
            user.password_version,
            http::client_hints(request),
            &self.sessions,
            now,
        );
        let grant = Grant {
            issuer: &issuer,
            audience: &self.audience,
            subject: &user.username,
            client_id: &asked.client_id,
            scopes: &scopes,
            session: &session.id,
            lifetime: self.lifetime.into(),
        };
        let access = self.access_token(&grant, &session, key, now)?;
        let refresh = RefreshToken::issue(&user.username, &session.id, session.counter, key.refresh_key());
        let granted = Granted {
            username: user.username,
            session,
            scopes,
            access,
            refresh,
            issued: now,
            key_made: key.made(),
            in_cookies: asked.in_cookies,
        };
        if granted.in_cookies {
            // Before the session is made: tokens that no browser would keep are for nobody.
            granted.cookies()?;
        }
        self.store.add_session(&granted.username, &granted.session).await.map_err(unavailable)?;
        Ok(granted)
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
