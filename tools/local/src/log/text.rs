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
const UNSEEN: [&str; 11] = [
    "timestamp",
    "level",
    "function",
    "request_id",
    "gateway_request_id",
    "address",
    "outcome",
    "latency_ms",
    "stack",
    "session",
    "_aws",
];

/// Tells people of requests and of what functions write.
pub(super) struct Text {
    has_colours: bool,
    write: Box<dyn Fn(&str) + Send + Sync>,
    /// The functions' lines about calls for requests that are still being handled.
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
        let id = record.text("request_id").unwrap_or_default().to_owned();
        if let Some(expected) = self.records().get_mut(&id) {
            *expected = Some(record);
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
        const SAID: [&str; 5] = ["outcome", "message", "user", "reason", "security_event"];
        // A security event says so at the end.
        let level = self.text("level").filter(|level| ["WARN", "ERROR"].contains(level));
        let level = level.filter(|_| self.text("security_event").is_none());
        let first = [level, self.text("outcome"), self.text("message"), self.text("user")];
        let mut words: Vec<String> = first.into_iter().flatten().map(str::to_owned).collect();
        words.extend(self.text("reason").map(|reason| format!("({reason})")));
        let metrics = self.metrics();
        for (name, value) in &self.members {
            if SAID.contains(&name.as_str()) || UNSEEN.contains(&name.as_str()) || metrics.contains(&name.as_str()) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    /// A log for people, and what it has written, without the times.
    fn text(has_colours: bool) -> (Text, Arc<Mutex<Vec<String>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&written);
        let write = move |line: &str| lines.lock().unwrap().push(line.trim_end().to_owned());
        (Text::new(has_colours, write), written)
    }

    fn without_times(written: &Mutex<Vec<String>>) -> Vec<String> {
        let words = |line: &String| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        written.lock().unwrap().iter().map(words).collect()
    }

    fn request(status: Option<u16>, calls: &[(&str, &str)]) -> RequestLine {
        RequestLine {
            method: "POST".to_owned(),
            path: "/login".to_owned(),
            status,
            latency: Duration::from_millis(12),
            calls: calls.iter().map(|(function, id)| ((*function).to_owned(), (*id).to_owned())).collect(),
        }
    }

    fn record(id: &str, members: Value) -> String {
        let mut line = json!({"timestamp": "now", "level": "INFO", "request_id": id, "latency_ms": 1.5});
        let Value::Object(members) = members else { panic!("not an object") };
        line.as_object_mut().unwrap().extend(members);
        line.to_string()
    }

    #[tokio::test]
    async fn a_request_is_one_line_with_what_its_last_call_came_to() {
        let (text, written) = text(false);
        text.expect("1");
        text.expect("2");
        text.line("authorizer", &record("1", json!({"outcome": "allowed", "user": "jane"})));
        text.line("users", &record("2", json!({"outcome": "listed", "user": "jane", "session": "s", "count": 3})));
        assert!(without_times(&written).is_empty(), "what a function says is held back");
        text.request(&request(Some(200), &[("authorizer", "1"), ("users", "2")])).await;
        assert_eq!(without_times(&written), ["POST /login 200 12 ms users: listed jane count=3"]);
    }

    #[tokio::test]
    async fn refusals_have_their_reasons_and_security_events_stand_out() {
        let (text, written) = text(false);
        let metrics = json!([{"Metrics": [{"Name": "Refusals"}]}, {"Metrics": [{"Name": "Throttles"}]}]);
        for (id, level, event) in [("1", "INFO", None), ("2", "WARN", Some("guesses_throttled"))] {
            text.expect(id);
            let mut members = json!({
                "outcome": "refused", "reason": "throttled", "limit": "account", "level": level,
                "stack": "gatehouse", "Refusals": 1, "Throttles": 1, "_aws": {"CloudWatchMetrics": metrics},
            });
            if let Some(event) = event {
                members["security_event"] = event.into();
            }
            text.line("login", &record(id, members));
            text.request(&request(Some(429), &[("login", id)])).await;
        }
        let line = "POST /login 429 12 ms login: refused (throttled) limit=account";
        assert_eq!(without_times(&written), [line, &format!("{line} SECURITY EVENT guesses_throttled")]);
    }

    #[tokio::test]
    async fn nothing_that_a_function_writes_gets_lost() {
        let (text, written) = text(false);
        text.expect("1");
        text.line("login", "thread 'main' panicked at src/main.rs:1:1:");
        text.line("login", r#"{"timestamp":"now","level":"ERROR","message":"the table is gone","cause":"no route"}"#);
        text.line("rotate-keys", &record("9", json!({"outcome": "rotated"})));
        text.request(&request(Some(502), &[("login", "1")])).await;
        text.request(&request(None, &[])).await;
        // After its request's line.
        text.line("login", &record("1", json!({"outcome": "failed", "level": "ERROR"})));
        assert_eq!(
            without_times(&written),
            [
                "login thread 'main' panicked at src/main.rs:1:1:",
                "login ERROR the table is gone cause=\"no route\"",
                "rotate-keys rotated 2 ms",
                "POST /login 502 12 ms login",
                "POST /login hung up 12 ms",
                "login ERROR failed 2 ms",
            ]
        );
    }

    #[tokio::test]
    async fn colours_are_only_where_they_are_wanted() {
        for (has_colours, codes) in [(false, 0), (true, 4)] {
            let (text, written) = text(has_colours);
            text.request(&request(Some(500), &[])).await;
            assert_eq!(written.lock().unwrap()[0].matches('\u{1b}').count(), codes);
        }
    }
}
