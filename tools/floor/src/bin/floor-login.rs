//! The floor of login: the same calls to Secrets Manager and `DynamoDB`, the same hash and the same signature, over
//! blocking sockets with requests that are signed by hand. The hash and the token are the domain's, so that what is left
//! of the difference is the AWS SDK, the Lambda runtime, HTTP types and the log.
//!
//! A sign-in from a known address makes four calls of the table: it counts the guess, reads the user, notes that the
//! guess was right, and writes the session.

use std::io;
use std::time::{Duration, SystemTime};

use floor::dynamo::{Credentials, Service};
use floor::{message, runtime};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde::Deserialize;
use shared::key::SigningKeys;
use shared::password::{Password, PasswordHash};
use shared::scope::Scopes;
use shared::session::SessionId;
use shared::time::Timestamp;
use shared::token::{self, Grant};
use shared::username::Username;

const REFUSED: &str = r#"{"statusCode":401,"headers":{"content-type":"application/json"},"body":"{\"error\":\"invalid_grant\",\"error_description\":\"Invalid credentials\"}"}"#;

#[derive(Deserialize)]
struct Secret {
    #[serde(rename = "SecretString")]
    ring: String,
}

#[derive(Deserialize)]
struct Event {
    body: String,
}

struct Login<'a> {
    ring: SigningKeys,
    table: String,
    url: &'a str,
    credentials: &'a Credentials,
    /// Connected with the first call, as the SDK does.
    store: Option<Service<'a>>,
}

#[expect(clippy::disallowed_methods, reason = "main reads the environment and the clock")]
fn main() -> io::Result<()> {
    let variable = |name| std::env::var(name).map_err(io::Error::other);
    let credentials = Credentials {
        key: variable("AWS_ACCESS_KEY_ID")?,
        secret: variable("AWS_SECRET_ACCESS_KEY")?,
        token: variable("AWS_SESSION_TOKEN")?,
        region: variable("AWS_REGION")?,
    };
    let url = variable("AWS_ENDPOINT_URL_SECRETS_MANAGER")?;
    let mut secrets = Service::connect("secretsmanager", &url, &credentials)?;
    let asked = format!(r#"{{"SecretId":"{}"}}"#, variable("SIGNING_KEYS")?);
    let secret: Secret =
        serde_json::from_slice(secrets.call("secretsmanager.GetSecretValue", &asked, SystemTime::now())?)?;
    let url = variable("AWS_ENDPOINT_URL_DYNAMODB")?;
    let mut login = Login {
        ring: SigningKeys::parse(&secret.ring).map_err(io::Error::other)?,
        table: variable("TABLE_NAME")?,
        url: &url,
        credentials: &credentials,
        store: None,
    };
    runtime::run(&variable("AWS_LAMBDA_RUNTIME_API")?, |event| login.handle(event, SystemTime::now()))
}

impl Login<'_> {
    fn handle(&mut self, event: &[u8], now: SystemTime) -> io::Result<String> {
        let event: Event = serde_json::from_slice(event)?;
        let field = |name: &str| {
            let fields = event.body.split('&').filter_map(|field| field.split_once('='));
            fields.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
        };
        let username = Username::parse(&field("username")).map_err(io::Error::other)?;
        let password = Password::new(field("password")).map_err(io::Error::other)?;
        self.note_guess("1", now)?;
        let body = format!(
            r#"{{"TableName":"{}","Key":{{"pk":{{"S":"USER#{username}"}},"sk":{{"S":"USER"}}}},"ConsistentRead":true}}"#,
            self.table
        );
        let row = self.call("DynamoDB_20120810.GetItem", &body, now)?;
        let hash = message::quoted_after(row, br#""password_hash":{"S":""#)
            .and_then(|hash| std::str::from_utf8(hash).ok())
            .ok_or_else(|| io::Error::other("no such user"))?;
        if !PasswordHash::parse(hash).map_err(io::Error::other)?.verify(&password) {
            return Ok(REFUSED.to_owned());
        }
        self.note_guess("0", now)?;
        self.sign_in(&username, now)
    }

    /// Writes how many guesses there were since the last sign-in.
    fn note_guess(&mut self, failures: &str, now: SystemTime) -> io::Result<()> {
        let expires = Timestamp::from(now).0 + 86_400;
        let body = format!(
            r#"{{"TableName":"{}","Key":{{"pk":{{"S":"ATTEMPT#floor"}},"sk":{{"S":"ATTEMPT"}}}},"UpdateExpression":"SET failures = :failures, expires_at = :expires","ExpressionAttributeValues":{{":failures":{{"N":"{failures}"}},":expires":{{"N":"{expires}"}}}}}}"#,
            self.table
        );
        self.call("DynamoDB_20120810.UpdateItem", &body, now).map(drop)
    }

    fn sign_in(&mut self, username: &Username, now: SystemTime) -> io::Result<String> {
        let mut rng = UnwrapErr(SysRng);
        let session = SessionId::generate(&mut rng);
        let grant = Grant {
            issuer: "https://gatehouse.example.com/prod",
            audience: "gatehouse",
            subject: username,
            client_id: "gatehouse",
            scopes: &Scopes::parse("profile:read profile:write").map_err(io::Error::other)?,
            session: &session,
            lifetime: Duration::from_mins(30),
        };
        let seconds = Timestamp::from(now);
        let key = self.ring.signing(seconds).ok_or_else(|| io::Error::other("no key signs yet"))?;
        let access = token::issue(&grant, key, seconds, &mut rng).map_err(io::Error::other)?;
        let expires = seconds.0 + 30 * 86_400;
        let body = format!(
            r#"{{"TableName":"{}","Item":{{"pk":{{"S":"SESSION#{username}"}},"sk":{{"S":"{}"}},"counter":{{"N":"0"}},"client_id":{{"S":"gatehouse"}},"created_at":{{"N":"{}"}},"expires_at":{{"N":"{expires}"}}}},"ConditionExpression":"attribute_not_exists(pk)"}}"#,
            self.table,
            session.as_str(),
            seconds.0,
        );
        self.call("DynamoDB_20120810.PutItem", &body, now)?;
        Ok(format!(
            r#"{{"statusCode":200,"headers":{{"content-type":"application/json"}},"body":"{{\"access_token\":\"{}\",\"token_type\":\"bearer\",\"expires_in\":1800}}"}}"#,
            access.expose()
        ))
    }

    fn call(&mut self, target: &str, body: &str, now: SystemTime) -> io::Result<&[u8]> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Service::connect("dynamodb", self.url, self.credentials)?),
        };
        store.call(target, body, now)
    }
}
