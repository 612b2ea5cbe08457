//! The requests of the token endpoint, read from their bodies and cookies.

use lambda_http::http::StatusCode;
use shared::{
    cookie,
    lambda::{
        Call, ErrorResponse, Problem,
        body::{Fields, Malformed},
    },
    password::Password,
    scope::{InvalidScope, Scopes},
    use_cases::{refresh::RefreshRequest, sign_in::SignInRequest},
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
    Password(PasswordGrant),
    Refresh(RefreshGrant),
}

/// A request of the grant `password` (RFC 6749 section 4.3.2).
pub(crate) struct PasswordGrant(pub(crate) SignInRequest);

/// A request of the grant `refresh_token` (RFC 6749 section 6).
pub(crate) struct RefreshGrant {
    pub(crate) request: RefreshRequest,
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
    pub(crate) fn of(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        match fields.take("grant_type")?.as_deref().map(String::as_str) {
            None | Some("password") => PasswordGrant::of(&mut fields).map(Self::Password),
            Some("refresh_token") => RefreshGrant::of(&mut fields, call).map(Self::Refresh),
            Some(_) => {
                Err(malformed("unsupported_grant_type", "grant_type must be password or refresh_token".to_owned()))
            }
        }
    }
}

impl PasswordGrant {
    fn of(fields: &mut Fields) -> Result<Self, Problem> {
        let username = fields.require_parsed("username", Username::parse)?;
        let password =
            Password::new(fields.require("password")?).map_err(|problem| Malformed::field("password", &problem))?;
        let scopes = scopes(fields)?;
        let client_id = fields.take("client_id")?.map_or_else(|| FIRST_PARTY.to_owned(), |id| id.to_string());
        // `VSCHAR` of RFC 6749 appendix A.1.
        if client_id.len() > CLIENT_ID_BYTES || !client_id.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
            return Err(Malformed::field("client_id", "must be at most 128 characters of printable ASCII").into());
        }
        Ok(Self(SignInRequest { username, password, scopes, client_id, in_cookies: fields.take_flag("cookie")? }))
    }
}

impl RefreshGrant {
    fn of(fields: &mut Fields, call: &Call) -> Result<Self, Problem> {
        let in_field = fields.take("refresh_token")?;
        let in_cookie = call.cookie(cookie::REFRESH)?;
        let scopes = scopes(fields)?;
        if scopes.as_ref().is_some_and(|scopes| scopes.iter().count() > SCOPES_OF_A_REFRESH) {
            return Err(invalid_scope(&format!("must not name more than {SCOPES_OF_A_REFRESH} scopes")));
        }
        let asks_for_cookies = fields.take_flag("cookie")?;
        let (token, from_cookie) = match (in_field, in_cookie) {
            (None, None) => return Err(Malformed::field("refresh_token", "is missing").into()),
            (Some(field), Some(cookie)) if *field != cookie => {
                return Err(Malformed::field("refresh_token", "is not the one in the cookie").into());
            }
            (Some(token), _) => (token, false),
            (None, Some(token)) => (Zeroizing::new(token.to_owned()), true),
        };
        Ok(Self { request: RefreshRequest { token, scopes }, from_cookie, in_cookies: from_cookie || asks_for_cookies })
    }
}

fn scopes(fields: &mut Fields) -> Result<Option<Scopes>, Problem> {
    let scopes = fields.take("scope")?.map(|scope| Scopes::parse(&scope));
    scopes.transpose().map_err(|problem: InvalidScope| invalid_scope(&problem))
}

fn invalid_scope(problem: &dyn std::fmt::Display) -> Problem {
    malformed("invalid_scope", format!("scope {problem}"))
}

fn malformed(error: &'static str, description: String) -> Problem {
    Problem::refused(ErrorResponse::new(StatusCode::BAD_REQUEST, error, description), "malformed")
}
