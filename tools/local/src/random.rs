//! Ids as AWS makes them. They tell calls apart and need not be secret.

use std::fmt::Write;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryRng;
use rand::rngs::SysRng;

/// Random bytes. An id of zeros, where the system has no randomness to give, does no harm.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = SysRng.try_fill_bytes(&mut bytes);
    bytes
}

/// A UUID of version 4.
pub(crate) fn uuid() -> String {
    let mut bytes = bytes::<16>();
    // Version 4, variant 1: RFC 9562, section 5.4.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// `Root=1-<seconds>-<random>`, as X-Ray writes it.
pub(crate) fn trace_id() -> String {
    let seconds = crate::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("Root=1-{seconds:08x}-{}", hex(&bytes::<12>()))
}

/// API Gateway's second id of a request.
pub(crate) fn extended_id() -> String {
    STANDARD.encode(bytes::<11>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string doesn't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
