//! What a client asks the token endpoint for.

use std::fmt::Display;

use lambda_http::{Request, http::StatusCode};
use shared::{
    cookie,
    fields::Fields,
    http::{self, ErrorResponse},
    password::Password,
    scope::Scopes,
    username::Username,
};
use zeroize::Zeroizing;

/// The `client_id` of tokens whose request named none.
const FIRST_PARTY: &str = "gatehouse";
/// The longest `client_id`, in bytes: it has to fit into a token of 4 KiB.
const CLIENT_ID_BYTES: usize = 128;
/// The most scopes that a refresh may name. The session's row is asked for each in a condition, and `DynamoDB` takes
/// one of at most 4 KB.
const SCOPES_OF_A_REFRESH: usize = 100;

/// A request for tokens.
pub(crate) enum TokenRequest {
    Password(PasswordRequest),
    Refresh(RefreshRequest),
}

/// A request of the grant `password` (RFC 6749 section 4.3.2).
pub(crate) struct PasswordRequest {
    pub(crate) username: Username,
    pub(crate) password: Password,
    /// What the token shall be able to do; all that the user may, where the request names nothing.
    pub(crate) scopes: Option<Scopes>,
    /// Named by the client and not verified: our clients have no credentials of their own.
    pub(crate) client_id: String,
    /// Whether the tokens shall go into cookies.
    pub(crate) in_cookies: bool,
}

/// A request of the grant `refresh_token` (RFC 6749 section 6).
pub(crate) struct RefreshRequest {
    pub(crate) token: Zeroizing<String>,
    /// What the access token shall be able to do; all that the session may, where the request names nothing.
    pub(crate) scopes: Option<Scopes>,
    /// Whether the token came in a cookie, which a browser sends whoever made it do so.
    pub(crate) from_cookie: bool,
    /// Whether the tokens shall go into cookies. Those that come from one always do: a script must not get them out.
    pub(crate) in_cookies: bool,
}

impl TokenRequest {
    /// Reads a token request.
    ///
    /// # Errors
    /// 400, naming the field that is missing, repeated or malformed.
    pub(crate) fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let mut fields = Fields::of(request)?;
        match fields.take("grant_type")?.as_deref().map(String::as_str) {
            None | Some("password") => PasswordRequest::of(&mut fields).map(Self::Password),
            Some("refresh_token") => RefreshRequest::of(&mut fields, request).map(Self::Refresh),
            Some(_) => Err(ErrorResponse::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "grant_type must be password or refresh_token",
            )),
        }
    }
}

impl PasswordRequest {
    fn of(fields: &mut Fields) -> Result<Self, ErrorResponse> {
        let username =
            Username::parse(&fields.require("username")?).map_err(|problem| malformed("username", &problem))?;
        let password = Password::new(fields.require("password")?).map_err(|problem| malformed("password", &problem))?;
        let scopes = scopes(fields)?;
        let client_id = fields.take("client_id")?.map_or_else(|| FIRST_PARTY.to_owned(), |id| id.to_string());
        // `VSCHAR` of RFC 6749 appendix A.1.
        if client_id.len() > CLIENT_ID_BYTES || !client_id.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
            return Err(malformed("client_id", &"must be at most 128 characters of printable ASCII"));
        }
        Ok(Self { username, password, scopes, client_id, in_cookies: fields.take_flag("cookie")? })
    }
}

impl RefreshRequest {
    fn of(fields: &mut Fields, request: &Request) -> Result<Self, ErrorResponse> {
        let in_field = fields.take("refresh_token")?;
        let in_cookie = http::cookie(request, cookie::REFRESH).map_err(|repeated| malformed("Cookie", &repeated))?;
        let scopes = scopes(fields)?;
        if scopes.as_ref().is_some_and(|scopes| scopes.iter().count() > SCOPES_OF_A_REFRESH) {
            return Err(invalid_scope(&format!("must not name more than {SCOPES_OF_A_REFRESH} scopes")));
        }
        let asks_for_cookies = fields.take_flag("cookie")?;
        let (token, from_cookie) = match (in_field, in_cookie) {
            (None, None) => return Err(malformed("refresh_token", &"is missing")),
            (Some(field), Some(cookie)) if *field != cookie => {
                return Err(malformed("refresh_token", &"is not the one in the cookie"));
            }
            (Some(token), _) => (token, false),
            (None, Some(token)) => (Zeroizing::new(token.to_owned()), true),
        };
        Ok(Self { token, scopes, from_cookie, in_cookies: from_cookie || asks_for_cookies })
    }
}

fn scopes(fields: &mut Fields) -> Result<Option<Scopes>, ErrorResponse> {
    let scopes = fields.take("scope")?.map(|scope| Scopes::parse(&scope));
    scopes.transpose().map_err(|problem| invalid_scope(&problem))
}

fn invalid_scope(problem: &dyn Display) -> ErrorResponse {
    ErrorResponse::new(StatusCode::BAD_REQUEST, "invalid_scope", format!("scope {problem}"))
}

fn malformed(field: &str, problem: &dyn Display) -> ErrorResponse {
    ErrorResponse::invalid_request(format!("{field} {problem}"))
}
