//! What stands below the functions, against the embedded store and without HTTP of our own: no gateway, no process.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a test binary has no other crates to show things to")]

mod administer_users;
mod authenticate;
mod change_password;
mod end_sessions;
mod instance;
mod line;
mod refresh;
mod register;
mod revoke;
mod rotate_keys;
mod secret;
mod session_limit;
mod sign_in;
mod sign_in_in_flight;
mod store;
mod table;
mod waits;
