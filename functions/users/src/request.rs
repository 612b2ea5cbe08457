//! What is asked of the users' routes.

use std::fmt::Display;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lambda_http::{Request, RequestExt, http::Method};
use percent_encoding::percent_decode_str;
use shared::{fields::Fields, http::ErrorResponse, scope::Scopes, user::Status, username::Username};

/// How many users a page has where the client doesn't say.
const PAGE: usize = 25;
/// How many users a page has at most.
const LARGEST_PAGE: usize = 100;

/// A request for one of the routes.
pub(crate) enum Asked {
    List(Page),
    Show(Username),
    Change(Username, Change),
    Delete(Username),
}

/// Which users to list.
pub(crate) struct Page {
    pub(crate) size: usize,
    pub(crate) after: Option<Username>,
}

/// What to change of a user: one of them at least.
pub(crate) struct Change {
    pub(crate) status: Option<Status>,
    pub(crate) scopes: Option<Scopes>,
}

/// Why a request asks for nothing that there is.
pub(crate) enum Unanswerable {
    /// It is malformed.
    Malformed(ErrorResponse),
    /// No user has such a name, or the route is none of these.
    NotFound,
}

impl From<ErrorResponse> for Unanswerable {
    fn from(response: ErrorResponse) -> Self {
        Self::Malformed(response)
    }
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Result<Self, Unanswerable> {
        // By its end: a custom domain may put something of its own in front of the path.
        let path = request.raw_http_path();
        let (before, last) = path.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
        let named = before.ends_with("/users").then(|| username(last)).transpose()?;
        match (request.method(), named) {
            (&Method::GET, Some(username)) => Ok(Self::Show(username)),
            (&Method::PATCH, Some(username)) => Ok(Self::Change(username, Change::of(request)?)),
            (&Method::DELETE, Some(username)) => Ok(Self::Delete(username)),
            (&Method::GET, None) if last == "users" => Ok(Self::List(Page::of(request)?)),
            _ => Err(Unanswerable::NotFound),
        }
    }
}

/// The username at the end of a path, where `@` and `+` may be percent-encoded.
fn username(segment: &str) -> Result<Username, Unanswerable> {
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| Unanswerable::NotFound)?;
    Username::parse(&name).map_err(|_| Unanswerable::NotFound)
}

impl Page {
    fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let size = match query(request, "limit")? {
            None => PAGE,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|size| (1..=LARGEST_PAGE).contains(size))
                .ok_or_else(|| malformed("limit", &format!("must be a whole number from 1 to {LARGEST_PAGE}")))?,
        };
        let after = query(request, "cursor")?.map(|cursor| read_cursor(&cursor));
        let after = after.map(|after| after.ok_or_else(|| malformed("cursor", &"is not one of a page's")));
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

fn query(request: &Request, name: &str) -> Result<Option<String>, ErrorResponse> {
    let values = request.query_string_parameters_ref().and_then(|query| query.all(name)).unwrap_or_default();
    match values.as_slice() {
        [] => Ok(None),
        [value] => Ok(Some((*value).to_owned())),
        _ => Err(malformed(name, &"is repeated")),
    }
}

impl Change {
    fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let mut fields = Fields::of(request)?;
        let status = fields.take("status")?.map(|status| status.parse());
        let status = status.transpose().map_err(|problem| malformed("status", &problem))?;
        let scopes = fields.take_words("scopes")?;
        let scopes = scopes.map(|words| Scopes::from_tokens(words.iter().map(|word| word.as_str())));
        let scopes = scopes.transpose().map_err(|problem| malformed("scopes", &problem))?;
        fields.end()?;
        if status.is_none() && scopes.is_none() {
            return Err(ErrorResponse::invalid_request("status and scopes are missing: send one of them, or both"));
        }
        Ok(Self { status, scopes })
    }
}

fn malformed(field: &str, problem: &dyn Display) -> ErrorResponse {
    ErrorResponse::invalid_request(format!("{field} {problem}"))
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
