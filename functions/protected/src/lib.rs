//! `GET /protected`: greets the caller. Copy this function for your own handlers.

use lambda_http::{Body, Request, Response, http::StatusCode};
use serde_json::json;
use shared::{
    Identity,
    http::{self, ErrorResponse},
    log::Entry,
};

/// Answers one request, and says what the log is to say of it. Without the authorizer's context there is no
/// [`Identity`], and the answer is 401.
pub fn handle(request: &Request) -> (Response<Body>, Entry) {
    match Identity::of(request) {
        Ok(caller) => {
            let message = format!("Hello {}, you are authenticated!", caller.username);
            (http::json(StatusCode::OK, &json!({ "message": message })), Entry::new("greeted").by(&caller))
        }
        Err(unauthenticated) => (ErrorResponse::from(unauthenticated).into(), Entry::refused("unauthenticated")),
    }
}
