//! A function with its instances: more are started when calls overlap, up to a number; idle ones are used again, and
//! ended after a while.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::environment::Environment;
use super::instance::{Instance, Outcome};
use super::runtime_api::{PAYLOAD_LIMIT, RuntimeApi};
use super::{Call, Caller, Invocation};
use crate::Limits;
use crate::cloudformation::FunctionSpec;
use crate::log::LogSink;

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
    idle: Mutex<Vec<Idle>>,
    /// One for each call that the template reserves; a call that finds none is throttled.
    reserved: Option<Semaphore>,
    /// One for each call that is handled at once; others wait, so that a laptop isn't flooded with processes.
    turns: Semaphore,
    /// One for each instance: no fewer than turns.
    places: Arc<Semaphore>,
    instances: u32,
    limits: Limits,
    stopping: watch::Sender<bool>,
    /// Counts how often all processes were killed.
    killed: watch::Sender<u64>,
}

/// An instance that waits for a call.
struct Idle {
    instance: Instance,
    since: Instant,
}

impl Function {
    /// A function without any instance yet. `variables` are its settings, over what Lambda sets.
    pub(crate) fn new(
        binary: String,
        executable: PathBuf,
        spec: &FunctionSpec,
        variables: BTreeMap<String, String>,
        limits: Limits,
        log: LogSink,
    ) -> Self {
        let instances = spec.reserved.map_or(limits.instances, |reserved| reserved.min(limits.instances));
        Self {
            binary,
            arn: spec.arn.clone(),
            environment: Mutex::new(Environment::new(&executable, spec, variables)),
            executable,
            timeout: spec.timeout,
            log,
            idle: Mutex::default(),
            reserved: spec.reserved.map(|reserved| Semaphore::new(reserved as usize)),
            turns: Semaphore::new(instances as usize),
            places: Arc::new(Semaphore::new(instances as usize)),
            instances,
            limits,
            stopping: watch::Sender::new(false),
            killed: watch::Sender::new(0),
        }
    }

    /// The function's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    /// The environment of new instances.
    pub(crate) fn variables(&self) -> BTreeMap<String, OsString> {
        self.environment().variables.clone()
    }

    /// Calls the function. A caller that stops waiting before an instance has fetched the call takes it back; as on
    /// Lambda, a call that was fetched runs to its end.
    pub(crate) async fn invoke(self: &Arc<Self>, call: Call) -> Invocation {
        if call.payload.len() > PAYLOAD_LIMIT {
            return Invocation::TooLarge;
        }
        let function = Arc::clone(self);
        let (caller, _presence) = Caller::new();
        let running = tokio::spawn(async move { function.run(call, &caller).await });
        match running.await {
            Ok(Some(invocation)) => invocation,
            Ok(None) => Invocation::Crashed("the call was taken back".to_owned()),
            Err(error) => Invocation::Crashed(error.to_string()),
        }
    }

    /// Sets a variable, as a deployment would: calls that come later go to new instances.
    pub(crate) async fn set_variable(&self, name: &str, value: &str) {
        {
            let mut environment = self.environment();
            environment.variables.insert(name.to_owned(), value.into());
            environment.version += 1;
        }
        self.kill_idle(|_| true).await;
    }

    /// Kills every process (SIGKILL), also in the middle of a call; calls that come later start new ones.
    pub(crate) async fn kill(&self) {
        self.killed.send_modify(|times| *times += 1);
        self.kill_idle(|_| true).await;
    }

    /// Ends the instances that had no call for as long as the limits say.
    pub(crate) async fn end_idle(&self) {
        self.kill_idle(|idle| idle.since.elapsed() >= self.limits.idle).await;
    }

    /// Ends every instance, and the calls that they are handling. Returns at once.
    pub(crate) fn end(&self) {
        self.stopping.send_replace(true);
        self.idle().clear();
    }

    /// Ends every instance, and waits until their processes are gone.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        self.kill_idle(|_| true).await;
        // Every instance holds a place until its process is gone.
        drop(self.places.acquire_many(self.instances).await);
    }

    /// The outcome of the call; `None` where its caller went before an instance fetched it.
    async fn run(&self, call: Call, caller: &Caller) -> Option<Invocation> {
        let reserved = self.reserved.as_ref().map(Semaphore::try_acquire).transpose();
        let Ok(_reserved) = reserved else { return Some(Invocation::Throttled) };
        let _turn = tokio::select! {
            biased;
            () = caller.gone() => return self.abandon(&call),
            turn = tokio::time::timeout(self.limits.queue, self.turns.acquire()) => match turn {
                Ok(Ok(turn)) => turn,
                _ => return Some(Invocation::Throttled),
            },
        };
        loop {
            if caller.has_gone() {
                return self.abandon(&call);
            }
            let (mut instance, is_new) = match self.idle_instance() {
                Some(instance) => (instance, false),
                None => match self.start().await {
                    Ok(instance) => (instance, true),
                    Err(invocation) => return Some(invocation),
                },
            };
            let outcome = tokio::select! {
                outcome = instance.handle(call.clone(), caller, self.timeout, self.stopping.subscribe()) => outcome,
                () = next_change(self.killed.subscribe()) => {
                    Outcome::Ended(Invocation::Crashed("the process was killed".to_owned()))
                }
            };
            match outcome {
                Outcome::Settled(invocation) => {
                    self.keep(instance).await;
                    return Some(invocation);
                }
                Outcome::Abandoned => {
                    self.keep(instance).await;
                    return self.abandon(&call);
                }
                Outcome::Ended(invocation) => {
                    instance.kill().await;
                    self.note(&invocation);
                    return Some(invocation);
                }
                Outcome::Missed(status) if is_new => {
                    let invocation = Invocation::Crashed(format!("the process ended at its start: {status}"));
                    self.note(&invocation);
                    return Some(invocation);
                }
                // It had died while idle; the call is another's.
                Outcome::Missed(_) => {}
            }
        }
    }

    /// Takes note that a call won't be made.
    fn abandon(&self, call: &Call) -> Option<Invocation> {
        let line = format!("{} was not called for {}: its caller had gone", self.binary, call.request_id);
        self.log.line("gateway", &line);
        None
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

    fn environment(&self) -> MutexGuard<'_, Environment> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_instance(&self) -> Option<Instance> {
        let mut idle = self.idle();
        while let Some(Idle { mut instance, .. }) = idle.pop() {
            if instance.is_running() {
                return Some(instance);
            }
        }
        None
    }

    async fn kill_idle(&self, which: impl Fn(&Idle) -> bool) {
        let ended: Vec<_> = self.idle().extract_if(.., |idle| which(idle)).collect();
        for idle in ended {
            idle.instance.kill().await;
        }
    }

    async fn keep(&self, instance: Instance) {
        let version = self.environment().version;
        {
            let mut idle = self.idle();
            if !*self.stopping.borrow() && instance.version == version {
                idle.push(Idle { instance, since: Instant::now() });
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
        let log = (&self.log, self.binary.as_str());
        Instance::start(&self.executable, variables, version, runtime_api, place, log)
    }
}

async fn next_change(mut counter: watch::Receiver<u64>) {
    counter.mark_unchanged();
    // Fails where the function is gone, and its instances with it.
    let _ = counter.changed().await;
}
