//! Secrets Manager on one machine: the five operations that functions and their rotation need, in its
//! JSON protocol, on an address that only this machine reaches.
//!
//! Differs from AWS: `RotateSecret` answers once the four steps have run, and with an error if one
//! fails; it takes up a rotation that was broken off, where AWS refuses and tries again by itself;
//! nothing rotates on a schedule. Signatures and policies are not checked.

mod operations;
mod secret;
mod vault;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use serde_json::json;
use tokio::runtime::Handle;

use self::secret::{Refusal, Secret};
use self::vault::Vault;
use crate::cloudformation::SecretSpec;
use crate::lambda::{Call, Function, Invocation};
use crate::server::Server;

pub(crate) use self::vault::Arns;

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
            let made = vault.add(&spec.name, &spec.arn, spec.value.clone());
            made.map_err(|source| SecretsError::Make { name: spec.name.clone(), source: source.into() })?;
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
        let router = Router::new().route("/", post(operations::answer)).with_state(Arc::clone(self));
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
