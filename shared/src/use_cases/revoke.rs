//! Revocation (RFC 7009): who holds a token of a session may end the session.

use super::{Unavailable, issue_tokens::TokenIssuer};
use crate::{
    store::Store,
    values::{
        access_token,
        key::{SigningKeys, VerifyingKeys},
        refresh_token,
        session::SessionId,
        username::Username,
    },
};

/// Ends the session of the token, a refresh token or an access token of this issuer, and says which it was. A token
/// that we don't know needs no revocation: that is a success too (RFC 7009 section 2.2).
///
/// Where the issuer can't be known, access tokens can't be either, and that is an outage.
///
/// # Errors
/// [`Unavailable`] where the keys or the session can't be reached.
pub async fn revoke(
    store: &Store,
    tokens: &TokenIssuer,
    token: &str,
    issuer: Option<&str>,
) -> Result<Option<(Username, SessionId)>, Unavailable> {
    let ring = tokens.keys.keys().await?;
    let mut found = find(tokens, token, &ring, issuer)?;
    if found.is_none()
        && let Some(ring) = tokens.keys.look_again().await?
    {
        found = find(tokens, token, &ring, issuer)?;
    }
    if let Some((username, session)) = &found {
        store.end_session(username, session, tokens.clock.now()).await?;
    }
    Ok(found)
}

/// The session of a token that the ring has made.
fn find(
    tokens: &TokenIssuer,
    token: &str,
    ring: &SigningKeys,
    issuer: Option<&str>,
) -> Result<Option<(Username, SessionId)>, Unavailable> {
    // Its form tells what it is.
    if let Ok(presented) = refresh_token::verify(token, ring) {
        return Ok(Some((presented.username, presented.session)));
    }
    let Ok(keys) = VerifyingKeys::parse(&ring.to_verifying_jwks()) else { return Ok(None) };
    let issuer = issuer.ok_or_else(|| Unavailable::because("the issuer is not known"))?;
    let verified = access_token::verify(token, &keys, issuer, &tokens.audience, tokens.clock.now());
    Ok(verified.ok().map(|verified| (verified.subject, verified.session)))
}
