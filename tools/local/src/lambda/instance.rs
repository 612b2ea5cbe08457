//! One process of a function, which takes one call at a time.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::runtime_api::{Posted, RuntimeApi};
use super::{Call, Caller, Invocation};
use crate::log::LogSink;

/// How long a new instance may take to ask for its first call, as on Lambda.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A process and the Runtime API that it talks to. It ends with this process, even if this process is killed: its
/// connection to the Runtime API breaks, and the Lambda runtime in it gives up.
pub(super) struct Instance {
    process: Child,
    /// Of the environment that it was started with.
    pub(super) version: u64,
    runtime_api: RuntimeApi,
    /// One of those that the function has for its instances.
    _place: OwnedSemaphorePermit,
}

/// How an instance dealt with a call.
pub(super) enum Outcome {
    /// It can take the next one.
    Settled(Invocation),
    /// It can take the next one; this one's caller went before it had fetched it, and it won't get it.
    Abandoned,
    /// It can't take another call.
    Ended(Invocation),
    /// It ended before it fetched the call.
    Missed(ExitStatus),
}

impl Instance {
    /// Starts the process; its output goes to `log` under the function's name.
    pub(super) fn start(
        executable: &Path,
        variables: impl IntoIterator<Item = (String, OsString)>,
        version: u64,
        runtime_api: RuntimeApi,
        place: OwnedSemaphorePermit,
        (log, name): (&LogSink, &str),
    ) -> std::io::Result<Self> {
        let mut process = Command::new(executable)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(stdout) = process.stdout.take() {
            log.copy(name, stdout);
        }
        if let Some(stderr) = process.stderr.take() {
            log.copy(name, stderr);
        }
        Ok(Self { process, version, runtime_api, _place: place })
    }

    /// Whether the process lives.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Has the instance handle a call, unless its caller goes before the instance has fetched it.
    pub(super) async fn handle(
        &mut self,
        call: Call,
        caller: &Caller,
        timeout: Duration,
        mut stopping: watch::Receiver<bool>,
    ) -> Outcome {
        let stopped = || Outcome::Ended(Invocation::Crashed("the stack is stopping".to_owned()));
        let mut pending = self.runtime_api.send(call, caller.clone());
        // The time to start isn't part of the function's timeout.
        tokio::select! {
            biased;
            // An error is a call that wasn't handed out, or an init error, which is in `posted` by now.
            fetched = &mut pending.fetched => if fetched.is_err() && pending.withdraw() {
                return Outcome::Abandoned;
            },
            status = self.process.wait() => return ended(status, Outcome::Missed),
            () = caller.gone() => if pending.withdraw() {
                return Outcome::Abandoned;
            },
            () = tokio::time::sleep(INIT_LIMIT) => {
                let reason = format!("the function took longer than {} s to start", INIT_LIMIT.as_secs());
                return Outcome::Ended(Invocation::Crashed(reason));
            }
            _ = stopping.wait_for(|stopping| *stopping) => return stopped(),
        }
        tokio::select! {
            biased;
            posted = &mut pending.posted => match posted {
                Ok(Posted::Response(payload)) => Outcome::Settled(Invocation::Response(payload)),
                Ok(Posted::Error(error)) => Outcome::Settled(Invocation::Error(error)),
                Ok(Posted::InitError(error)) => Outcome::Ended(Invocation::Error(error)),
                Err(_) => Outcome::Ended(Invocation::Crashed("the function fetched a second call".to_owned())),
            },
            status = self.process.wait() => ended(status, |status| {
                Outcome::Ended(Invocation::Crashed(format!("the process ended without an answer: {status}")))
            }),
            () = tokio::time::sleep(timeout) => Outcome::Ended(Invocation::TimedOut),
            _ = stopping.wait_for(|stopping| *stopping) => stopped(),
        }
    }

    /// Kills the process (SIGKILL), and waits until it is gone.
    pub(super) async fn kill(mut self) {
        // An error is a process that has ended by itself.
        let _ = self.process.kill().await;
    }
}

fn ended(status: std::io::Result<ExitStatus>, outcome: impl FnOnce(ExitStatus) -> Outcome) -> Outcome {
    match status {
        Ok(status) => outcome(status),
        Err(error) => Outcome::Ended(Invocation::Crashed(format!("the process is lost: {error}"))),
    }
}
