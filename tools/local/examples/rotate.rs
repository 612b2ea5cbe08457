//! A rotation function for the tests of the secrets: it counts up. It fails at the step that the value
//! in use names, or at the end of all.

use std::io::Write;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use shared::aws::sdk::sdk_config;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "main passes the environment in")]
async fn main() -> Result<(), Error> {
    let client = Client::new(&sdk_config(|name| std::env::var(name).ok())?);
    let client = &client;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move { rotate(client, &event.payload).await }))
        .await
}

async fn rotate(client: &Client, event: &Value) -> Result<(), Error> {
    let member = |name: &str| event[name].as_str().ok_or("the event lacks a member");
    let (step, secret, token) = (member("Step")?, member("SecretId")?, member("ClientRequestToken")?);
    writeln!(std::io::stdout(), "{step} {token}")?;
    let described = client.describe_secret().secret_id(secret).send().await?;
    let versions = described.version_ids_to_stages.unwrap_or_default();
    let has = |id: &str, label: &str| versions.get(id).is_some_and(|labels| labels.iter().any(|one| one == label));
    if !has(token, "AWSPENDING") {
        return Err("the version isn't announced".into());
    }
    let current = client.get_secret_value().secret_id(secret).send().await?;
    let value: Value = serde_json::from_str(current.secret_string().unwrap_or_default())?;
    if value["fail"] == step {
        return Err("told to fail".into());
    }
    let pending =
        client.get_secret_value().secret_id(secret).version_id(token).version_stage("AWSPENDING").send().await;
    match step {
        "createSecret" => match pending {
            Ok(_) => {}
            Err(error)
                if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                let next = json!({"turn": value["turn"].as_u64().unwrap_or_default() + 1}).to_string();
                let put = client.put_secret_value().secret_id(secret).client_request_token(token);
                put.secret_string(next).version_stages("AWSPENDING").send().await?;
            }
            Err(error) => return Err(error.into()),
        },
        "finishSecret" => {
            let from = current.version_id().unwrap_or_default();
            let update = client.update_secret_version_stage().secret_id(secret).version_stage("AWSCURRENT");
            update.move_to_version_id(token).remove_from_version_id(from).send().await?;
            if value["fail"] == "the end" {
                return Err("told to fail".into());
            }
        }
        _ => {
            pending?;
        }
    }
    Ok(())
}
