//! A function as processes: each instance takes one call at a time, more are started when calls
//! overlap, up to a number, idle ones are used again.
//!
//! An instance ends with this process, even if this process is killed: its connection to the Runtime
//! API breaks, and the Lambda runtime in it gives up.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::intrinsics::REGION;
use crate::logs::LogSink;
use crate::runtime_api::{PAYLOAD_LIMIT, Posted, RuntimeApi};
use crate::template::FunctionSpec;

/// How long a new instance may take to ask for its first call, as on Lambda.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// What an instance inherits from this process. Lambda gives it nothing of the kind, but a dynamic
/// linker, a backtrace or a coverage run needs them.
const INHERITED: [&str; 5] =
    ["PATH", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The function answered with this payload.
    Response(Bytes),
    /// The function reported an error.
    Error(FunctionError),
    /// The function took longer than its `Timeout`, and was ended.
    TimedOut,
    /// The function's process ended without an answer, or couldn't be started; why.
    Crashed(String),
    /// As many calls as the template reserves are being handled.
    Throttled,
    /// The payload is larger than Lambda takes.
    TooLarge,
    /// The template has no such function.
    NotFound,
}

/// An error as a function reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The name of the error's type.
    pub error_type: String,
    /// The error's text.
    pub error_message: String,
}

/// A payload for a function, and what the call is known by.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) trace_id: String,
    pub(crate) payload: Bytes,
}

impl Call {
    /// A call that nobody else has made before.
    pub(crate) fn new(payload: Bytes) -> Self {
        Self { request_id: crate::random_uuid(), trace_id: crate::random_trace_id(), payload }
    }
}

/// A function with its instances.
pub(crate) struct Function {
    /// The binary's name, which its log lines carry.
    binary: String,
    arn: String,
    executable: PathBuf,
    environment: Mutex<Environment>,
    timeout: Duration,
    log: LogSink,
    /// The one that was used last is at the end.
    idle: Mutex<Vec<Instance>>,
    /// One for each call that the template reserves; a call that finds none is throttled.
    reserved: Option<Semaphore>,
    /// One for each call that is handled at once; others wait, so that a laptop isn't flooded with processes.
    turns: Semaphore,
    /// One for each instance: no fewer than turns.
    places: Arc<Semaphore>,
    instances: u32,
    stopping: watch::Sender<bool>,
    /// Counts how often all processes were killed.
    killed: watch::Sender<u64>,
}

/// What new instances are started with.
struct Environment {
    variables: BTreeMap<String, OsString>,
    /// Counts the changes, so that instances of before are known.
    version: u64,
}

struct Instance {
    process: Child,
    /// Of the environment that it was started with.
    version: u64,
    runtime_api: RuntimeApi,
    _place: OwnedSemaphorePermit,
}

/// How one instance dealt with a call.
enum Outcome {
    /// It can take the next one.
    Settled(Invocation),
    /// It is of no more use.
    Ended(Invocation),
    /// It ended before it fetched the call.
    Missed(ExitStatus),
}

impl Function {
    /// A function without any instance yet. `variables` are its settings, over what Lambda sets.
    pub(crate) fn new(
        binary: String,
        executable: PathBuf,
        spec: &FunctionSpec,
        variables: BTreeMap<String, String>,
        log: LogSink,
    ) -> Self {
        let mut environment = lambda_environment(&executable, spec);
        environment.extend(variables.into_iter().map(|(name, value)| (name, value.into())));
        Self {
            binary,
            arn: spec.arn.clone(),
            executable,
            environment: Mutex::new(Environment { variables: environment, version: 0 }),
            timeout: spec.timeout,
            log,
            idle: Mutex::default(),
            reserved: spec.reserved.map(|reserved| Semaphore::new(reserved as usize)),
            turns: Semaphore::new(spec.instances as usize),
            places: Arc::new(Semaphore::new(spec.instances as usize)),
            instances: spec.instances,
            stopping: watch::Sender::new(false),
            killed: watch::Sender::new(0),
        }
    }

    /// The function's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    /// What new instances are started with.
    pub(crate) fn variables(&self) -> BTreeMap<String, OsString> {
        self.environment().variables.clone()
    }

    /// Calls the function. As on Lambda, the call runs to its end even if the caller stops waiting.
    pub(crate) async fn invoke(self: &Arc<Self>, call: Call) -> Invocation {
        if call.payload.len() > PAYLOAD_LIMIT {
            return Invocation::TooLarge;
        }
        let function = Arc::clone(self);
        tokio::spawn(async move { function.run(call).await })
            .await
            .unwrap_or_else(|error| Invocation::Crashed(error.to_string()))
    }

    /// Sets a variable, as a deployment would: calls that come later go to new instances.
    pub(crate) async fn set_variable(&self, name: &str, value: &str) {
        {
            let mut environment = self.environment();
            environment.variables.insert(name.to_owned(), value.into());
            environment.version += 1;
        }
        let idle = std::mem::take(&mut *self.idle());
        for instance in idle {
            instance.kill().await;
        }
    }

    /// Kills every process (SIGKILL), also in the middle of a call; calls that come later start new ones.
    pub(crate) async fn kill(&self) {
        self.killed.send_modify(|times| *times += 1);
        let idle = std::mem::take(&mut *self.idle());
        for instance in idle {
            instance.kill().await;
        }
    }

    /// Ends every instance, and the calls that they are handling. Returns at once.
    pub(crate) fn end(&self) {
        self.stopping.send_replace(true);
        self.idle().clear();
    }

    /// Ends every instance, and waits until their processes are gone.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        let idle = std::mem::take(&mut *self.idle());
        for instance in idle {
            instance.kill().await;
        }
        // Every instance holds a place until its process is gone.
        drop(self.places.acquire_many(self.instances).await);
    }

    async fn run(&self, call: Call) -> Invocation {
        let reserved = self.reserved.as_ref().map(Semaphore::try_acquire).transpose();
        let Ok(_reserved) = reserved else { return Invocation::Throttled };
        let Ok(_turn) = self.turns.acquire().await else { return Invocation::Throttled };
        loop {
            let (mut instance, is_new) = match self.idle_instance() {
                Some(instance) => (instance, false),
                None => match self.start().await {
                    Ok(instance) => (instance, true),
                    Err(invocation) => return invocation,
                },
            };
            let outcome = tokio::select! {
                outcome = instance.handle(call.clone(), self.timeout, self.stopping.subscribe()) => outcome,
                () = next_change(self.killed.subscribe()) => {
                    Outcome::Ended(Invocation::Crashed("the process was killed".to_owned()))
                }
            };
            match outcome {
                Outcome::Settled(invocation) => {
                    self.keep(instance).await;
                    return invocation;
                }
                Outcome::Ended(invocation) => {
                    instance.kill().await;
                    self.note(&invocation);
                    return invocation;
                }
                Outcome::Missed(status) if is_new => {
                    let invocation = Invocation::Crashed(format!("the process ended at its start: {status}"));
                    self.note(&invocation);
                    return invocation;
                }
                // It had died while idle; the call is another's.
                Outcome::Missed(_) => {}
            }
        }
    }

    fn note(&self, invocation: &Invocation) {
        match invocation {
            Invocation::TimedOut => {
                self.log.line(&self.binary, &format!("Task timed out after {} seconds", self.timeout.as_secs()));
            }
            Invocation::Crashed(reason) => self.log.line(&self.binary, reason),
            _ => {}
        }
    }

    fn environment(&self) -> std::sync::MutexGuard<'_, Environment> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_instance(&self) -> Option<Instance> {
        let mut idle = self.idle();
        while let Some(mut instance) = idle.pop() {
            if let Ok(None) = instance.process.try_wait() {
                return Some(instance);
            }
        }
        None
    }

    async fn keep(&self, instance: Instance) {
        let version = self.environment().version;
        {
            let mut idle = self.idle();
            if !*self.stopping.borrow() && instance.version == version {
                idle.push(instance);
                return;
            }
        }
        instance.kill().await;
    }

    async fn start(&self) -> Result<Instance, Invocation> {
        if *self.stopping.borrow() {
            return Err(Invocation::Crashed("the stack is stopping".to_owned()));
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Invocation::Throttled)?;
        self.spawn(place).await.map_err(|error| {
            let invocation = Invocation::Crashed(format!("{} can't be started: {error}", self.executable.display()));
            self.note(&invocation);
            invocation
        })
    }

    async fn spawn(&self, place: OwnedSemaphorePermit) -> std::io::Result<Instance> {
        let runtime_api = RuntimeApi::start(self.arn.clone(), self.timeout).await?;
        let (variables, version) = {
            let environment = self.environment();
            (environment.variables.clone(), environment.version)
        };
        let mut process = Command::new(&self.executable)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(stdout) = process.stdout.take() {
            self.log.copy(&self.binary, stdout);
        }
        if let Some(stderr) = process.stderr.take() {
            self.log.copy(&self.binary, stderr);
        }
        Ok(Instance { process, version, runtime_api, _place: place })
    }
}

impl Instance {
    async fn handle(&mut self, call: Call, timeout: Duration, mut stopping: watch::Receiver<bool>) -> Outcome {
        let stopped = || Outcome::Ended(Invocation::Crashed("the stack is stopping".to_owned()));
        let mut pending = self.runtime_api.send(call);
        // The time to start isn't part of the function's timeout.
        tokio::select! {
            biased;
            // An error here is an init error, which is in `posted` by now.
            _ = &mut pending.fetched => {}
            status = self.process.wait() => return ended(status, Outcome::Missed),
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

    async fn kill(mut self) {
        // An error is a process that has ended by itself.
        let _ = self.process.kill().await;
    }
}

async fn next_change(mut counter: watch::Receiver<u64>) {
    counter.mark_unchanged();
    // Fails where the function is gone, and its instances with it.
    let _ = counter.changed().await;
}

fn ended(status: std::io::Result<ExitStatus>, outcome: impl FnOnce(ExitStatus) -> Outcome) -> Outcome {
    match status {
        Ok(status) => outcome(status),
        Err(error) => Outcome::Ended(Invocation::Crashed(format!("the process is lost: {error}"))),
    }
}

/// What Lambda puts into a function's environment.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
#[expect(clippy::disallowed_methods, reason = "a process is started with parts of this one's environment")]
fn lambda_environment(executable: &std::path::Path, spec: &FunctionSpec) -> BTreeMap<String, OsString> {
    let mut environment: BTreeMap<String, OsString> =
        INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?))).collect();
    let root = executable.parent().unwrap_or(executable);
    environment.insert("LAMBDA_TASK_ROOT".to_owned(), root.into());
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", &spec.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", spec.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_REGION", REGION),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ] {
        environment.insert(name.to_owned(), value.into());
    }
    environment
}
