//! A page of a list, as a request asks for it: `limit` says how many entries, `cursor` after which one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Call, body::Malformed};

/// How many entries a page has at most.
pub const LARGEST: usize = 100;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// How many entries it has at most.
    pub size: usize,
    /// The entry after which it begins; `None` is the first page.
    pub after: Option<T>,
}

impl<T> Page<T> {
    /// The page that the query asks for, of `usual` entries where it doesn't say. `parse` reads a cursor's text, and
    /// takes nothing but an entry of the list.
    ///
    /// # Errors
    /// [`Malformed`] names the parameter that is repeated or out of range.
    pub fn of(call: &Call, usual: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<Self, Malformed> {
        let size = match call.query("limit")? {
            None => usual,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|size| (1..=LARGEST).contains(size))
                .ok_or_else(|| Malformed::field("limit", &format!("must be a whole number from 1 to {LARGEST}")))?,
        };
        let after = call.query("cursor")?.map(|cursor| read_cursor(&cursor, parse));
        let after = after.map(|after| after.ok_or_else(|| Malformed::field("cursor", "is not one of a page's")));
        Ok(Self { size, after: after.transpose()? })
    }
}

/// The cursor of the page after this entry. It names an entry and nothing else, so that no other row can be named by
/// one.
#[must_use]
pub fn cursor(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(after)
}

fn read_cursor<T>(cursor: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    parse(&String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::username::Username;

    fn read(cursor: &str) -> Option<Username> {
        read_cursor(cursor, |name| Username::parse(name).ok())
    }

    #[test]
    fn a_cursor_names_a_user_and_nothing_else() {
        let name = Username::parse("Jane.Doe+1@example.com").unwrap();
        assert_eq!(read(&cursor(&name.folded())), Some(name));
        for text in ["SESSION#jane", "USER#jane", "KEYS", "", "jane\0", "jane/x"] {
            let cursor = URL_SAFE_NO_PAD.encode(text);
            // A name by itself may be any text of the right characters, and is always a user's.
            let expected = (text == "KEYS").then(|| Username::parse("KEYS").unwrap());
            assert_eq!(read(&cursor), expected, "{text:?}");
        }
        for cursor in ["=", "amFuZQ==", "amFuZ Q", "_w", "jane!"] {
            assert_eq!(read(cursor), None, "{cursor}");
        }
    }
}
