//! A load of requests over HTTP, each connection asking for the next answer when it has the one before.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use shared::BoxError;

use crate::message::{Buffer, find};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// A request, and what every answer to it holds.
#[derive(Clone)]
pub(crate) struct Request {
    server: SocketAddr,
    bytes: Vec<u8>,
    expected: &'static str,
}

impl Request {
    /// `GET /protected` with a token.
    pub(crate) fn protected(server: SocketAddr, token: &str) -> Self {
        let bytes =
            format!("GET /protected HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes();
        Self { server, bytes, expected: "you are authenticated!" }
    }

    /// Signs in, and gives the access token.
    pub(crate) fn token(server: SocketAddr, username: &str, password: &str) -> Result<String, BoxError> {
        let form = format!("username={username}&password={password}");
        let bytes = format!(
            "POST /login HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        )
        .into_bytes();
        let body = Connection::open(&Self { server, bytes, expected: "access_token" })?.answer()?;
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(answer["access_token"].as_str().ok_or("a sign-in without an access token")?.to_owned())
    }

    /// Sends it over so many connections for so long, and counts the answers.
    pub(crate) fn repeat(&self, connections: usize, time: Duration) -> Result<u64, BoxError> {
        let threads: Vec<JoinHandle<Result<u64, String>>> = (0..connections)
            .map(|_| {
                let request = self.clone();
                thread::spawn(move || request.repeat_on_one(time).map_err(|error| error.to_string()))
            })
            .collect();
        let mut answers = 0;
        for thread in threads {
            answers += thread.join().map_err(|_| "a connection's thread has panicked")??;
        }
        Ok(answers)
    }

    fn repeat_on_one(&self, time: Duration) -> Result<u64, BoxError> {
        let mut connection = Connection::open(self)?;
        let (started, mut answers) = (Instant::now(), 0);
        while started.elapsed() < time {
            connection.answer()?;
            answers += 1;
        }
        Ok(answers)
    }
}

struct Connection<'a> {
    request: &'a Request,
    stream: TcpStream,
    buffer: Buffer,
}

impl<'a> Connection<'a> {
    fn open(request: &'a Request) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(request.server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { request, stream, buffer: Buffer::default() })
    }

    /// Sends the request, and gives the answer's body.
    fn answer(&mut self) -> Result<Vec<u8>, BoxError> {
        self.stream.write_all(&self.request.bytes)?;
        let answer = self.buffer.read(&mut self.stream)?.ok_or("the server has closed the connection")?;
        let is_right = answer.head().starts_with(b"HTTP/1.1 200")
            && find(answer.body(), self.request.expected.as_bytes()).is_some();
        if is_right {
            return Ok(answer.body().to_vec());
        }
        let head = String::from_utf8_lossy(answer.head()).lines().next().unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        Err(format!("{} was expected, not {head} {body}", self.request.expected).into())
    }
}
