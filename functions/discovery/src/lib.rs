//! `GET /`: what this API is and which routes it has; and the answers to preflight requests of all routes.

use lambda_http::{
    Body, Request, Response,
    http::{Method, StatusCode},
};
use serde_json::json;
use shared::http::{self, Cors};

/// Answers one request.
#[must_use]
pub fn handle(request: &Request) -> Response<Body> {
    if request.method() == Method::OPTIONS {
        return Cors::preflight();
    }
    http::json(
        StatusCode::OK,
        &json!({
            "name": "Gatehouse",
            "description": "JWT authentication for AWS Lambda",
            "version": env!("CARGO_PKG_VERSION"),
            "routes": [
                route("GET", "/", "This page"),
                route("POST", "/login", "Takes username and password, as a form or as JSON; gives an access token"),
                route("GET", "/protected", "Greets the holder of an access token"),
            ],
        }),
    )
}

fn route(method: &str, path: &str, description: &str) -> serde_json::Value {
    json!({ "method": method, "path": path, "description": description })
}
