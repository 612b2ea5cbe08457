//! What the functions have in common.
//!
//! The domain comes first: [`user`], [`username`], [`password`], [`scope`], [`session`], [`issuer`], [`origin`],
//! [`cookie`], [`key`], [`token`], [`refresh_token`], [`throttle`] and [`time`] know nothing of Lambda, AWS, HTTP or
//! the environment, and take time and randomness as
//! arguments. The adapters [`store`], [`key_source`], [`aws`], [`http`], [`fields`], [`identity`], [`settings`]
//! and [`log`] connect them to the world, and import the domain, never the other way round.

#[cfg(feature = "aws")]
pub mod aws;
pub mod cookie;
pub mod fields;
pub mod http;
pub mod identity;
pub mod issuer;
pub mod key;
#[cfg(feature = "aws")]
pub mod key_source;
pub mod log;
pub mod origin;
pub mod password;
pub mod refresh_token;
pub mod scope;
pub mod session;
pub mod settings;
#[cfg(feature = "aws")]
pub mod store;
pub mod throttle;
pub mod time;
pub mod token;
pub mod user;
pub mod username;

pub use identity::Identity;

/// The cause of a failure, of any type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
