//! A Lambda runtime of four system calls for each call.

use std::io::{self, Write};
use std::net::TcpStream;

use crate::message::{self, Buffer};

const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Takes events from the Runtime API at `address`, and gives it what `handle` makes of each. Returns when the other side
/// has closed the connection.
///
/// # Errors
/// The connection's and the handler's.
pub fn run(address: &str, mut handle: impl FnMut(&[u8]) -> io::Result<String>) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut event, mut receipt) = (Buffer::default(), Buffer::default());
    loop {
        stream.write_all(NEXT)?;
        let Some(next) = event.read(&mut stream)? else { return Ok(()) };
        let id = request_id(next.head()).ok_or_else(|| io::Error::other("an event without a request id"))?;
        let answer = handle(next.body())?;
        let post = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: localhost\r\n\
             Content-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        stream.write_all(post.as_bytes())?;
        if receipt.read(&mut stream)?.is_none() {
            return Ok(());
        }
    }
}

fn request_id(head: &[u8]) -> Option<&str> {
    const NAME: &[u8] = b"Aws-Request-Id: ";
    let value = &head[message::find(head, NAME)? + NAME.len()..];
    std::str::from_utf8(&value[..message::find(value, b"\r\n")?]).ok()
}
