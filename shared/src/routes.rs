//! The API's routes, each stated once. A function's `main.rs` says which of them it serves and by what; the welcome page
//! is made of this table, and tests compare template.yaml, the scopes of the authorizer and the router of
//! `cargo lambda watch` with it. A route of your own is one more line.

/// A route of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path as the template writes it, with parameters in braces: `/sessions/{id}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it does, in one sentence for people.
    pub summary: &'static str,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// Whoever sends a valid access token.
    SignedIn,
    /// Whoever sends a valid access token with this scope or, of several with single spaces between them, with all.
    Scope(&'static str),
}

impl Route {
    /// The scopes that the caller's token needs, with single spaces between them, if any.
    #[must_use]
    pub fn scope(&self) -> Option<&'static str> {
        match self.access {
            Access::Scope(scope) => Some(scope),
            Access::Anyone | Access::SignedIn => None,
        }
    }
}

macro_rules! routes {
    ($($name:ident: $method:ident $path:literal, $access:expr, $summary:literal;)*) => {
        $(
            #[doc = concat!("`", stringify!($method), " ", $path, "`: ", $summary)]
            pub const $name: Route =
                Route { method: stringify!($method), path: $path, access: $access, summary: $summary };
        )*

        /// All of them.
        pub const ALL: &[Route] = &[$($name),*];
    };
}

use Access::{Anyone, Scope, SignedIn};

routes! {
    WELCOME: GET "/", Anyone, "This page";
    LOGIN: POST "/login", Anyone, "Takes username and password, or a refresh token, as a form or as JSON; gives tokens";
    REVOKE: POST "/revoke", Anyone, "Ends the session of a token";
    LOGOUT: POST "/logout", SignedIn, "Ends the caller's session, the others, or all";
    LIST_SESSIONS: GET "/sessions", SignedIn, "Lists the caller's sessions";
    END_SESSION: DELETE "/sessions/{id}", SignedIn, "Ends one of the caller's sessions";
    REGISTER: POST "/register", Anyone, "Makes an account of username and password, where registration is on";
    CHANGE_PASSWORD: POST "/password", SignedIn, "Gives the caller's account another password";
    LIST_USERS: GET "/users", Scope("users:read"), "Lists users, page by page";
    SHOW_USER: GET "/users/{username}", Scope("users:read"), "Shows a user";
    CHANGE_USER: PATCH "/users/{username}", Scope("users:write"), "Sets a user's status or scopes";
    DELETE_USER: DELETE "/users/{username}", Scope("users:write"), "Deletes a user";
    PROTECTED: GET "/protected", SignedIn, "Greets the holder of an access token";
    KEY_SET: GET "/.well-known/jwks.json", Anyone, "The public keys that access tokens are verified with";
    SERVER_METADATA: GET "/.well-known/oauth-authorization-server", Anyone, "What OAuth clients need to know of this API";
    OPENID_CONFIGURATION: GET "/.well-known/openid-configuration", Anyone, "The same, where OpenID Connect looks for it";
    // Routes of your own:
}
