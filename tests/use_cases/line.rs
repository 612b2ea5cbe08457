//! A line to the store on which one operation fails, loses its answer or is held up.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// It is refused, in a way that the SDK doesn't try again.
    Refused,
    /// It has its effect, and its answer is lost: only this once, and the SDK tries again.
    AnswerLost,
    /// It waits for [`Line::release`].
    Held,
    /// It has its effect, and its answer waits for [`Line::release`].
    AnswerHeld,
    /// Only the first of the rows that it asks for is given, and the others are put off: only this once.
    PutOff,
    /// The same every time, and the first row isn't given either.
    PutOffForGood,
}

/// A running line.
pub struct Line {
    pub url: String,
    end: Arc<End>,
    server: tokio::task::JoinHandle<()>,
}

/// Which calls are disturbed.
#[derive(Clone, Copy)]
enum Planned {
    /// Those of this operation, once so many of it have passed.
    Operation(&'static str, usize),
    /// The one of this number, whatever its operation.
    Call(usize),
}

struct End {
    target: String,
    client: reqwest::Client,
    plan: Mutex<Option<(Planned, Disturbance)>>,
    calls: AtomicUsize,
    arrived: Notify,
    released: Notify,
}

impl Line {
    /// A line to this address, on which everything passes.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let end = Arc::new(End {
            target: target.to_owned(),
            client: reqwest::Client::new(),
            plan: Mutex::default(),
            calls: AtomicUsize::new(0),
            arrived: Notify::new(),
            released: Notify::new(),
        });
        let router = Router::new().route("/", post(pass)).with_state(Arc::clone(&end));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, end, server }
    }

    /// From now on this happens to the operation, and all others pass.
    pub fn disturb(&self, operation: &'static str, disturbance: Disturbance) {
        self.disturb_after(0, operation, disturbance);
    }

    /// The same, once so many of the operation have passed.
    pub fn disturb_after(&self, after: usize, operation: &'static str, disturbance: Disturbance) {
        *self.end.plan.lock().unwrap() = Some((Planned::Operation(operation, after), disturbance));
    }

    /// This happens to the call of this number, counted from now on, the first being 1.
    pub fn disturb_call(&self, number: usize, disturbance: Disturbance) {
        self.end.calls.store(0, Ordering::Relaxed);
        *self.end.plan.lock().unwrap() = Some((Planned::Call(number), disturbance));
    }

    /// How many calls came since the start, or since a call was disturbed by its number.
    pub fn calls(&self) -> usize {
        self.end.calls.load(Ordering::Relaxed)
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        *self.end.plan.lock().unwrap() = None;
    }

    /// Whether the disturbance is still to come, or goes on.
    pub fn is_disturbed(&self) -> bool {
        self.end.plan.lock().unwrap().is_some()
    }

    /// Waits until an operation is held.
    pub async fn arrived(&self) {
        self.end.arrived.notified().await;
    }

    /// Lets the held operation pass, and all others.
    pub fn release(&self) {
        self.heal();
        self.end.released.notify_one();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(State(end): State<Arc<End>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    let disturbance = planned(&end, target.rsplit('.').next().unwrap());
    match disturbance {
        Some(Disturbance::Refused) => {
            let refusal = r#"{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","message":"refused"}"#;
            return (StatusCode::BAD_REQUEST, refusal).into_response();
        }
        Some(Disturbance::Held) => {
            end.arrived.notify_one();
            end.released.notified().await;
        }
        Some(Disturbance::PutOff | Disturbance::PutOffForGood) => return put_off(&end, headers, &body).await,
        Some(Disturbance::AnswerLost | Disturbance::AnswerHeld) | None => {}
    }
    let answer = end.client.post(&end.target).headers(headers).body(body).send().await.unwrap();
    if disturbance == Some(Disturbance::AnswerHeld) {
        end.arrived.notify_one();
        end.released.notified().await;
    }
    if disturbance == Some(Disturbance::AnswerLost) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    (answer.status(), answer.headers().clone(), answer.bytes().await.unwrap()).into_response()
}

/// What happens to the next one of this operation.
fn planned(end: &End, operation: &str) -> Option<Disturbance> {
    let number = end.calls.fetch_add(1, Ordering::Relaxed) + 1;
    let mut plan = end.plan.lock().unwrap();
    let (planned, disturbance) = plan.as_mut()?;
    match planned {
        Planned::Operation(of, after) if *of == operation => {
            if *after > 0 {
                *after -= 1;
                return None;
            }
        }
        Planned::Call(call) if *call == number => {}
        Planned::Operation(..) | Planned::Call(_) => return None,
    }
    let disturbance = *disturbance;
    if matches!(disturbance, Disturbance::AnswerLost | Disturbance::PutOff) {
        *plan = None;
    }
    Some(disturbance)
}

/// Answers a batch of reads with its first row, where it is put off once, and with none, where it is put off for good.
async fn put_off(end: &End, mut headers: HeaderMap, body: &[u8]) -> Response {
    let mut asked: Value = serde_json::from_slice(body).unwrap();
    let (table, keys) = asked["RequestItems"].as_object_mut().unwrap().iter_mut().next().unwrap();
    let (table, mut later) = (table.clone(), keys["Keys"].as_array().unwrap().clone());
    if end.plan.lock().unwrap().is_some() {
        let answer = json!({ "Responses": {}, "UnprocessedKeys": asked["RequestItems"] });
        return ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response();
    }
    keys["Keys"] = json!([later.remove(0)]);
    headers.remove("content-length");
    let answer = end.client.post(&end.target).headers(headers).body(asked.to_string()).send().await.unwrap();
    let mut answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer["UnprocessedKeys"] = json!({ table: { "Keys": later, "ConsistentRead": true } });
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
}
