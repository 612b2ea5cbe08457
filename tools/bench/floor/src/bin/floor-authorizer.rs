//! The floor of the authorizer: checks the HMAC of an HS256 token, and nothing else that a verifier has to check.

use std::io;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use floor::{message, runtime};

const ALLOW: &str = r#"{"principalId":"johndoe","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":["arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/prod/*"]}]},"context":{"username":"johndoe","scope":"profile:read profile:write","session":"AAAAAAAAAAAAAAAAAAAAAA"}}"#;
const REFUSE: &str = r#"{"isAuthorized":false}"#;

#[expect(clippy::disallowed_methods, reason = "main reads the environment")]
fn main() -> io::Result<()> {
    let variable = |name| std::env::var(name).map_err(io::Error::other);
    let key = URL_SAFE_NO_PAD.decode(variable("FLOOR_KEY")?).map_err(io::Error::other)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    runtime::run(&variable("AWS_LAMBDA_RUNTIME_API")?, |event| {
        let allowed = message::quoted_after(event, b"Bearer ").is_some_and(|token| verifies(token, &key));
        Ok(if allowed { ALLOW } else { REFUSE }.to_owned())
    })
}

fn verifies(token: &[u8], key: &hmac::Key) -> bool {
    let Some(dot) = token.iter().rposition(|byte| *byte == b'.') else { return false };
    URL_SAFE_NO_PAD
        .decode(&token[dot + 1..])
        .is_ok_and(|signature| hmac::verify(key, &token[..dot], &signature).is_ok())
}
