//! What becomes of calls whose callers go, and of instances that nobody needs.

#![expect(clippy::unwrap_used, reason = "a failed assumption fails the test")]

mod options;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use local::{Limits, LogSink, Options, Stack};
use reqwest::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::options::ECHOES;

/// A stack of the gateway's fixture whose functions have one instance each, and a gate that holds a call.
struct Bench {
    stack: Stack,
    log: LogSink,
    gate: TcpListener,
}

fn one_instance() -> Limits {
    Limits { instances: 1, ..Limits::default() }
}

impl Bench {
    async fn with(limits: Limits) -> Self {
        let options = Options { limits, ..options::options("gateway.yaml", ECHOES) };
        let log = options.log.clone();
        let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { stack: Stack::start(options).await.unwrap(), log, gate }
    }

    /// Calls `/echo` with a client of its own, which hangs up when the task is aborted.
    fn call(&self, order: &str) -> JoinHandle<reqwest::Response> {
        let request = reqwest::Client::new().get(format!("{}/echo", self.stack.url())).header("x-do", order);
        tokio::spawn(async move { request.send().await.unwrap() })
    }

    /// A call that is being handled until the second value is dropped.
    async fn held(&self) -> (JoinHandle<reqwest::Response>, TcpStream) {
        let call = self.call(&format!("wait {}", self.gate.local_addr().unwrap()));
        (call, self.gate.accept().await.unwrap().0)
    }

    /// How many calls functions have got.
    fn handled(&self) -> usize {
        self.log.contents().matches("[echo] asked").count()
    }

    /// The process that handles a call of `/echo`.
    async fn process(&self) -> String {
        let answer: serde_json::Value =
            serde_json::from_str(&self.call("").await.unwrap().text().await.unwrap()).unwrap();
        answer["process"].to_string()
    }
}

#[tokio::test]
async fn a_waiting_call_whose_client_hangs_up_is_not_made() {
    let bench = Bench::with(one_instance()).await;
    let (first, gate) = bench.held().await;
    let mut second = TcpStream::connect(bench.stack.url().trim_start_matches("http://")).await.unwrap();
    second.write_all(b"GET /echo HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // Long enough to be in the queue; on a machine where it isn't, it is not made either.
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(second);
    bench.log.wait_for("its caller had gone").await;
    bench.log.wait_for("[gateway] GET /echo hung up").await;
    drop(gate);
    assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    assert_eq!(bench.call("").await.unwrap().status(), StatusCode::OK);
    assert_eq!(bench.handled(), 2);
}

#[tokio::test]
async fn a_waiting_call_whose_caller_got_504_is_not_made() {
    let limits = Limits { integration: Duration::from_secs(1), queue: Duration::from_secs(20), ..one_instance() };
    let bench = Bench::with(limits).await;
    // An instance that runs, so that the limit is for waiting alone.
    bench.call("").await.unwrap();
    let (first, gate) = bench.held().await;
    let second = bench.call("");
    assert_eq!(first.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(second.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    bench.log.wait_for("its caller had gone").await;
    drop(gate);
    assert_eq!(bench.call("").await.unwrap().status(), StatusCode::OK);
    // The first of all, the one that was held and the last.
    assert_eq!(bench.handled(), 3);
}

#[tokio::test]
async fn a_call_whose_client_hangs_up_during_the_start_is_not_made() {
    let bench = Bench::with(one_instance()).await;
    for milliseconds in (0..40).step_by(2) {
        let call = bench.call("");
        // At any moment on the way: before the request is read, while the process starts, while it answers.
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        call.abort();
        bench.stack.kill("echo").await;
    }
    assert_eq!(bench.call("").await.unwrap().status(), StatusCode::OK);
    let log = bench.log.contents();
    let abandoned = log.matches("its caller had gone").count();
    assert!(bench.handled() + abandoned <= 21, "{log}");
}

#[tokio::test]
async fn a_call_that_was_fetched_runs_to_its_end() {
    let bench = Bench::with(one_instance()).await;
    let before = bench.process().await;
    let (first, gate) = bench.held().await;
    first.abort();
    bench.log.wait_for("[gateway] GET /echo hung up").await;
    drop(gate);
    // The same instance: it wasn't ended with the caller.
    assert_eq!(bench.process().await, before);
    assert!(!bench.log.contents().contains("its caller had gone"));
}

#[tokio::test]
async fn a_call_that_waits_too_long_is_throttled_and_not_made() {
    let bench = Bench::with(Limits { queue: Duration::from_millis(200), ..one_instance() }).await;
    let (first, gate) = bench.held().await;
    let second = bench.call("").await.unwrap();
    assert_eq!(second.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(second.headers()["x-amzn-errortype"], "InternalServerErrorException");
    drop(gate);
    assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    assert_eq!(bench.handled(), 1);
}

#[tokio::test]
async fn idle_instances_are_ended_and_started_again_when_needed() {
    let idle = Duration::from_millis(300);
    let bench = Bench::with(Limits { idle, ..Limits::default() }).await;
    let first = bench.process().await;
    assert_eq!(bench.process().await, first, "it is used again while it is warm");
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_running(&first) {
        assert!(Instant::now() < deadline, "it lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(bench.process().await, first);
}

fn is_running(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
