//! A function for the gateway's tests: it answers with the event it got, or does what the event
//! asks for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move { answer(&event.payload) })).await
}

fn answer(event: &Value) -> Result<Value, Error> {
    writeln!(std::io::stdout(), "asked")?;
    if event["type"] == "REQUEST" {
        return authorize(event);
    }
    let order = event["headers"]["X-Do"].as_str().or(event["do"].as_str()).unwrap_or_default();
    let (verb, argument) = order.split_once(' ').unwrap_or((order, ""));
    match verb {
        "crash" => std::process::exit(3),
        "fail" => return Err("boom".into()),
        "garbage" => return Ok(json!("garbage")),
        "return" => return Ok(serde_json::from_str(event["body"].as_str().unwrap_or_default())?),
        "sleep" => std::thread::sleep(Duration::from_millis(argument.parse()?)),
        "swell" => return Ok(json!({"statusCode": 200, "body": "x".repeat(argument.parse()?)})),
        "wait" => wait(argument)?,
        _ => {}
    }
    #[expect(clippy::disallowed_methods, reason = "the environment is what a test wants to see")]
    let environment: serde_json::Map<String, Value> =
        std::env::vars().map(|(name, value)| (name, value.into())).collect();
    let body = json!({"event": event, "environment": environment, "process": std::process::id()});
    Ok(json!({"statusCode": 200, "body": body.to_string()}))
}

/// Tells a test that the call is being handled, and returns when the test says so by hanging up.
fn wait(address: &str) -> Result<(), Error> {
    let mut connection = TcpStream::connect(address)?;
    connection.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn authorize(event: &Value) -> Result<Value, Error> {
    let policy = |effect: &str, resource: &str| {
        let statement = json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource});
        json!({
            "principalId": "ann",
            "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            "context": {"level": 3, "admin": true, "process": std::process::id(), "event": event.to_string()},
        })
    };
    let mut answer = policy("Allow", "*");
    match event["headers"]["Authorization"].as_str().unwrap_or_default() {
        "allow" => {}
        "allow echo" => answer = policy("Allow", "arn:aws:execute-api:*:*:*/*/GET/guarded/echo"),
        "deny" => answer = policy("Deny", "*"),
        "fail" => return Err("the keys can't be read".into()),
        "crash" => std::process::exit(3),
        "nobody" => answer["principalId"] = Value::Null,
        "no policy" => answer["policyDocument"] = Value::Null,
        "bad policy" => answer["policyDocument"] = json!({"Statement": [{"Effect": "Perhaps"}]}),
        "nested" => answer["context"]["inner"] = json!({"a": 1}),
        _ => return Err("Unauthorized".into()),
    }
    Ok(answer)
}
