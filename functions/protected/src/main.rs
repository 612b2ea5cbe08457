//! `GET /protected`: greets the caller. Copy this function for your own handlers.

use serde_json::json;
use shared::{
    BoxError,
    lambda::{Answer, Call, Function, Problem, Router},
    routes,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let router = Router::new().route(routes::PROTECTED, async |call: Call| greet(&call));
    function.serve(router).await
}

/// Greets the caller, whom the router has seen to be signed in.
fn greet(call: &Call) -> Result<Answer, Problem> {
    let message = format!("Hello {}, you are authenticated!", call.caller()?.username);
    Ok(Answer::ok(&json!({ "message": message }), "greeted"))
}
