//! The operations of Secrets Manager that functions and their rotation need, in its JSON protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::secret::{Refusal, Value};
use super::{RotateError, Secrets};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    #[serde(default)]
    version_stages: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeSecret {
    secret_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateSecretVersionStage {
    secret_id: String,
    version_stage: String,
    move_to_version_id: Option<String>,
    remove_from_version_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RotateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    rotate_immediately: Option<bool>,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<Json>,
}

/// Answers a call.
pub(super) async fn answer(State(secrets): State<Arc<Secrets>>, headers: HeaderMap, body: Bytes) -> Response {
    let (status, answer) = match secrets.call(&headers, &body).await {
        Ok(answer) => (StatusCode::OK, answer),
        Err(refusal) => {
            let status = match refusal.kind {
                "InternalServiceError" => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            (status, json!({"__type": refusal.kind, "Message": refusal.message}))
        }
    };
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response()
}

impl Secrets {
    async fn call(self: &Arc<Self>, headers: &HeaderMap, body: &[u8]) -> Result<Json, Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // A page in a browser may have its own name resolve to this machine, but can't send another
        // `Host` than that name.
        let host = header(HOST.as_str());
        if !["127.0.0.1", "localhost"].contains(&host.split(':').next().unwrap_or_default()) {
            return Err(Refusal::new("AccessDeniedException", "this is not for other hosts"));
        }
        match header("x-amz-target").strip_prefix("secretsmanager.").unwrap_or_default() {
            "GetSecretValue" => self.get_secret_value(&read(body)?),
            "PutSecretValue" => self.put_secret_value(read(body)?),
            "DescribeSecret" => self.describe_secret(&read(body)?),
            "UpdateSecretVersionStage" => self.update_secret_version_stage(&read(body)?),
            "RotateSecret" => self.rotate_secret(&read(body)?).await,
            _ => Err(Refusal::new("UnknownOperationException", "this operation is not emulated")),
        }
    }

    fn get_secret_value(&self, request: &GetSecretValue) -> Result<Json, Refusal> {
        self.vault.read(&request.secret_id, |secret| {
            let (id, version, value) = secret.value(request.version_id.as_deref(), request.version_stage.as_deref())?;
            let (member, text) = match value {
                Value::String(text) => ("SecretString", text),
                Value::Binary(text) => ("SecretBinary", text),
            };
            Ok(json!({
                "ARN": secret.arn,
                "Name": secret.name,
                "VersionId": id,
                "VersionStages": version.labels,
                "CreatedDate": version.created,
                member: text,
            }))
        })
    }

    fn put_secret_value(&self, request: PutSecretValue) -> Result<Json, Refusal> {
        let value = match (request.secret_string, request.secret_binary) {
            (Some(text), None) => Value::String(text),
            (None, Some(text)) => Value::Binary(text),
            _ => return Err(Refusal::request("You must provide either SecretString or SecretBinary.")),
        };
        let token = request.client_request_token.unwrap_or_else(crate::random::uuid);
        self.vault.change(&request.secret_id, |secret| {
            secret.put(&token, value, &request.version_stages)?;
            let labels = secret.versions().find(|(id, _)| *id == token).map(|(_, version)| &version.labels);
            Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": token, "VersionStages": labels}))
        })
    }

    fn describe_secret(&self, request: &DescribeSecret) -> Result<Json, Refusal> {
        self.vault.read(&request.secret_id, |secret| {
            let labels: BTreeMap<_, _> = secret.versions().map(|(id, version)| (id, &version.labels)).collect();
            let mut answer = json!({
                "ARN": secret.arn,
                "Name": secret.name,
                "CreatedDate": secret.created,
                "RotationEnabled": false,
                "VersionIdsToStages": labels,
            });
            if let Some(function) = self.rotations.get(&secret.arn) {
                answer["RotationEnabled"] = true.into();
                answer["RotationLambdaARN"] = function.arn().into();
            }
            Ok(answer)
        })
    }

    fn update_secret_version_stage(&self, request: &UpdateSecretVersionStage) -> Result<Json, Refusal> {
        let (to, from) = (request.move_to_version_id.as_deref(), request.remove_from_version_id.as_deref());
        self.vault.change(&request.secret_id, |secret| {
            secret.move_label(&request.version_stage, to, from)?;
            Ok(json!({"ARN": secret.arn, "Name": secret.name}))
        })
    }

    async fn rotate_secret(self: &Arc<Self>, request: &RotateSecret) -> Result<Json, Refusal> {
        if request.rotation_lambda_arn.is_some()
            || request.rotation_rules.is_some()
            || request.rotate_immediately == Some(false)
        {
            return Err(Refusal::request("here the template alone says how a secret is rotated"));
        }
        let (arn, name) =
            self.vault.read(&request.secret_id, |secret| Ok((secret.arn.clone(), secret.name.clone())))?;
        let token = request.client_request_token.clone().unwrap_or_else(crate::random::uuid);
        match self.rotate(&arn, &token).await {
            Ok(version) => Ok(json!({"ARN": arn, "Name": name, "VersionId": version})),
            Err(RotateError::Record { source }) => match source.downcast::<Refusal>() {
                Ok(refusal) => Err(*refusal),
                Err(other) => Err(Refusal::request(other.to_string())),
            },
            Err(RotateError::NoSchedule) => {
                Err(Refusal::request("No Lambda rotation function ARN is associated with this secret."))
            }
            // Not an internal error, which clients would repeat by themselves.
            Err(error) => Err(Refusal::request(error.to_string())),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::new("ValidationException", error.to_string()))
}
