//! A line to the store on which one operation fails, loses its answer or is held up, and which tells how often work waits
//! for the store.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
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
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
};

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
    /// Those of this operation on a row whose partition key begins so.
    Row(&'static str, &'static str),
}

/// How long no further call comes before all that were made wait.
const QUIET: Duration = Duration::from_millis(150);

/// The operations, sorted, that were waited for at the same time, one list for each time.
type Waits = Vec<Vec<String>>;

/// An operation, and what lets it pass.
type Waiting = (String, oneshot::Sender<()>);

struct End {
    target: String,
    /// Where calls of Secrets Manager go.
    secrets: Mutex<String>,
    client: reqwest::Client,
    plan: Mutex<Option<(Planned, Disturbance)>>,
    calls: AtomicUsize,
    arrived: Notify,
    released: Notify,
    /// The calls that wait for [`Line::waits`] to let them pass; `None`: calls don't wait.
    waiting: Mutex<Option<Vec<Waiting>>>,
}

impl Line {
    /// A line to this address, on which everything passes.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let end = Arc::new(End {
            target: target.to_owned(),
            secrets: Mutex::default(),
            client: reqwest::Client::new(),
            plan: Mutex::default(),
            calls: AtomicUsize::new(0),
            arrived: Notify::new(),
            released: Notify::new(),
            waiting: Mutex::default(),
        });
        let router = Router::new().route("/", post(pass)).with_state(Arc::clone(&end));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, end, server }
    }

    /// The line is one to this address of Secrets Manager too.
    pub fn lead_to_secrets(&self, url: &str) {
        url.clone_into(&mut self.end.secrets.lock().unwrap());
    }

    /// From now on this happens to the operation, and all others pass.
    pub fn disturb(&self, operation: &'static str, disturbance: Disturbance) {
        self.disturb_after(0, operation, disturbance);
    }

    /// The same, once so many of the operation have passed.
    pub fn disturb_after(&self, after: usize, operation: &'static str, disturbance: Disturbance) {
        *self.end.plan.lock().unwrap() = Some((Planned::Operation(operation, after), disturbance));
    }

    /// From now on this happens to the operation on rows whose partition key begins so, and all others pass.
    pub fn disturb_row(&self, operation: &'static str, prefix: &'static str, disturbance: Disturbance) {
        *self.end.plan.lock().unwrap() = Some((Planned::Row(operation, prefix), disturbance));
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

    /// Does this work, and lets its calls pass only once nothing of it is left to do but to wait for them. Gives the
    /// operations, sorted, that were waited for at the same time.
    pub fn waits<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = T> + 'a,
    ) -> Pin<Box<dyn Future<Output = (T, Waits)> + 'a>> {
        Box::pin(self.let_pass(Box::pin(work)))
    }

    async fn let_pass<T>(&self, mut work: Pin<Box<dyn Future<Output = T> + '_>>) -> (T, Waits) {
        *self.end.waiting.lock().unwrap() = Some(vec![]);
        let (mut waits, mut seen) = (vec![], 0);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(QUIET) => {}
            }
            let mut waiting = self.end.waiting.lock().unwrap();
            let calls = waiting.as_mut().unwrap();
            if calls.len() != seen {
                seen = calls.len();
            } else if seen > 0 {
                let pass =
                    |(operation, call): (String, oneshot::Sender<()>)| call.send(()).map(|()| operation).unwrap();
                let mut operations: Vec<String> = std::mem::take(calls).into_iter().map(pass).collect();
                operations.sort_unstable();
                waits.push(operations);
                seen = 0;
            }
        };
        *self.end.waiting.lock().unwrap() = None;
        (done, waits)
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
    let (service, operation) = headers["x-amz-target"].to_str().unwrap().rsplit_once('.').unwrap();
    let wait = end.waiting.lock().unwrap().as_mut().map(|waiting| {
        let (pass, wait) = oneshot::channel();
        waiting.push((operation.to_owned(), pass));
        wait
    });
    if let Some(wait) = wait {
        wait.await.unwrap();
    }
    if service == "secretsmanager" {
        let url = end.secrets.lock().unwrap().clone();
        return forward(end.client.post(url).headers(headers).body(body)).await;
    }
    let disturbance = planned(&end, operation, &body);
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
    let answer = forward(end.client.post(&end.target).headers(headers).body(body)).await;
    if disturbance == Some(Disturbance::AnswerHeld) {
        end.arrived.notify_one();
        end.released.notified().await;
    }
    if disturbance == Some(Disturbance::AnswerLost) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    answer
}

async fn forward(request: reqwest::RequestBuilder) -> Response {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.headers().clone(), answer.bytes().await.unwrap()).into_response()
}

/// What happens to the next one of this operation.
fn planned(end: &End, operation: &str, body: &[u8]) -> Option<Disturbance> {
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
        Planned::Row(of, prefix) if *of == operation => {
            let asked: Value = serde_json::from_slice(body).unwrap();
            if !asked["Key"]["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with(*prefix)) {
                return None;
            }
        }
        Planned::Operation(..) | Planned::Call(_) | Planned::Row(..) => return None,
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
