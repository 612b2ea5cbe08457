//! What the functions have in common, in layers of which each imports only those above it in this list:
//!
//! 1. [`values`]: values that are parsed once, and the laws between them;
//! 2. [`store`]: the tables, one file for each kind of row;
//! 3. [`aws`]: the SDK's configuration, the signing secret, and the cache of keys;
//! 4. [`use_cases`]: sign in, refresh, register and the others, each once, whoever asks;
//! 5. [`lambda`]: the edge, where events become values and outcomes become answers, with [`routes`] beside it.
//!
//! A test (`tests/suite/layers.rs`) holds the files to this order. The modules of [`values`] are also found at the top.

#[cfg(feature = "aws")]
pub mod aws;
mod error;
pub mod lambda;
pub mod routes;
#[cfg(feature = "aws")]
pub mod store;
#[cfg(feature = "aws")]
pub mod use_cases;
pub mod values;

pub use error::{BoxError, causes};
pub use values::{
    access_token, bounded, client, cookie, guessing, issuer, key, key_setting, origin, password, random, refresh_token,
    scope, session, session_limit, time, user, username,
};
