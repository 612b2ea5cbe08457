//! A function of `lambda_runtime` that does nothing: what the runtime costs by itself, and no function on it less.

use std::convert::Infallible;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Box<RawValue>>| Ok::<_, Infallible>(()))).await
}
