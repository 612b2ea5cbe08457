//! Rotates the signing keys, as Secrets Manager calls for it:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>

use lambda_runtime::Diagnostic;
use serde::Deserialize;
use shared::{
    BoxError,
    aws::secrets::SigningSecret,
    causes,
    lambda::{CallRecord, Function, settings},
    use_cases::rotate_keys::{Rotation, Step},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let function = Function::start(env!("CARGO_PKG_NAME"))?;
    let sdk = function.sdk()?;
    let rotation = Rotation {
        secret: SigningSecret::new(&sdk),
        store: function.store(&sdk)?,
        algorithm: function.setting(&settings::SIGNING_ALGORITHM)?,
        lifetime: function.setting(&settings::ACCESS_TOKEN_LIFETIME)?.into(),
        session_lifetime: function.setting(&settings::SESSION_LIFETIME)?.into(),
        publish_ahead: function.setting(&settings::KEY_PUBLISH_AHEAD)?.into(),
        clock: function.clock(),
        random: function.random(),
    };
    function.run_events(|event: Event| Box::pin(rotate(&rotation, event))).await
}

/// One call of Secrets Manager.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    step: EventStep,
    /// The secret's ARN.
    secret_id: String,
    /// The version that is to become current.
    client_request_token: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum EventStep {
    #[serde(rename = "createSecret")]
    Create,
    #[serde(rename = "setSecret")]
    Set,
    #[serde(rename = "testSecret")]
    Test,
    #[serde(rename = "finishSecret")]
    Finish,
}

impl From<EventStep> for Step {
    fn from(step: EventStep) -> Self {
        match step {
            EventStep::Create => Self::Create,
            EventStep::Set => Self::Set,
            EventStep::Test => Self::Test,
            EventStep::Finish => Self::Finish,
        }
    }
}

/// A step that failed, and why: Secrets Manager tries again later.
#[derive(Debug)]
struct RotationError(String);

impl From<RotationError> for Diagnostic {
    fn from(error: RotationError) -> Self {
        Self { error_type: "RotationError".to_owned(), error_message: error.0 }
    }
}

/// Takes one step, and records it for the log.
async fn rotate(rotation: &Rotation, event: Event) -> (Result<(), RotationError>, CallRecord) {
    let step = format!("{:?}", event.step);
    let (answer, record) = match rotation.take(event.step.into(), &event.secret_id, &event.client_request_token).await {
        Ok(outcome) => (Ok(()), CallRecord::new(outcome)),
        Err(cause) => {
            let error = RotationError(format!("{step} failed: {}", causes(cause.as_ref())));
            (Err(error), CallRecord::failed("failed", cause.as_ref()).security_event("key_rotation_failed"))
        }
    };
    (answer, record.with("step", &step).with("version", &event.client_request_token))
}
