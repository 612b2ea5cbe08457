//! HTTP/1.1 messages on a blocking socket, one at a time.

use std::io::{self, Read};
use std::ops::Range;

/// Larger messages than this are an error, in bytes.
const LIMIT: usize = 256 * 1024;

/// A place for one message after the other.
pub(crate) struct Buffer(Vec<u8>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; LIMIT])
    }
}

/// A message, in its buffer.
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    body: Range<usize>,
}

impl<'a> Message<'a> {
    /// The request line or status line, and the headers.
    pub(crate) fn head(&self) -> &'a [u8] {
        &self.bytes[..self.body.start]
    }

    /// The body.
    pub(crate) fn body(&self) -> &'a [u8] {
        &self.bytes[self.body.clone()]
    }
}

impl Buffer {
    /// Reads one message; `None` where the other side has closed the connection instead.
    ///
    /// # Errors
    /// The connection's, a message that breaks off, one that is too long, or one that says its length in another way
    /// than with `Content-Length`.
    pub(crate) fn read(&mut self, stream: &mut impl Read) -> io::Result<Option<Message<'_>>> {
        let mut filled = 0;
        let body = loop {
            let read = stream.read(&mut self.0[filled..])?;
            filled += read;
            match body(&self.0[..filled])? {
                Some(body) if body.end <= filled => break body,
                _ if read > 0 => {}
                _ if filled == 0 => return Ok(None),
                _ if filled == LIMIT => return Err(io::Error::other("the message is too long")),
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        };
        Ok(Some(Message { bytes: &self.0[..body.end], body }))
    }
}

/// Where the body of a message is, once its head is complete.
fn body(bytes: &[u8]) -> io::Result<Option<Range<usize>>> {
    let Some(start) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    let mut length = 0;
    for line in bytes[..start].split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value)
                .ok()
                .and_then(|value| value.parse().ok())
                .ok_or_else(|| io::Error::other("Content-Length is no number"))?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(io::Error::other("a chunked message"));
        }
    }
    Ok(Some(start..start + length))
}

/// Where `needle` begins.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let one = self.0.len().min(1);
            into[..one].copy_from_slice(&self.0[..one]);
            self.0 = &self.0[one..];
            Ok(one)
        }
    }

    #[test]
    fn a_message_is_read_in_one_piece_or_many() {
        let text = b"POST /x HTTP/1.1\r\nHost: h\r\ncontent-length: 5\r\n\r\nhello";
        let mut buffer = Buffer::default();
        assert_eq!(buffer.read(&mut &text[..]).unwrap().unwrap().body(), b"hello");
        let message = buffer.read(&mut Dribble(text)).unwrap().unwrap();
        assert_eq!((message.head().len(), message.body()), (text.len() - 5, &b"hello"[..]));
        assert!(buffer.read(&mut &text[..0]).unwrap().is_none());
        assert!(buffer.read(&mut &text[..20]).is_err());
        assert!(buffer.read(&mut &b"x\r\nTransfer-Encoding: chunked\r\n\r\n"[..]).is_err());
    }
}
