//! Attacks on access tokens, in the process: each forged token goes to the verifier, and to the authorizer as a
//! request of either kind of gateway.
//!
//! `rfc8725` and `rfc9068` have a test for each section that asks something of us, named for it. The other files have
//! the published attacks on libraries for JWTs, by what they work on, and `mutants` has a million changes to good
//! tokens.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a test binary has no other crates to show things to")]

mod algorithms;
mod credentials;
mod embedded_keys;
mod encoding;
mod forge;
mod header;
mod json;
mod kid;
mod kinds;
mod look_alikes;
mod mutants;
mod parts;
mod rfc8725;
mod rfc9068;
mod signatures;
