//! A line to the store on which one operation fails, loses its answer or is held up.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
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
}

/// A running line.
pub struct Line {
    pub url: String,
    end: Arc<End>,
    server: tokio::task::JoinHandle<()>,
}

struct End {
    target: String,
    client: reqwest::Client,
    plan: Mutex<Option<(&'static str, Disturbance)>>,
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
            arrived: Notify::new(),
            released: Notify::new(),
        });
        let router = Router::new().route("/", post(pass)).with_state(Arc::clone(&end));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, end, server }
    }

    /// From now on this happens to the operation, and all others pass.
    pub fn disturb(&self, operation: &'static str, disturbance: Disturbance) {
        *self.end.plan.lock().unwrap() = Some((operation, disturbance));
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
    let disturbance = {
        let mut plan = end.plan.lock().unwrap();
        let planned = plan.filter(|(operation, _)| target.rsplit('.').next() == Some(*operation));
        if planned.is_some_and(|(_, disturbance)| disturbance == Disturbance::AnswerLost) {
            *plan = None;
        }
        planned.map(|(_, disturbance)| disturbance)
    };
    match disturbance {
        Some(Disturbance::Refused) => {
            let refusal = r#"{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","message":"refused"}"#;
            return (StatusCode::BAD_REQUEST, refusal).into_response();
        }
        Some(Disturbance::Held) => {
            end.arrived.notify_one();
            end.released.notified().await;
        }
        Some(Disturbance::AnswerLost) | None => {}
    }
    let answer = end.client.post(&end.target).headers(headers).body(body).send().await.unwrap();
    if disturbance == Some(Disturbance::AnswerLost) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    (answer.status(), answer.headers().clone(), answer.bytes().await.unwrap()).into_response()
}
