//! Drives the real function binaries over HTTP, behind the local gateway and on the embedded store.
//!
//! The files mirror the API: one for each route or function, and one for each promise that spans them.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a test binary has no other crates to show things to")]

mod admin;
mod administrators;
mod alarms;
mod api;
mod attacks;
mod authorizer;
mod cookies;
mod cors;
mod discovery;
mod events;
mod faults;
mod headers;
mod keys;
mod laptop;
mod layers;
mod log;
mod login;
mod many_sessions;
mod outage;
mod password;
mod privileges;
mod protected;
mod proxy;
mod refresh;
mod register;
mod revocation;
mod routes;
mod scopes;
mod sessions;
mod settings;
mod stuffing;
mod template;
mod throttle;
mod token;
mod trail;
mod users;
