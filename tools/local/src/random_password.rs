//! Passwords as Secrets Manager generates them for `CloudFormation`'s `GenerateSecretString`.

use rand::TryRng;
use rand::rngs::{SysError, SysRng};

const LOWER_CASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER_CASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
/// The longest that Secrets Manager makes.
const LONGEST: usize = 4096;

/// What a password is made of.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the template's switches")]
pub(crate) struct Password {
    pub(crate) length: usize,
    pub(crate) lower_case: bool,
    pub(crate) upper_case: bool,
    pub(crate) digits: bool,
    pub(crate) punctuation: bool,
    pub(crate) space: bool,
    /// Characters that it has none of.
    pub(crate) excluded: String,
    /// Whether it has at least one of each kind.
    pub(crate) one_of_each: bool,
}

impl Password {
    /// One of letters, digits and punctuation, at least one of each.
    pub(crate) fn with_length(length: usize) -> Self {
        Self {
            length,
            lower_case: true,
            upper_case: true,
            digits: true,
            punctuation: true,
            space: false,
            excluded: String::new(),
            one_of_each: true,
        }
    }

    /// Whether there is any such password.
    pub(crate) fn is_possible(&self) -> bool {
        let kinds = self.kinds();
        let least = if self.one_of_each { kinds.len() } else { 1 };
        !kinds.is_empty() && (least..=LONGEST).contains(&self.length)
    }

    /// A new one, each as likely as every other.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub(crate) fn generate(&self) -> Result<String, SysError> {
        let kinds = self.kinds();
        let alphabet: Vec<char> = kinds.concat();
        loop {
            let password = (0..self.length).map(|_| choose(&alphabet)).collect::<Result<String, _>>()?;
            // What lacks a kind is thrown away whole: putting one in would make some likelier.
            if !self.one_of_each || kinds.iter().all(|kind| password.contains(kind.as_slice())) {
                return Ok(password);
            }
        }
    }

    fn kinds(&self) -> Vec<Vec<char>> {
        [
            (self.lower_case, LOWER_CASE),
            (self.upper_case, UPPER_CASE),
            (self.digits, DIGITS),
            (self.punctuation, PUNCTUATION),
            (self.space, " "),
        ]
        .into_iter()
        .filter(|(is_included, _)| *is_included)
        .map(|(_, kind)| kind.chars().filter(|letter| !self.excluded.contains(*letter)).collect())
        .filter(|kind: &Vec<char>| !kind.is_empty())
        .collect()
    }
}

fn choose(alphabet: &[char]) -> Result<char, SysError> {
    loop {
        let mut byte = [0];
        SysRng.try_fill_bytes(&mut byte)?;
        // The alphabet has at most 95 letters. Seven bits that point past its end are drawn again.
        if let Some(letter) = alphabet.get(usize::from(byte[0] & 0x7f)) {
            return Ok(*letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_what_is_asked_for_and_nothing_else() {
        let all = Password::with_length(32).generate().unwrap();
        assert_eq!(all.len(), 32);
        for kind in [LOWER_CASE, UPPER_CASE, DIGITS, PUNCTUATION] {
            assert!(all.contains(|letter| kind.contains(letter)), "{all}");
        }
        let plain = Password { punctuation: false, excluded: "0Oo".to_owned(), ..Password::with_length(64) };
        let plain = plain.generate().unwrap();
        assert!(plain.chars().all(|letter| letter.is_ascii_alphanumeric() && !"0Oo".contains(letter)), "{plain}");
    }

    #[test]
    fn no_password_is_too_short_for_its_kinds() {
        assert!(Password::with_length(4).is_possible());
        assert!(!Password::with_length(3).is_possible());
        assert!(Password { one_of_each: false, ..Password::with_length(3) }.is_possible());
        assert!(!Password { one_of_each: false, ..Password::with_length(0) }.is_possible());
        assert!(!Password::with_length(5000).is_possible());
    }
}
