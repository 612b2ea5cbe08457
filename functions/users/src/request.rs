//! The requests of the users' routes: what a list begins with, and a change.

use shared::{
    lambda::{Call, body::Malformed},
    scope::Scopes,
    use_cases::administer_users::UserChange,
    username::Username,
};

/// What the names of the users to list begin with; empty for all.
pub(crate) fn prefix(call: &Call) -> Result<String, Malformed> {
    let prefix = call.query("prefix")?.unwrap_or_default();
    // What no name begins with is a mistake.
    if !prefix.is_empty() && Username::parse(&prefix).is_err() {
        return Err(Malformed::field("prefix", "must be the beginning of a username"));
    }
    Ok(prefix)
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
