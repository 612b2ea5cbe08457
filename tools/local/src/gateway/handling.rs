//! A request on its way through the gateway, for the log.

use std::time::Duration;

use tokio::time::Instant;

use crate::log::{LogSink, RequestLine};

/// A request that is being handled. Its line is written when it is answered, or when its client hangs up.
pub(super) struct Handling {
    began: Instant,
    log: LogSink,
    /// None once it is written.
    line: Option<RequestLine>,
}

impl Handling {
    /// Begins now.
    pub(super) fn new(log: LogSink, method: &str, path: &str) -> Self {
        let line = RequestLine {
            method: method.to_owned(),
            path: path.to_owned(),
            status: None,
            latency: Duration::ZERO,
            calls: Vec::new(),
        };
        Self { began: Instant::now(), log, line: Some(line) }
    }

    /// Takes note that a function is called.
    pub(super) fn calls(&mut self, function: &str, request_id: &str) {
        self.log.calls(request_id);
        if let Some(line) = &mut self.line {
            line.calls.push((function.to_owned(), request_id.to_owned()));
        }
    }

    /// Writes the line.
    pub(super) fn answer(mut self, status: u16) {
        self.write(Some(status));
    }

    fn write(&mut self, status: Option<u16>) {
        if let Some(line) = self.line.take() {
            self.log.request(RequestLine { status, latency: self.began.elapsed(), ..line });
        }
    }
}

impl Drop for Handling {
    /// The server drops what handles a request when its client hangs up.
    fn drop(&mut self) {
        self.write(None);
    }
}
