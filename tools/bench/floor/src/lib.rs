//! The least that a Lambda function and an AWS client can be: blocking sockets, and requests written by hand.
//!
//! Nothing here is fit for use: no timeouts, no retries, no errors for the caller. It is what the functions' cost is
//! measured against.

pub mod dynamo;
pub mod message;
pub mod runtime;
