//! One process of a function, driven through the Lambda Runtime API: a blocking socket, one connection at a time, and
//! two reads and two writes of this side for each call, whatever the function is.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout, set_tcp_nodelay};
use shared::BoxError;

use crate::message::{Buffer, find};
use crate::subject::Subject;

/// How long the function may be silent.
const SILENCE: Duration = Duration::from_secs(20);
const RECEIPT: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

/// A process of a function.
pub(crate) struct Instance {
    name: &'static str,
    expected: &'static str,
    process: Child,
    started: Instant,
    listener: Option<TcpListener>,
    stream: Option<TcpStream>,
    buffer: Buffer,
    /// The answer to the function's question for an event: head and event.
    event: Vec<u8>,
    /// Where the digits in it are that count the calls.
    counter: usize,
    calls: u64,
    /// Waits before each answer, for measurements in which time doesn't count: so the function always finds nothing to
    /// read at first, and makes the same system calls.
    pause: Duration,
}

/// What a process is started with, beside its function's own.
#[derive(Default)]
pub(crate) struct Around<'a> {
    /// A program that starts the function's, and its arguments.
    pub(crate) wrapper: Vec<OsString>,
    /// More environment variables.
    pub(crate) variables: Vec<(&'static str, &'a Path)>,
    /// See [`Instance::pause`].
    pub(crate) pause: Duration,
}

impl Instance {
    /// Starts a process of the function.
    pub(crate) fn start(subject: &Subject, around: &Around<'_>) -> Result<Self, BoxError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // Connections inherit both.
        set_socket_timeout(&listener, Timeout::Recv, Some(SILENCE))?;
        set_tcp_nodelay(&listener, true)?;
        let (event, counter) = next_answer(&subject.event);
        let mut words = around.wrapper.iter().map(OsString::as_os_str).chain([subject.command.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .args(&subject.arguments)
            .env_clear()
            .envs(&subject.environment)
            .envs(around.variables.iter().copied())
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if !around.wrapper.is_empty() {
            // A wrapped process ends by losing its Runtime API, and says so.
            command.stderr(Stdio::null());
        }
        let started = Instant::now();
        let process = command.spawn().map_err(|error| format!("{} can't be started: {error}", subject.name))?;
        Ok(Self {
            name: subject.name,
            expected: subject.expected,
            process,
            started,
            listener: Some(listener),
            stream: None,
            buffer: Buffer::default(),
            event,
            counter,
            calls: 0,
            pause: around.pause,
        })
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Makes the first call, and returns how long it took from the start of the process to the answer.
    pub(crate) fn first_answer(&mut self) -> Result<Duration, BoxError> {
        self.ready()?;
        let (_, answered) = self.answer()?;
        Ok(answered - self.started)
    }

    /// Waits until the function asks for an event.
    pub(crate) fn ready(&mut self) -> Result<(), BoxError> {
        self.expect(b"GET ").map(drop)
    }

    /// Makes a call of a process that has asked for one, and returns how long it took from the event to the answer.
    pub(crate) fn call(&mut self) -> Result<Duration, BoxError> {
        let (asked, answered) = self.answer()?;
        Ok(answered - asked)
    }

    /// Takes note of the last answer, and waits until the function asks for the next event.
    pub(crate) fn settle(&mut self) -> Result<(), BoxError> {
        std::thread::sleep(self.pause);
        self.send(RECEIPT)?;
        self.ready()
    }

    fn answer(&mut self) -> Result<(Instant, Instant), BoxError> {
        self.calls += 1;
        let digits = format!("{:012}", self.calls);
        self.event[self.counter..self.counter + digits.len()].copy_from_slice(digits.as_bytes());
        std::thread::sleep(self.pause);
        let asked = Instant::now();
        let event = std::mem::take(&mut self.event);
        let sent = self.send(&event);
        self.event = event;
        sent?;
        Ok((asked, self.expect(b"POST ")?))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), BoxError> {
        let stream = self.stream.as_mut().ok_or("the function isn't connected")?;
        Ok(stream.write_all(bytes)?)
    }

    /// Reads the function's next request, which has to begin like this; an answer has to be the right one. Returns when
    /// it had arrived.
    fn expect(&mut self, beginning: &[u8]) -> Result<Instant, BoxError> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => {
                    let listener = self.listener.as_ref().ok_or("the instance has ended")?;
                    let (stream, _) =
                        listener.accept().map_err(|error| failure(self.name, &mut self.process, &error))?;
                    none.insert(stream)
                }
            };
            let message = self.buffer.read(stream).map_err(|error| failure(self.name, &mut self.process, &error))?;
            let arrived = Instant::now();
            // A client without keep-alive connects anew for each request.
            let Some(message) = message else {
                self.stream = None;
                continue;
            };
            let is_right = message.head().starts_with(beginning)
                && (beginning == b"GET " || find(message.body(), self.expected.as_bytes()).is_some());
            if is_right {
                return Ok(arrived);
            }
            let said = String::from_utf8_lossy(message.head()).lines().next().unwrap_or_default().to_owned();
            let body = String::from_utf8_lossy(message.body()).into_owned();
            return Err(format!("{}: {} was expected, not {said} {body}", self.name, self.expected).into());
        }
    }

    /// Takes the Runtime API away, which makes the process end, and waits for that.
    pub(crate) fn end(mut self) -> Result<(), BoxError> {
        (self.stream, self.listener) = (None, None);
        let started = Instant::now();
        while self.process.try_wait()?.is_none() {
            if started.elapsed() > SILENCE {
                return Err(format!("{} doesn't end without its Runtime API", self.name).into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // An error is a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn failure(name: &str, process: &mut Child, error: &io::Error) -> BoxError {
    match process.try_wait() {
        Ok(Some(status)) => format!("{name} has ended ({status})").into(),
        _ => format!("{name} doesn't answer: {error}").into(),
    }
}

/// The answer to the function's question for an event, and where the digits of its request id are.
fn next_answer(event: &[u8]) -> (Vec<u8>, usize) {
    const BEFORE_COUNTER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                                  Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-";
    let head = format!(
        "{BEFORE_COUNTER}000000000000\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n\
         Content-Length: {}\r\n\r\n",
        event.len()
    );
    ([head.as_bytes(), event].concat(), BEFORE_COUNTER.len())
}
