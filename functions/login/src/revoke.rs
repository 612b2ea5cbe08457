//! Revocation (RFC 7009): who holds a token of a session may end the session.

use lambda_http::Request;
use rand::CryptoRng;
use shared::{
    fields::Fields,
    key::{SigningKeys, VerifyingKeys},
    log::Entry,
    refresh_token,
    session::SessionId,
    token,
    username::Username,
};

use crate::{Login, LoginError, error::unavailable};

impl<R: CryptoRng + Clone + Send + 'static> Login<R> {
    /// Ends the session of the token, a refresh token or an access token. A token that we don't know needs no
    /// revocation: that is a success too (RFC 7009 section 2.2).
    pub(crate) async fn revoke(&self, request: &Request) -> Result<Entry, LoginError> {
        let mut fields = Fields::of(request)?;
        let token = fields.require("token")?;
        // Its form tells what it is; the hint may be wrong (RFC 7009 section 2.1).
        fields.take("token_type_hint")?;
        let ring = self.keys.keys().await.map_err(unavailable)?;
        let mut found = self.find(&token, &ring, request)?;
        if found.is_none()
            && let Some(ring) = self.keys.look_again().await.map_err(unavailable)?
        {
            found = self.find(&token, &ring, request)?;
        }
        let Some((username, session)) = found else { return Ok(Entry::new("nothing_to_revoke")) };
        self.store.end_session(&username, &session, (self.clock)()).await.map_err(unavailable)?;
        Ok(Entry::new("revoked").with("user", &username).with("session", &session))
    }

    /// The session of a token that the ring has made.
    fn find(
        &self,
        token: &str,
        ring: &SigningKeys,
        request: &Request,
    ) -> Result<Option<(Username, SessionId)>, LoginError> {
        if let Ok(presented) = refresh_token::verify(token, ring) {
            return Ok(Some((presented.username, presented.session)));
        }
        let Ok(keys) = VerifyingKeys::parse(&ring.to_verifying_jwks()) else { return Ok(None) };
        let verified = token::verify(token, &keys, &self.issuer(request)?, &self.audience, (self.clock)());
        Ok(verified.ok().map(|verified| (verified.subject, verified.session)))
    }
}
