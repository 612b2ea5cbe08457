//! OAuth scopes (RFC 6749 section 3.3).

use std::{collections::BTreeSet, fmt, str::FromStr};

/// The most that a set of scopes may take when written out, in bytes: it has to fit into an access
/// token of 4 KiB beside the other claims.
pub const MAX_LENGTH: usize = 1024;

/// A set of scopes, written as a list separated by single spaces, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

/// The text is not a list of scopes; the message says what one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a list of scopes separated by single spaces, each of printable ASCII without \" and \\, \
     at most 1024 characters in all"
)]
pub struct InvalidScope;

impl Scopes {
    /// Takes a list separated by single spaces; the empty text is the empty set.
    ///
    /// # Errors
    /// [`InvalidScope`] where the text isn't what RFC 6749 section 3.3 allows, or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::from_tokens(text.split(' '))
    }

    /// Takes scopes one by one.
    ///
    /// # Errors
    /// [`InvalidScope`] where one of them is not a scope, or all together are too long.
    pub fn from_tokens<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScope> {
        // `NQCHAR` of RFC 6749 appendix A.
        let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        let mut scopes = BTreeSet::new();
        for token in tokens {
            if token.is_empty() || !token.bytes().all(allowed) {
                return Err(InvalidScope);
            }
            scopes.insert(token.to_owned());
        }
        let (texts, spaces) = (scopes.iter().map(String::len).sum::<usize>(), scopes.len().saturating_sub(1));
        if texts + spaces > MAX_LENGTH { Err(InvalidScope) } else { Ok(Self(scopes)) }
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the set has this scope.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether the set has every scope of a list with single spaces between them, as routes state what they ask for. An
    /// empty list asks for what nobody has.
    #[must_use]
    pub fn contains_all(&self, needed: &str) -> bool {
        needed.split(' ').all(|scope| self.contains(scope))
    }

    /// Whether every scope of this set is in `other` too.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The scopes, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_them_sorted_and_once() {
        let scopes = Scopes::parse("write read write").unwrap();
        assert_eq!(scopes.to_string(), "read write");
        assert!(scopes.contains("read") && !scopes.contains("admin"));
    }

    #[test]
    fn refuses_what_rfc_6749_does_not_allow() {
        for text in [" ", "a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "ä", "a\0"] {
            assert_eq!(Scopes::parse(text), Err(InvalidScope), "{text:?}");
        }
        assert_eq!(Scopes::parse(&"x".repeat(MAX_LENGTH + 1)), Err(InvalidScope));
    }

    #[test]
    fn a_list_of_needed_scopes_is_had_whole_or_not() {
        let scopes = Scopes::parse("read write").unwrap();
        assert!(["read", "write", "read write", "write read"].into_iter().all(|needed| scopes.contains_all(needed)));
        assert!(
            !["", "admin", "read admin", "read  write", "READ"].into_iter().any(|needed| scopes.contains_all(needed))
        );
        assert!(!Scopes::default().contains_all(""));
    }

    #[test]
    fn the_empty_text_is_the_empty_set() {
        assert!(Scopes::parse("").unwrap().is_empty());
        assert_eq!(Scopes::default().to_string(), "");
    }

    proptest! {
        #[test]
        fn written_and_read_again_is_the_same(text in "[!#-\\[\\]-~]{1,9}( [!#-\\[\\]-~]{1,9}){0,5}") {
            let scopes = Scopes::parse(&text).unwrap();
            prop_assert_eq!(Scopes::parse(&scopes.to_string()).unwrap(), scopes);
        }
    }
}
