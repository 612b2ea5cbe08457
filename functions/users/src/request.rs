//! The requests of the users' routes: for a page of the list, and for a change.

use shared::{
    lambda::{Call, body::Malformed, page::Page},
    scope::Scopes,
    use_cases::administer_users::UserChange,
    username::Username,
};

/// How many users a page has where the client doesn't say.
const PAGE: usize = 25;

/// A page of the list of users, and what the names of those to list begin with, in lower case; empty for all.
pub(crate) fn page(call: &Call) -> Result<(Page<Username>, String), Malformed> {
    let page = Page::of(call, PAGE, |name| Username::parse(name).ok())?;
    let prefix = call.query("prefix")?.unwrap_or_default().to_ascii_lowercase();
    // What no name begins with is a mistake.
    if !prefix.is_empty() && Username::parse(&prefix).is_err() {
        return Err(Malformed::field("prefix", "must be the beginning of a username"));
    }
    // The table takes no place to go on from outside of what it is asked for.
    if page.after.as_ref().is_some_and(|after| !after.folded().starts_with(&prefix)) {
        return Err(Malformed::field("cursor", "is not one of a page with this prefix"));
    }
    Ok((page, prefix))
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
