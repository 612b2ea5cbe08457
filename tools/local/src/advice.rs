//! Advice for errors that the user can do something about.

use std::error::Error;
use std::io::{self, ErrorKind};

use local::{SecretsError, StartError, StoreError};

/// Says how to get around an address that can't be had.
pub(crate) fn advice(error: &(dyn Error + 'static)) -> Option<String> {
    let (flag, source) = match error.downcast_ref()? {
        StartError::Listen { source, .. } => ("--port", source),
        StartError::Store(StoreError::Listen { source, .. }) => ("--store-port", source),
        StartError::Secrets(SecretsError::Listen { source, .. }) => ("--secrets-port", source),
        _ => return None,
    };
    for_address(flag, source)
}

fn for_address(flag: &str, source: &io::Error) -> Option<String> {
    match source.kind() {
        ErrorKind::AddrInUse => Some(format!("Choose another port with {flag}.")),
        ErrorKind::PermissionDenied => Some(format!("Choose a port from 1024 up with {flag}.")),
        ErrorKind::AddrNotAvailable => Some(
            "Give --host an address of this machine: 127.0.0.1 for this machine alone, 0.0.0.0 to let others in."
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_fits_the_reason() {
        for (kind, part) in [
            (ErrorKind::AddrInUse, Some("another port with --port")),
            (ErrorKind::PermissionDenied, Some("from 1024 up with --port")),
            (ErrorKind::AddrNotAvailable, Some("--host an address of this machine")),
            (ErrorKind::OutOfMemory, None),
        ] {
            let advice = for_address("--port", &kind.into());
            assert_eq!(advice.is_some(), part.is_some(), "{kind}");
            assert!(advice.unwrap_or_default().contains(part.unwrap_or_default()), "{kind}");
        }
    }
}
