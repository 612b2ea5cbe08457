//! Where the functions' output goes: every line with the function's name in front.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

/// Takes the lines that functions and the gateway write.
#[derive(Clone, Debug)]
pub struct LogSink(Target);

#[derive(Clone, Debug)]
enum Target {
    Stderr,
    Memory(Arc<Memory>),
}

#[derive(Debug, Default)]
struct Memory {
    text: Mutex<String>,
    /// Ticks with every line, so that a test can wait for one without polling.
    written: watch::Sender<()>,
}

impl LogSink {
    /// Lines go to this process's stderr.
    #[must_use]
    pub fn stderr() -> Self {
        Self(Target::Stderr)
    }

    /// Lines are kept in memory, for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self(Target::Memory(Arc::default()))
    }

    /// Everything written so far; empty where the lines go to stderr.
    #[must_use]
    pub fn contents(&self) -> String {
        match &self.0 {
            Target::Stderr => String::new(),
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
        let line = format!("[{source}] {line}\n");
        match &self.0 {
            // Nobody can be told that stderr is gone.
            Target::Stderr => drop(std::io::stderr().lock().write_all(line.as_bytes())),
            Target::Memory(memory) => {
                memory.text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
                memory.written.send_replace(());
            }
        }
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
