//! The log: the functions' output, and the gateway's line for each request.

mod text;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use self::text::Text;

/// Takes the lines that functions and the gateway write.
#[derive(Clone, Debug)]
pub struct LogSink(Target);

#[derive(Clone, Debug)]
enum Target {
    /// As they were written, with the function's name in front.
    Raw,
    /// For people: a short line for each request.
    Text(Arc<Text>),
    Memory(Arc<Memory>),
}

#[derive(Debug, Default)]
struct Memory {
    text: Mutex<String>,
    /// Ticks with every line, so that a test can wait for one without polling.
    written: watch::Sender<()>,
}

/// A request that the gateway has dealt with.
#[derive(Debug)]
pub(crate) struct RequestLine {
    pub(crate) method: String,
    /// Without the query: it may carry what nobody should read.
    pub(crate) path: String,
    /// `None` where the client hung up before there was an answer.
    pub(crate) status: Option<u16>,
    pub(crate) latency: Duration,
    /// The functions that were called, each with the id of its call.
    pub(crate) calls: Vec<(String, String)>,
}

impl LogSink {
    /// Lines go to this process's stderr as they were written, those of functions as JSON.
    #[must_use]
    pub fn json() -> Self {
        Self(Target::Raw)
    }

    /// Lines for people go to this process's stderr: a short one for each request, and whatever else functions write.
    #[must_use]
    pub fn text(has_colours: bool) -> Self {
        Self(Target::Text(Arc::new(Text::new(has_colours, write))))
    }

    /// Lines are kept in memory as they were written, for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self(Target::Memory(Arc::default()))
    }

    /// Everything written so far; empty where the lines go to stderr.
    #[must_use]
    pub fn contents(&self) -> String {
        match &self.0 {
            Target::Raw | Target::Text(_) => String::new(),
            Target::Memory(memory) => memory.text.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Waits until `text` has been written, and returns everything written so far.
    ///
    /// A function's line may arrive after its answer: the two travel on different pipes. Never
    /// returns where the lines go to stderr.
    pub async fn wait_for(&self, text: &str) -> String {
        let Target::Memory(memory) = &self.0 else {
            return std::future::pending().await;
        };
        let mut written = memory.written.subscribe();
        loop {
            written.mark_unchanged();
            let contents = self.contents();
            if contents.contains(text) {
                return contents;
            }
            // The sender is part of `memory`, so it outlives this loop.
            let _ = written.changed().await;
        }
    }

    /// Writes one line under `source`'s name.
    pub(crate) fn line(&self, source: &str, line: &str) {
        match &self.0 {
            Target::Raw => write(&format!("[{source}] {line}\n")),
            Target::Text(text) => text.line(source, line),
            Target::Memory(memory) => {
                let line = format!("[{source}] {line}\n");
                memory.text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
                memory.written.send_replace(());
            }
        }
    }

    /// Takes note that a function is called for a request, whose line is going to say what the call came to.
    pub(crate) fn calls(&self, request_id: &str) {
        if let Target::Text(text) = &self.0 {
            text.expect(request_id);
        }
    }

    /// Writes the line of a request.
    pub(crate) fn request(&self, request: RequestLine) {
        if let Target::Text(text) = &self.0 {
            let text = Arc::clone(text);
            // There is no runtime any more where the stack goes down with a request under way.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { text.request(&request).await });
            }
            return;
        }
        let RequestLine { method, path, status, latency, .. } = &request;
        let status = status.map_or_else(|| "hung up".to_owned(), |status| status.to_string());
        self.line("gateway", &format!("{method} {path} {status} {} ms", latency.as_millis()));
    }

    /// Copies a process's output, line by line, until its end.
    pub(crate) fn copy(&self, source: &str, output: impl AsyncRead + Send + Unpin + 'static) {
        let (sink, source) = (self.clone(), source.to_owned());
        tokio::spawn(async move {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while matches!(output.read_until(b'\n', &mut line).await, Ok(1..)) {
                sink.line(&source, String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        });
    }
}

fn write(text: &str) {
    // Nobody can be told that stderr is gone.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
