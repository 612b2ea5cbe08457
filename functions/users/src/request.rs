//! The requests of the users' routes: for a page of the list, and for a change.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use shared::{
    lambda::{Call, body::Malformed},
    scope::Scopes,
    use_cases::administer_users::UserChange,
    username::Username,
};

/// How many users a page has where the client doesn't say.
const PAGE: usize = 25;
/// How many users a page has at most.
const LARGEST_PAGE: usize = 100;

/// A page of the list of users.
pub(crate) struct Page {
    pub(crate) size: usize,
    pub(crate) after: Option<Username>,
}

impl Page {
    pub(crate) fn of(call: &Call) -> Result<Self, Malformed> {
        let size = match call.query("limit")? {
            None => PAGE,
            Some(limit) => limit.parse().ok().filter(|size| (1..=LARGEST_PAGE).contains(size)).ok_or_else(|| {
                Malformed::field("limit", &format!("must be a whole number from 1 to {LARGEST_PAGE}"))
            })?,
        };
        let after = call.query("cursor")?.map(|cursor| read_cursor(&cursor));
        let after = after.map(|after| after.ok_or_else(|| Malformed::field("cursor", "is not one of a page's")));
        Ok(Self { size, after: after.transpose()? })
    }
}

/// The cursor of the page after this user. It names a user and nothing else, so that no other row can be named by one.
pub(crate) fn cursor(after: &Username) -> String {
    URL_SAFE_NO_PAD.encode(after.folded())
}

fn read_cursor(cursor: &str) -> Option<Username> {
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    Username::parse(&name).ok()
}

/// Reads a change from the body: of status, scopes or both, and of nothing else.
pub(crate) fn user_change(call: &Call) -> Result<UserChange, Malformed> {
    let mut fields = call.fields()?;
    let status = fields.take("status")?.map(|status| status.parse());
    let status = status.transpose().map_err(|problem| Malformed::field("status", &problem))?;
    let scopes = fields.take_words("scopes")?;
    let scopes = scopes.map(|words| Scopes::from_tokens(words.iter().map(|word| word.as_str())));
    let scopes = scopes.transpose().map_err(|problem| Malformed::field("scopes", &problem))?;
    fields.end()?;
    if status.is_none() && scopes.is_none() {
        return Err(Malformed::new("status and scopes are missing: send one of them, or both"));
    }
    Ok(UserChange { status, scopes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_a_user_and_nothing_else() {
        let name = Username::parse("Jane.Doe+1@example.com").unwrap();
        assert_eq!(read_cursor(&cursor(&name)), Some(name));
        for text in ["SESSION#jane", "USER#jane", "KEYS", "", "jane\0", "jane/x"] {
            let cursor = URL_SAFE_NO_PAD.encode(text);
            // A name by itself may be any text of the right characters, and is always a user's.
            let expected = (text == "KEYS").then(|| Username::parse("KEYS").unwrap());
            assert_eq!(read_cursor(&cursor), expected, "{text:?}");
        }
        for cursor in ["=", "amFuZQ==", "amFuZ Q", "_w", "jane!"] {
            assert_eq!(read_cursor(cursor), None, "{cursor}");
        }
    }
}
