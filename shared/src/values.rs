//! Values that are parsed once, where they come in, and the laws that hold between them: pure, with time and
//! randomness as arguments. Nothing here knows a table, a network, Lambda or the environment.

pub mod access_token;
pub mod bounded;
pub mod client;
pub mod cookie;
pub mod guessing;
pub mod issuer;
pub mod key;
pub mod key_setting;
pub mod origin;
pub mod password;
pub mod random;
pub mod refresh_token;
pub mod scope;
pub mod session;
pub mod session_limit;
pub mod time;
pub mod user;
pub mod username;
