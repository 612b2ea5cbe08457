//! Usernames.

use std::{fmt, str::FromStr};

/// The longest username, in characters (all of one byte).
pub const MAX_LENGTH: usize = 64;

/// The name of an account: 1 to 64 characters of `[A-Za-z0-9._@+-]`, kept as typed.
///
/// Two names that differ in case only are the same account; [`Username::folded`] is what the store
/// looks for.
#[derive(Clone, Debug)]
pub struct Username(String);

/// The text is not a username; the message says what one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -")]
pub struct InvalidUsername;

impl Username {
    /// Takes the text as a username.
    ///
    /// # Errors
    /// [`InvalidUsername`] for an empty or too long text, or one with any other character.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
        if (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidUsername)
        }
    }

    /// The name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in lower case: equal for two names exactly if they are the same account.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        Self::parse(text)
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for Username {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Username {}

/// Names that nobody can register; an operator can still give them to somebody.
#[derive(Clone, Debug)]
pub struct ReservedNames(Vec<Username>);

/// The text is no list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a list of usernames, separated by commas")]
pub struct InvalidReservedNames;

impl ReservedNames {
    /// Whether the name is one of them, in whatever case.
    #[must_use]
    pub fn contains(&self, username: &Username) -> bool {
        self.0.contains(username)
    }
}

impl FromStr for ReservedNames {
    type Err = InvalidReservedNames;

    fn from_str(text: &str) -> Result<Self, InvalidReservedNames> {
        let names = text.split(',').map(|name| Username::parse(name.trim()));
        names.collect::<Result<_, _>>().map(Self).map_err(|_| InvalidReservedNames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_to_64_of_the_allowed_characters() {
        for name in ["j", "johndoe", "John.Doe_1+test@example-site.org", &"x".repeat(64)] {
            assert_eq!(Username::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_everything_else() {
        let too_long = "x".repeat(65);
        for name in ["", " ", "john doe", "john\0", "jo\u{308}hn", "ｊohn", "a#b", "a/b", "a:b", "\n", &too_long] {
            assert_eq!(Username::parse(name).unwrap_err(), InvalidUsername, "{name:?}");
        }
    }

    #[test]
    fn differing_case_is_the_same_account() {
        let (typed, other) = (Username::parse("JohnDoe").unwrap(), Username::parse("johndoe").unwrap());
        assert_eq!(typed, other);
        assert_eq!(typed.folded(), other.folded());
        assert_eq!(typed.to_string(), "JohnDoe");
    }

    #[test]
    fn reserved_names_are_compared_whole_and_in_whatever_case() {
        let reserved: ReservedNames = "admin, Root,no-reply".parse().unwrap();
        let contains = |name: &str| reserved.contains(&Username::parse(name).unwrap());
        assert!(["admin", "ADMIN", "root", "No-Reply"].into_iter().all(contains));
        assert!(!["admin1", "adm", "admin@example.com", "johndoe"].into_iter().any(contains));
        for text in ["", ",", "admin,", "a b", "admin;root"] {
            assert!(text.parse::<ReservedNames>().is_err(), "{text}");
        }
    }
}
