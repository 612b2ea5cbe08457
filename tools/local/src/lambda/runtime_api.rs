//! The Lambda Runtime API, for one function instance: it fetches calls here and posts its answers.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>. Knows nothing of processes:
//! an instance that dies is noticed by whoever started it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Call, Caller, FunctionError};

/// The most that a function may answer, and that a call may carry, in bytes.
pub(super) const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// A message that an instance posts.
#[derive(Debug)]
pub(super) enum Posted {
    Response(Bytes),
    Error(FunctionError),
    /// It couldn't start, and is about to exit.
    InitError(FunctionError),
}

/// The two ends of a call that its caller waits on.
pub(super) struct Pending {
    /// Resolves when the instance fetches the call; fails if it never does.
    pub(super) fetched: oneshot::Receiver<()>,
    pub(super) posted: oneshot::Receiver<Posted>,
    decided: Decided,
}

impl Pending {
    /// Takes the call back; `false` where the instance has fetched it.
    pub(super) fn withdraw(&self) -> bool {
        self.decided.decide()
    }
}

/// Whether it is decided that a call is handed to the instance, or is not. The first to ask decides.
#[derive(Clone, Debug, Default)]
struct Decided(Arc<AtomicBool>);

impl Decided {
    fn decide(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// One instance's Runtime API, on a loopback port of its own.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    address: SocketAddr,
    calls: mpsc::UnboundedSender<Waiting>,
    server: JoinHandle<()>,
}

/// A call that the instance hasn't fetched yet.
#[derive(Debug)]
struct Waiting {
    call: Call,
    caller: Caller,
    decided: Decided,
    fetched: oneshot::Sender<()>,
    posted: oneshot::Sender<Posted>,
}

impl Waiting {
    /// Whether the call is to be handed out: once, and not without a caller.
    fn is_wanted(&self) -> bool {
        !self.caller.has_gone() && self.decided.decide()
    }
}

struct Shared {
    arn: String,
    timeout: Duration,
    waiting: Mutex<mpsc::UnboundedReceiver<Waiting>>,
    /// The call being handled, by its request id.
    current: std::sync::Mutex<Option<(String, oneshot::Sender<Posted>)>>,
}

impl RuntimeApi {
    /// Listens for the instance of the function `arn`, whose calls may take `timeout` each.
    pub(super) async fn start(arn: String, timeout: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (calls, waiting) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { arn, timeout, waiting: Mutex::new(waiting), current: std::sync::Mutex::default() });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(shared);
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        let server = tokio::spawn(async move { drop(axum::serve(listener, routes).await) });
        Ok(Self { address, calls, server })
    }

    /// The address for `AWS_LAMBDA_RUNTIME_API`.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands a call to the instance when it asks for one and the caller is still there. One at a time: whoever sends
    /// waits for the answer first, or withdraws.
    pub(super) fn send(&self, call: Call, caller: Caller) -> Pending {
        let (fetched, fetched_receiver) = oneshot::channel();
        let (posted, posted_receiver) = oneshot::channel();
        // Fails only when the server has ended, and then the receivers fail too.
        let decided = Decided::default();
        let _ = self.calls.send(Waiting { call, caller, decided: decided.clone(), fetched, posted });
        Pending { fetched: fetched_receiver, posted: posted_receiver, decided }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let waiting = loop {
        match shared.waiting.lock().await.recv().await {
            Some(waiting) if waiting.is_wanted() => break waiting,
            Some(_) => {}
            None => return refuse(StatusCode::GONE, "Runtime.Stopped", "the local stack has stopped"),
        }
    };
    let call = waiting.call;
    let deadline = crate::now() + shared.timeout;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let headers = [
        ("lambda-runtime-aws-request-id", call.request_id.clone()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", shared.arn.clone()),
        ("lambda-runtime-trace-id", call.trace_id),
        ("content-type", "application/json".to_owned()),
    ];
    *shared.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((call.request_id, waiting.posted));
    // From here on the call runs to its end, whether its caller waits or not.
    let _ = waiting.fetched.send(());
    (headers, call.payload).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Body) -> Response {
    let Ok(body) = axum::body::to_bytes(body, PAYLOAD_LIMIT).await else {
        let message = format!("Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes).");
        let error =
            FunctionError { error_type: "Function.ResponseSizeTooLarge".to_owned(), error_message: message.clone() };
        let refusal = refuse(StatusCode::PAYLOAD_TOO_LARGE, &error.error_type, &message);
        shared.settle(&id, Posted::Error(error));
        return refusal;
    };
    shared.settle(&id, Posted::Response(body))
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    shared.settle(&id, Posted::Error(function_error(&headers, &body)))
}

async fn init_error(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    // An instance is started for a call, so one is waiting unless its caller has given up.
    let mut calls = shared.waiting.lock().await;
    while let Ok(waiting) = calls.try_recv() {
        if waiting.is_wanted() {
            let _ = waiting.posted.send(Posted::InitError(function_error(&headers, &body)));
            break;
        }
    }
    accepted()
}

impl Shared {
    fn settle(&self, id: &str, posted: Posted) -> Response {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(current, _)| current == id);
        match current {
            Some((_, sender)) => {
                let _ = sender.send(posted);
                accepted()
            }
            None => refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "no call with this id is being handled"),
        }
    }
}

fn function_error(headers: &HeaderMap, body: &[u8]) -> FunctionError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let header = headers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
    FunctionError {
        error_type: body["errorType"].as_str().or(header).unwrap_or("Unknown").to_owned(),
        error_message: body["errorMessage"].as_str().unwrap_or_default().to_owned(),
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({"status": "OK"}))).into_response()
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response {
    (status, Json(json!({"errorType": error_type, "errorMessage": message}))).into_response()
}
