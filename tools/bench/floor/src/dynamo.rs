//! Requests to AWS services of the JSON protocol, signed by hand (Signature Version 4).

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};

use crate::message::Buffer;

/// What requests are signed with.
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub key: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
    /// `AWS_SESSION_TOKEN`.
    pub token: String,
    /// `AWS_REGION`.
    pub region: String,
}

/// A service, reached over one connection.
pub struct Service<'a> {
    /// The name in the credential's scope.
    name: &'static str,
    host: &'a str,
    credentials: &'a Credentials,
    stream: TcpStream,
    buffer: Buffer,
}

impl<'a> Service<'a> {
    /// Connects to the service at `url`, which has no path and no TLS.
    ///
    /// # Errors
    /// The connection's.
    pub fn connect(name: &'static str, url: &'a str, credentials: &'a Credentials) -> io::Result<Self> {
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self { name, host, credentials, stream, buffer: Buffer::default() })
    }

    /// Calls the operation `target`, and gives the answer's body.
    ///
    /// # Errors
    /// The connection's, and any answer but 200.
    pub fn call(&mut self, target: &str, body: &str, now: SystemTime) -> io::Result<&[u8]> {
        let kind = if self.name == "dynamodb" { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
        let (day, time) = timestamp(now);
        let Credentials { key, token, region, .. } = self.credentials;
        let headers = format!(
            "content-type:{kind}\nhost:{}\nx-amz-date:{day}T{time}Z\nx-amz-security-token:{token}\n\
             x-amz-target:{target}\n",
            self.host
        );
        let signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
        let canonical = format!("POST\n/\n\n{headers}\n{signed}\n{}", sha256(body.as_bytes()));
        let scope = format!("{day}/{region}/{}/aws4_request", self.name);
        let to_sign = format!("AWS4-HMAC-SHA256\n{day}T{time}Z\n{scope}\n{}", sha256(canonical.as_bytes()));
        let signature = hex(&mac(&self.signing_key(&day), &to_sign));
        let request = format!(
            "POST / HTTP/1.1\r\n{}Authorization: AWS4-HMAC-SHA256 Credential={key}/{scope}, \
             SignedHeaders={signed}, Signature={signature}\r\nContent-Length: {}\r\n\r\n{body}",
            headers.replace('\n', "\r\n"),
            body.len()
        );
        self.stream.write_all(request.as_bytes())?;
        let answer = self.buffer.read(&mut self.stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if !answer.head().starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other(String::from_utf8_lossy(answer.body()).into_owned()));
        }
        Ok(answer.body())
    }

    fn signing_key(&self, day: &str) -> Vec<u8> {
        let start = format!("AWS4{}", self.credentials.secret).into_bytes();
        [day, &self.credentials.region, self.name, "aws4_request"].iter().fold(start, |key, part| mac(&key, part))
    }
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Day and time as AWS writes them, in UTC.
fn timestamp(now: SystemTime) -> (String, String) {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    (format!("{year:04}{month:02}{day:02}"), format!("{hour:02}{minute:02}{second:02}"))
}

/// The date of a day, counted from 1970-01-01. It counts years from March on, so that a leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_782, (2024, 2, 29)),
            (20_088, (2024, 12, 31)),
            (20_781, (2026, 11, 24)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    /// The example of "Create a signed AWS API request" in the IAM user guide.
    #[test]
    fn the_signing_key_is_the_one_of_the_documentation() {
        let start = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        let key = ["20150830", "us-east-1", "iam", "aws4_request"].iter().fold(start, |key, part| mac(&key, part));
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }
}
