//! Starts the token endpoint, and lists its routes.

use login::TokenEndpoint;
use shared::{
    BoxError, causes,
    lambda::{Function, Router},
    routes,
};
use tracing::warn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let endpoint = TokenEndpoint::of(&function)?;
    // Lambda gives full speed to the start; a failure is tried again by the first request, which makes two calls at once.
    let (keys, ()) = tokio::join!(endpoint.tokens.keys.keys(), endpoint.store.connect(2));
    if let Err(error) = keys {
        warn!(cause = causes(&error), "no signing keys yet");
    }
    let router = Router::new()
        .route(routes::LOGIN, |call| endpoint.grant(call))
        .route(routes::REVOKE, |call| endpoint.revoke(call));
    function.serve(router).await
}
