//! Stands between a function and the store or the secrets: counts what passes, and fails on demand.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use rand::{RngExt, rand_core::UnwrapErr, rngs::SysRng};
use serde_json::Value;

/// Where a fault cuts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The request never arrives.
    Before,
    /// The request has its effect, and its answer is lost.
    After,
    /// The same, but only this once and as a server error, which the SDK tries again by itself.
    AfterOnce,
    /// The request never arrives, but only this once.
    BeforeOnce,
}

/// What happens to a part of the calls, drawn anew for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused as one too many.
    Throttle,
    /// Passed on, and answered so much later.
    Delay(Duration),
    /// Passed on; instead of the answer, the connection ends.
    LoseAnswer,
    /// Not passed on: the connection ends.
    CutConnection,
}

#[derive(Default)]
struct Plan {
    /// The operations that have passed, in their order.
    seen: Vec<String>,
    /// From the n-th write on (counted from 0), everything fails, as if the function had been killed there.
    cut: Option<(usize, Cut)>,
    /// Only these operations count as writes; every one that writes, where there is none.
    counted: Option<&'static str>,
    /// Only those to rows whose partition key begins so count; to all, where there is none.
    row: Option<&'static str>,
    writes: usize,
    was_cut: bool,
    dead: bool,
    /// And to how many of a hundred calls it happens.
    fault: Option<(Fault, u32)>,
}

/// A running proxy. Several can share a plan, so that writes count over all of them.
pub struct Proxy {
    pub url: String,
    plan: Arc<Mutex<Plan>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Line {
    target: String,
    client: reqwest::Client,
    plan: Arc<Mutex<Plan>>,
}

const WRITES: [&str; 5] = ["PutItem", "UpdateItem", "DeleteItem", "PutSecretValue", "UpdateSecretVersionStage"];

impl Proxy {
    pub async fn start(target: &str) -> Self {
        Self::with_plan(target, Arc::default()).await
    }

    /// A second proxy, whose writes count with those of the first.
    pub async fn beside(&self, target: &str) -> Self {
        Self::with_plan(target, Arc::clone(&self.plan)).await
    }

    async fn with_plan(target: &str, plan: Arc<Mutex<Plan>>) -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let line = Line { target: target.to_owned(), client: reqwest::Client::new(), plan: Arc::clone(&plan) };
        let router = Router::new().route("/", post(pass)).with_state(line);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, plan, server }
    }

    /// Fails from the n-th write on, counted from now and from 0.
    pub fn cut(&self, write: usize, cut: Cut) {
        *self.plan.lock().unwrap() = Plan { cut: Some((write, cut)), ..Plan::default() };
    }

    /// The same, where only writes by this operation are counted.
    pub fn cut_of(&self, operation: &'static str, write: usize, cut: Cut) {
        *self.plan.lock().unwrap() = Plan { cut: Some((write, cut)), counted: Some(operation), ..Plan::default() };
    }

    /// Fails from the first write on to a row whose partition key begins so.
    pub fn cut_row(&self, row: &'static str, cut: Cut) {
        *self.plan.lock().unwrap() = Plan { cut: Some((0, cut)), row: Some(row), ..Plan::default() };
    }

    /// From now on this happens to so many of a hundred calls.
    pub fn disturb(&self, fault: Fault, percent: u32) {
        *self.plan.lock().unwrap() = Plan { fault: Some((fault, percent)), ..Plan::default() };
    }

    /// Lets everything pass again, and forgets what has passed.
    pub fn heal(&self) {
        *self.plan.lock().unwrap() = Plan::default();
    }

    /// Whether the cut has come.
    pub fn was_cut(&self) -> bool {
        self.plan.lock().unwrap().was_cut
    }

    /// How often this operation has passed.
    pub fn count(&self, operation: &str) -> usize {
        self.plan.lock().unwrap().seen.iter().filter(|seen| *seen == operation).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Whether the write is to a row whose partition key begins so.
fn is_to(row: &str, body: &[u8]) -> bool {
    let asked: Value = serde_json::from_slice(body).unwrap();
    asked["Key"]["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with(row))
}

async fn pass(State(line): State<Line>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let operation = target.rsplit('.').next().unwrap().to_owned();
    let (cut, fault) = {
        let mut plan = line.plan.lock().unwrap();
        let write = match plan.counted {
            Some(counted) => counted == operation,
            None => WRITES.contains(&operation.as_str()),
        };
        let write = write && plan.row.is_none_or(|row| is_to(row, &body));
        let cut = plan.cut.filter(|(at, _)| write && plan.writes == *at).map(|(_, cut)| cut);
        plan.writes += usize::from(write);
        plan.seen.push(operation);
        let dead = plan.dead;
        plan.dead |= matches!(cut, Some(Cut::Before | Cut::After));
        plan.was_cut |= cut.is_some();
        let fault =
            plan.fault.filter(|(_, percent)| UnwrapErr(SysRng).random_range(0..100) < *percent).map(|(fault, _)| fault);
        (if dead { Some(Cut::Before) } else { cut }, fault)
    };
    match fault {
        Some(Fault::Throttle) => {
            let kind = "ProvisionedThroughputExceededException";
            let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"too many"}}"#);
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
        Some(Fault::CutConnection) => return ended(),
        _ => {}
    }
    // A client error that the SDK doesn't try again: for the function the call has failed, once and for all.
    let lost = || (StatusCode::FORBIDDEN, r#"{"__type":"AccessDeniedException","message":"cut"}"#).into_response();
    if matches!(cut, Some(Cut::Before | Cut::BeforeOnce)) {
        return lost();
    }
    let mut request = line.client.post(&line.target).body(body);
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.as_bytes());
        }
    }
    let answer = request.send().await.unwrap();
    let (status, content_type) = (answer.status().as_u16(), answer.headers().get("content-type").cloned());
    let body = answer.bytes().await.unwrap();
    match fault {
        Some(Fault::LoseAnswer) => return ended(),
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        _ => {}
    }
    match cut {
        Some(Cut::After) => return lost(),
        Some(Cut::AfterOnce) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => {}
    }
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(content_type) = content_type {
        response.headers_mut().insert("content-type", content_type);
    }
    response
}

/// An answer in the middle of which the connection ends.
fn ended() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    ([("content-length", "100")], Body::from_stream(broken)).into_response()
}
