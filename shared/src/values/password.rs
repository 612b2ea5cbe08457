//! Passwords, the rules for new ones, and their hashes.

mod hash;

use std::fmt;

use zeroize::Zeroizing;

pub use self::hash::{Cost, InvalidCost, InvalidHash, PasswordHash, Scheme};
use crate::values::username::Username;

/// A password as received: any Unicode, neither trimmed nor normalised.
///
/// It can be neither printed nor got back out, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// The password is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty")]
pub struct EmptyPassword;

impl Password {
    /// Takes the text as a password.
    ///
    /// The text has no upper bound here, because passwords of other systems come with their hashes;
    /// whoever reads a request bounds its size, and hashing takes the same time for any length.
    ///
    /// # Errors
    /// [`EmptyPassword`] for the empty text.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, EmptyPassword> {
        let text = text.into();
        if text.is_empty() { Err(EmptyPassword) } else { Ok(Self(text)) }
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password that an account may be given: 8 to 128 characters of any Unicode, other than the username and the most
/// common passwords.
///
/// There are no rules of composition (NIST SP 800-63B section 3.1.1.2).
#[derive(Debug)]
pub struct NewPassword(Password);

/// The text isn't fit to be a new password; the message names the rule, to be read after the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UnfitPassword {
    #[error("must have at least 8 characters")]
    TooShort,
    #[error("must have at most 128 characters")]
    TooLong,
    #[error("must not be the username")]
    Username,
    #[error("must not be one of the most common passwords")]
    Common,
}

/// The most common passwords of at least 8 characters, in lower case, one a line, the most common first: 8,354 of a list
/// of the 20,000 most common (19,640 once they are in lower case). The others on it are too short anyway.
///
/// The list is Royce Williams's, as Django 5.2.19 ships it (`django/contrib/auth/common-passwords.txt.gz`, licence
/// BSD-3-Clause, see `common_passwords.license.txt`).
const COMMON: &str = include_str!("common_passwords.txt");

/// Whether this is a common password, in whatever case: who guesses tries `Password1` as early as `password1`.
fn is_common(text: &str) -> bool {
    let folded = Zeroizing::new(text.to_lowercase());
    COMMON.lines().any(|common| common == folded.as_str())
}

impl NewPassword {
    /// Takes the text as the new password of this user.
    ///
    /// # Errors
    /// [`UnfitPassword`] names the rule that it breaks.
    pub fn new(text: impl Into<Zeroizing<String>>, username: &Username) -> Result<Self, UnfitPassword> {
        let text = text.into();
        match text.chars().take(129).count() {
            0..8 => Err(UnfitPassword::TooShort),
            8..=128 if text.eq_ignore_ascii_case(username.as_str()) => Err(UnfitPassword::Username),
            8..=128 if is_common(&text) => Err(UnfitPassword::Common),
            8..=128 => Ok(Self(Password(text))),
            _ => Err(UnfitPassword::TooLong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_8_to_128_characters_but_not_the_username() {
        let username = Username::parse("JohnDoe.1").unwrap();
        let unfit = |text: &str| NewPassword::new(text.to_owned(), &username).err();
        for fit in ["a7!f3k9z", "ä\0🔑 5678", &"🔑".repeat(128)] {
            assert_eq!(unfit(fit), None, "{fit}");
        }
        assert_eq!(unfit(""), Some(UnfitPassword::TooShort));
        assert_eq!(unfit("🔑🔑🔑🔑🔑🔑🔑"), Some(UnfitPassword::TooShort));
        assert_eq!(unfit(&"x".repeat(129)), Some(UnfitPassword::TooLong));
        assert_eq!(unfit("johndoe.1"), Some(UnfitPassword::Username));
    }

    #[test]
    fn a_new_password_is_none_of_the_common_ones_in_whatever_case() {
        let username = Username::parse("johndoe").unwrap();
        let unfit = |text: &str| NewPassword::new(text.to_owned(), &username).err();
        // The first and the last of the list among them.
        for common in ["123456789", "12345678", "password1", "PassWord1", "friend of emily", "Fallen_Angel"] {
            assert_eq!(unfit(common), Some(UnfitPassword::Common), "{common}");
        }
        for fit in ["password1 ", "12345678\n123456789", "friend of emily!"] {
            assert_eq!(unfit(fit), None, "{fit:?}");
        }
    }

    #[test]
    fn the_common_passwords_are_whole_and_in_lower_case() {
        assert_eq!(COMMON.lines().count(), 8354);
        for common in COMMON.lines() {
            assert!((8..=128).contains(&common.chars().count()), "{common}");
            assert_eq!(common, common.to_lowercase());
        }
    }

    #[test]
    fn a_password_can_not_be_printed() {
        assert_eq!(format!("{:?}", Password::new("hunter2".to_owned()).unwrap()), "Password(..)");
    }
}
