//! What a client asks the token endpoint for.

use lambda_http::{Request, http::StatusCode};
use shared::{fields::Fields, http::ErrorResponse, password::Password, scope::Scopes, username::Username};

/// The `client_id` of tokens whose request named none.
const FIRST_PARTY: &str = "gatehouse";
/// The longest `client_id`, in bytes: it has to fit into a token of 4 KiB.
const CLIENT_ID_BYTES: usize = 128;

/// A request of the grant `password` (RFC 6749 section 4.3.2).
pub(crate) struct PasswordRequest {
    pub(crate) username: Username,
    pub(crate) password: Password,
    /// What the token shall be able to do; all that the user may, where the request names nothing.
    pub(crate) scopes: Option<Scopes>,
    /// Named by the client and not verified: our clients have no credentials of their own.
    pub(crate) client_id: String,
}

impl PasswordRequest {
    /// Reads a token request.
    ///
    /// # Errors
    /// 400, naming the field that is missing, repeated or malformed.
    pub(crate) fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let mut fields = Fields::of(request)?;
        if fields.take("grant_type")?.is_some_and(|grant| *grant != "password") {
            return Err(ErrorResponse::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "grant_type must be password",
            ));
        }
        let malformed =
            |field: &str, problem: &dyn std::fmt::Display| ErrorResponse::invalid_request(format!("{field} {problem}"));
        let username =
            Username::parse(&fields.require("username")?).map_err(|problem| malformed("username", &problem))?;
        let password = Password::new(fields.require("password")?).map_err(|problem| malformed("password", &problem))?;
        let scopes = fields.take("scope")?.map(|scope| Scopes::parse(&scope)).transpose().map_err(|problem| {
            ErrorResponse::new(StatusCode::BAD_REQUEST, "invalid_scope", format!("scope {problem}"))
        })?;
        let client_id = fields.take("client_id")?.map_or_else(|| FIRST_PARTY.to_owned(), |id| id.to_string());
        // `VSCHAR` of RFC 6749 appendix A.1.
        if client_id.len() > CLIENT_ID_BYTES || !client_id.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
            return Err(malformed("client_id", &"must be at most 128 characters of printable ASCII"));
        }
        Ok(Self { username, password, scopes, client_id })
    }
}
