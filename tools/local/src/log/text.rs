//! The log for people: one short line for each request, with what the functions say of it.
//!
//! A function's line about a call is JSON, with the id of the call. It is held back until the gateway has answered the
//! request that the call was for, and is then told in the request's line. What else a function writes, a panic for one,
//! is passed on as it comes.

use std::collections::HashMap;
use std::fmt::{self, Debug, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::timeout;

use super::RequestLine;

/// How long a function's line may come after its answer; the two travel on different pipes. One that comes later gets a
/// line of its own.
const LATE: Duration = Duration::from_millis(200);

/// Members of a function's line that people need not see beside the others.
const UNSEEN: [&str; 10] =
    ["timestamp", "level", "function", "request_id", "outcome", "latency_ms", "stack", "session", "client", "target"];

/// Tells people of requests and of what functions write.
pub(super) struct Text {
    has_colours: bool,
    write: Box<dyn Fn(&str) + Send + Sync>,
    /// What functions have said of the calls for requests that are being handled.
    records: Mutex<HashMap<String, Option<Record>>>,
    /// Ticks with every record.
    recorded: watch::Sender<()>,
}

/// A function's line about a call.
#[derive(Clone, Debug)]
struct Record {
    function: String,
    members: Map<String, Value>,
}

#[derive(Clone, Copy, Debug)]
enum Colour {
    Plain,
    Dim,
    Green,
    Yellow,
    Red,
}

impl Text {
    pub(super) fn new(has_colours: bool, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { has_colours, write: Box::new(write), records: Mutex::default(), recorded: watch::Sender::new(()) }
    }

    /// A call's line is going to be part of its request's.
    pub(super) fn expect(&self, request_id: &str) {
        self.records().insert(request_id.to_owned(), None);
    }

    /// Something that a function or the gateway has written.
    pub(super) fn line(&self, source: &str, line: &str) {
        let Ok(Value::Object(members)) = serde_json::from_str(line) else {
            self.say(source, line, if source == "gateway" { Colour::Yellow } else { Colour::Plain });
            return;
        };
        let record = Record { function: source.to_owned(), members };
        if let Some(expected) =
            record.text("request_id").and_then(|id| self.records().get_mut(id).map(|_| id.to_owned()))
        {
            self.records().insert(expected, Some(record));
            self.recorded.send_replace(());
            return;
        }
        let colour = record.colour();
        let latency = record.members.get("latency_ms").and_then(Value::as_f64);
        let latency = latency.map(|latency| format!(" {latency:.0} ms")).unwrap_or_default();
        self.say(source, &format!("{}{latency}", record.sentence()), colour);
    }

    /// A request that was answered, or whose client hung up.
    pub(super) async fn request(&self, request: &RequestLine) {
        let mut recorded = self.recorded.subscribe();
        let complete = async {
            while !self.has_all(request) {
                if recorded.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(LATE, complete).await;
        let records: Vec<_> = request.calls.iter().filter_map(|(_, id)| self.records().remove(id).flatten()).collect();
        self.say(&request_text(request), &outcome(request, &records), request_colour(request, &records));
    }

    fn has_all(&self, request: &RequestLine) -> bool {
        let records = self.records();
        request.calls.iter().all(|(_, id)| records.get(id).is_none_or(Option::is_some))
    }

    fn say(&self, subject: &str, text: &str, colour: Colour) {
        let seconds = crate::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let time = format!("{hours:02}:{minutes:02}:{seconds:02}Z");
        let line = if self.has_colours {
            format!("\x1b[2m{time}\x1b[0m {subject:<36} {}{text}\x1b[0m\n", colour.code())
        } else {
            format!("{time} {subject:<36} {text}\n")
        };
        (self.write)(&line);
    }

    fn records(&self) -> MutexGuard<'_, HashMap<String, Option<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("has_colours", &self.has_colours).finish_non_exhaustive()
    }
}

impl Record {
    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    /// The outcome, whose it is, and every other member that says something.
    fn sentence(&self) -> String {
        let known = ["outcome", "message", "user", "reason", "security_event"];
        let mut words: Vec<String> =
            ["outcome", "message"].iter().filter_map(|name| self.text(name)).map(str::to_owned).collect();
        words.extend(self.text("user").map(str::to_owned));
        words.extend(self.text("reason").map(|reason| format!("({reason})")));
        let metrics = self.metrics();
        for (name, value) in &self.members {
            if known.contains(&name.as_str())
                || UNSEEN.contains(&name.as_str())
                || name == "_aws"
                || metrics.contains(&name.as_str())
            {
                continue;
            }
            words.push(match value {
                Value::String(text) if text.is_empty() => continue,
                Value::String(text) if text.contains(' ') => format!("{name}=\"{text}\""),
                Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            });
        }
        words.extend(self.text("security_event").map(|event| format!("SECURITY EVENT {event}")));
        words.join(" ")
    }

    /// The names of the metrics that the line carries for `CloudWatch`.
    fn metrics(&self) -> Vec<&str> {
        let directives = self.members.get("_aws").and_then(|aws| aws["CloudWatchMetrics"].as_array());
        let metrics = directives.into_iter().flatten().filter_map(|directive| directive["Metrics"].as_array());
        metrics.flatten().filter_map(|metric| metric["Name"].as_str()).collect()
    }

    fn colour(&self) -> Colour {
        match self.text("level") {
            Some("ERROR") => Colour::Red,
            Some("WARN") => Colour::Yellow,
            _ => Colour::Dim,
        }
    }
}

fn request_text(request: &RequestLine) -> String {
    format!("{:<7} {}", request.method, request.path)
}

/// What came of a request: status and time, then what its last call came to, and whatever an earlier one has to say
/// beside that it let the caller in.
fn outcome(request: &RequestLine, records: &[Record]) -> String {
    let status = request.status.map_or_else(|| "hung up".to_owned(), |status| status.to_string());
    let mut text = format!("{status} {:>5} ms", request.latency.as_millis());
    for (index, (function, id)) in request.calls.iter().enumerate() {
        let is_last = index + 1 == request.calls.len();
        let record = records.iter().find(|record| record.text("request_id") == Some(id));
        match record {
            Some(record) if is_last || record.text("level") != Some("INFO") => {
                let _ = write!(text, "  {}: {}", record.function, record.sentence());
            }
            None if is_last => {
                let _ = write!(text, "  {function}");
            }
            _ => {}
        }
    }
    text
}

fn request_colour(request: &RequestLine, records: &[Record]) -> Colour {
    match request.status {
        Some(500..) => Colour::Red,
        _ if records.iter().any(|record| matches!(record.colour(), Colour::Red)) => Colour::Red,
        _ if records.iter().any(|record| record.text("security_event").is_some()) => Colour::Red,
        None | Some(400..) => Colour::Yellow,
        Some(_) => Colour::Green,
    }
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }
}
