//! Refresh tokens: whose they are and how often they were exchanged, with a code that only we can make.
//!
//! A token is the base64url of
//!
//! | bytes | hold |
//! |---|---|
//! | 1 | the version, 1 |
//! | 1 to 64 | the username, as the account has it |
//! | 16 | the session |
//! | 8 | the counter, big-endian |
//! | 32 | the HMAC-SHA-256 of all that comes before |
//!
//! So the token need not be kept: the table has the session's counter and no secret. The same session, counter and key
//! always give the same token.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::values::{
    key::{REFRESH_CODE_BYTES, RefreshKey, SigningKeys},
    session::{RANDOM_BYTES, SessionId},
    username::{self, Username},
};

const VERSION: u8 = 1;
const COUNTER_BYTES: usize = 8;
/// The bytes of everything but the username.
const FIXED_BYTES: usize = 1 + RANDOM_BYTES + COUNTER_BYTES + REFRESH_CODE_BYTES;

/// A refresh token. It can't be printed by accident.
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The token of a session for this value of its counter.
    #[must_use]
    pub fn issue(username: &Username, session: &SessionId, counter: u64, key: &RefreshKey) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_BYTES + username::MAX_LENGTH));
        bytes.push(VERSION);
        bytes.extend_from_slice(username.as_str().as_bytes());
        bytes.extend_from_slice(&session.to_bytes());
        bytes.extend_from_slice(&counter.to_be_bytes());
        let code = key.code(&bytes);
        bytes.extend_from_slice(&code);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    /// The token's text, for the answer to its holder and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

/// The contents of a refresh token that a ring of ours has made.
#[derive(Clone, Debug)]
pub struct PresentedToken<'a> {
    /// The account that the session belongs to.
    pub username: Username,
    /// The session.
    pub session: SessionId,
    /// How often the session had been refreshed when the token was made.
    pub counter: u64,
    key: &'a RefreshKey,
}

impl PresentedToken<'_> {
    /// The token that this one is exchanged for: always the same, also where a newer key signs by now, so that
    /// everyone who presents it gets one successor. `None` where the counter is at its end, after 2⁶⁴ refreshes.
    #[must_use]
    pub fn successor(&self) -> Option<RefreshToken> {
        Some(RefreshToken::issue(&self.username, &self.session, self.counter.checked_add(1)?, self.key))
    }
}

/// Why a text is not a refresh token of ours: for the log, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It doesn't have the form of one.
    #[error("the refresh token has another form")]
    Form,
    /// No key of the ring has made it.
    #[error("no key has made this refresh token")]
    Code,
}

/// Reads a refresh token and checks that a key of the ring has made it.
///
/// # Errors
/// [`Refusal`] where the text doesn't have the form of such a token, or no key of the ring has made it.
pub fn verify<'a>(text: &str, ring: &'a SigningKeys) -> Result<PresentedToken<'a>, Refusal> {
    // Cap before decoding: a long input must cost nothing.
    if text.len() > (FIXED_BYTES + username::MAX_LENGTH).div_ceil(3) * 4 {
        return Err(Refusal::Form);
    }
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Form)?);
    let (message, code) = bytes.split_last_chunk::<REFRESH_CODE_BYTES>().ok_or(Refusal::Form)?;
    let (rest, counter) = message.split_last_chunk::<COUNTER_BYTES>().ok_or(Refusal::Form)?;
    let (rest, session) = rest.split_last_chunk::<RANDOM_BYTES>().ok_or(Refusal::Form)?;
    let [VERSION, username @ ..] = rest else { return Err(Refusal::Form) };
    let username = std::str::from_utf8(username).ok().and_then(|name| Username::parse(name).ok());
    let username = username.ok_or(Refusal::Form)?;
    let key = ring.refresh_keys().find(|key| key.is_code(message, code)).ok_or(Refusal::Code)?;
    Ok(PresentedToken {
        username,
        session: SessionId::from_bytes(*session),
        counter: u64::from_be_bytes(*counter),
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{
        key::{self, Algorithm},
        time::Timestamp,
    };
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn session() -> SessionId {
        SessionId::from_bytes([7; RANDOM_BYTES])
    }

    fn token(ring: &SigningKeys, username: &str, counter: u64) -> String {
        let key = ring.signing(NOW).unwrap().refresh_key();
        RefreshToken::issue(&Username::parse(username).unwrap(), &session(), counter, key).expose().to_owned()
    }

    #[test]
    fn an_issued_one_verifies_and_leads_to_the_next() {
        for algorithm in Algorithm::ALL {
            let ring = key::tests::ring(algorithm, NOW);
            for username in ["j", "JohnDoe", &"x".repeat(64)] {
                for counter in [0, 1, u64::MAX - 1] {
                    let text = token(&ring, username, counter);
                    let presented = verify(&text, &ring).unwrap();
                    assert_eq!(presented.username.as_str(), username);
                    assert_eq!((&presented.session, presented.counter), (&session(), counter));
                    assert_eq!(presented.successor().unwrap().expose(), token(&ring, username, counter + 1));
                }
            }
            assert!(verify(&token(&ring, "j", u64::MAX), &ring).unwrap().successor().is_none());
        }
    }

    #[test]
    fn another_ring_s_is_refused() {
        let (ours, other) = (key::tests::ring(Algorithm::Es256, NOW), key::tests::ring(Algorithm::Es256, NOW));
        assert_eq!(verify(&token(&other, "johndoe", 0), &ours).unwrap_err(), Refusal::Code);
    }

    #[test]
    fn what_has_another_form_is_refused() {
        let ring = key::tests::ring(Algorithm::Es256, NOW);
        let good = token(&ring, "johndoe", 0);
        let bytes = URL_SAFE_NO_PAD.decode(&good).unwrap();
        let other_version = [&[2], &bytes[1..]].concat();
        let nameless = [&bytes[..1], &bytes[8..]].concat();
        for text in [
            "",
            "a",
            "johndoe",
            &format!("{good}="),
            &format!(" {good}"),
            &"A".repeat(10_000),
            &URL_SAFE_NO_PAD.encode(other_version),
            &URL_SAFE_NO_PAD.encode(nameless),
        ] {
            assert_eq!(verify(text, &ring).unwrap_err(), Refusal::Form, "{text}");
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let ring = key::tests::ring(Algorithm::Es256, NOW);
        let bytes = URL_SAFE_NO_PAD.decode(token(&ring, "johndoe", 3)).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(verify(&URL_SAFE_NO_PAD.encode(changed), &ring).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn it_can_not_be_printed() {
        let ring = key::tests::ring(Algorithm::Es256, NOW);
        let key = ring.signing(NOW).unwrap().refresh_key();
        let token = RefreshToken::issue(&Username::parse("johndoe").unwrap(), &session(), 0, key);
        assert_eq!(format!("{token:?}"), "RefreshToken(..)");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let ring = key::tests::ring(Algorithm::Hs256, NOW);
            prop_assert!(verify(&text, &ring).is_err());
        }
    }
}
