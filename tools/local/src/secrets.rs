//! Secrets Manager on one machine: the five operations that functions and their rotation need, in its
//! JSON protocol, on an address that only this machine reaches.
//!
//! Differs from AWS: `RotateSecret` answers once the four steps have run, and with an error if one
//! fails; it takes up a rotation that was broken off, where AWS refuses and tries again by itself;
//! nothing rotates on a schedule. Signatures and policies are not checked.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tokio::runtime::Handle;

use crate::function::{Call, Function, Invocation};
use crate::server::Server;
use crate::template::{FirstValue, SecretSpec};
use crate::vault::{Refusal, Secret, Value, Vault};

/// The steps of a rotation, in their order.
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Where the secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretsLocation {
    /// In memory; they are gone with the stack.
    Memory,
    /// In a file that only its owner can read. It and its folder are made if they aren't there.
    File(PathBuf),
}

/// The secrets couldn't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Another program listens there.
    #[error("the secrets can't be served on {address}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it can't.
        source: io::Error,
    },
    /// The secrets' file can't be read.
    #[error("the secrets can't be read from {path}")]
    Open {
        /// The file, or where it would be.
        path: PathBuf,
        /// Why it can't.
        source: io::Error,
    },
    /// A secret of the template can't be made.
    #[error("the secret {name} can't be made")]
    Make {
        /// The secret's name.
        name: String,
        /// Why it can't.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A secret couldn't be rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The template has no rotation schedule for it.
    #[error("the template has no rotation schedule for this secret")]
    NoSchedule,
    /// The secret doesn't take a new version, or can't be kept.
    #[error("the rotation can't be recorded")]
    Record {
        /// Why it can't.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// One of the four steps failed. To rotate again takes this rotation up, from its first step.
    #[error("the rotation failed at {step}: {reason}")]
    Step {
        /// The step's name.
        step: &'static str,
        /// What the function said, or what became of it.
        reason: String,
    },
    /// The stack has ended on the way.
    #[error("the rotation was interrupted")]
    Interrupted,
}

/// Opens the secrets.
///
/// # Errors
/// The file can't be read, or its folder can't be made.
pub(crate) fn open(location: &SecretsLocation) -> Result<Vault, SecretsError> {
    match location {
        SecretsLocation::Memory => Ok(Vault::in_memory()),
        SecretsLocation::File(path) => {
            Vault::open(path).map_err(|source| SecretsError::Open { path: path.clone(), source })
        }
    }
}

/// Takes a port for the secrets, on the loopback interface whatever the others listen on.
///
/// # Errors
/// Another program listens there.
pub(crate) fn listen(port: u16) -> Result<(TcpListener, SocketAddr), SecretsError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listen = |source| SecretsError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    Ok((listener, address))
}

/// The secrets, and the functions that rotate them.
pub(crate) struct Secrets {
    vault: Vault,
    /// By the secret's ARN.
    rotations: BTreeMap<String, Arc<Function>>,
    /// One rotation at a time.
    rotating: tokio::sync::Mutex<()>,
    /// The stack's own: what a rotation starts outlives the server.
    runtime: Handle,
}

impl Secrets {
    /// Makes the template's secrets where there are none yet.
    ///
    /// # Errors
    /// A secret can't be made or kept.
    pub(crate) fn new(
        vault: Vault,
        specs: &[SecretSpec],
        functions: &BTreeMap<String, Arc<Function>>,
    ) -> Result<Self, SecretsError> {
        for spec in specs.iter().filter(|spec| !vault.has(&spec.name)) {
            make(&vault, spec).map_err(|source| SecretsError::Make { name: spec.name.clone(), source })?;
        }
        let rotations = specs
            .iter()
            .filter_map(|spec| Some((spec.arn.clone(), Arc::clone(functions.get(spec.rotation.as_ref()?)?))))
            .collect();
        Ok(Self { vault, rotations, rotating: tokio::sync::Mutex::default(), runtime: Handle::current() })
    }

    /// Serves them.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub(crate) fn serve(self: &Arc<Self>, listener: TcpListener) -> io::Result<Server> {
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(self));
        Server::start("secrets", listener, move |listener| {
            let router = router.clone();
            async move {
                // It returns only with its runtime.
                let _ = axum::serve(listener, router).await;
            }
        })
    }

    /// The ARN of the secret that has a rotation schedule, of the first one if there are more.
    pub(crate) fn rotated(&self) -> Option<&str> {
        self.rotations.keys().next().map(String::as_str)
    }

    /// Rotates the secret of this ARN into a version of the id `token`, or takes up a rotation that was
    /// broken off; returns the version. The rotation runs to its end even if the caller stops waiting.
    pub(crate) async fn rotate(self: &Arc<Self>, arn: &str, token: &str) -> Result<String, RotateError> {
        let (secrets, arn, token) = (Arc::clone(self), arn.to_owned(), token.to_owned());
        let rotation = self.runtime.spawn(async move { secrets.run(&arn, &token).await });
        rotation.await.unwrap_or(Err(RotateError::Interrupted))
    }

    async fn run(&self, arn: &str, token: &str) -> Result<String, RotateError> {
        let function = self.rotations.get(arn).ok_or(RotateError::NoSchedule)?;
        let _alone = self.rotating.lock().await;
        let record = |refusal: Refusal| RotateError::Record { source: refusal.into() };
        let announced = self.vault.change(arn, |secret| secret.announce(token)).map_err(record)?;
        let Some(version) = announced else { return Ok(token.to_owned()) };
        for step in STEPS {
            let event = json!({"Step": step, "SecretId": arn, "ClientRequestToken": version});
            let invocation = function.invoke(Call::new(event.to_string().into())).await;
            if let Some(reason) = failure(invocation) {
                return Err(RotateError::Step { step, reason });
            }
        }
        let finish = |secret: &mut Secret| {
            secret.finish();
            Ok(())
        };
        self.vault.change(arn, finish).map_err(record)?;
        Ok(version)
    }
}

fn make(vault: &Vault, spec: &SecretSpec) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let value = match &spec.value {
        FirstValue::Nothing => None,
        FirstValue::Given(value) => Some(value.clone()),
        FirstValue::Generated { password, inside: None } => Some(password.generate()?),
        FirstValue::Generated { password, inside: Some((object, key)) } => {
            let mut object = object.clone();
            object.insert(key.clone(), password.generate()?.into());
            Some(Json::Object(object).to_string())
        }
    };
    Ok(vault.add(&spec.name, &spec.arn, value)?)
}

fn failure(invocation: Invocation) -> Option<String> {
    match invocation {
        Invocation::Response(_) => None,
        Invocation::Error(error) => Some(format!("{}: {}", error.error_type, error.error_message)),
        Invocation::TimedOut => Some("the function took longer than its timeout".to_owned()),
        Invocation::Crashed(reason) => Some(reason),
        Invocation::Throttled => Some("every instance of the function is busy".to_owned()),
        Invocation::TooLarge | Invocation::NotFound => Some("the function doesn't take the call".to_owned()),
    }
}

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

async fn answer(State(secrets): State<Arc<Secrets>>, headers: HeaderMap, body: Bytes) -> Response {
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
            _ => Err(Refusal::new("UnknownOperationException", "this operation is not served locally")),
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
        let token = request.client_request_token.unwrap_or_else(crate::random_uuid);
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
        let token = request.client_request_token.clone().unwrap_or_else(crate::random_uuid);
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
