//! The floor of login: the same calls to Secrets Manager and `DynamoDB`, the same hash and the same signatures, over
//! blocking sockets with requests that are signed by hand. The hash and the tokens are the domain's, so that what is left
//! of the difference is the AWS SDK, the Lambda runtime, HTTP types and the log.
//!
//! It makes the calls of a sign-in from an address that is known, and fails where the address isn't.

use std::io;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use floor::dynamo::{Credentials, Service};
use floor::{message, runtime};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde::Deserialize;
use shared::access_token::{self, Grant};
use shared::guessing::{Address, Pair};
use shared::key::SigningKeys;
use shared::password::{Password, PasswordHash};
use shared::refresh_token::RefreshToken;
use shared::scope::Scopes;
use shared::session::SessionId;
use shared::time::Timestamp;
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
    #[serde(rename = "requestContext")]
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: String,
    user_agent: String,
}

struct Login<'a> {
    ring: SigningKeys,
    table: String,
    /// The table of counts.
    counts: String,
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
        counts: variable("COUNTS_TABLE_NAME")?,
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
        let guess = Guess::new(&username, &event.context.identity.source_ip);
        self.count(&guess, now)?;
        let row = self.look_up(&username, now)?;
        let hash = message::quoted_after(row, br#""password_hash":{"S":""#)
            .and_then(|hash| std::str::from_utf8(hash).ok())
            .ok_or_else(|| io::Error::other("no such user"))?;
        if !PasswordHash::parse(hash).map_err(io::Error::other)?.verify(&password) {
            return Ok(REFUSED.to_owned());
        }
        self.forgive(&guess, now)?;
        self.sign_in(&username, &event.context.identity, now)
    }

    /// Reads the account and its hash.
    fn look_up(&mut self, username: &Username, now: SystemTime) -> io::Result<&[u8]> {
        let body = format!(
            r#"{{"RequestItems":{{"{}":{{"Keys":[{{"pk":{{"S":"USER#{name}"}},"sk":{{"S":"USER"}}}},{{"pk":{{"S":"CREDENTIAL#{name}"}},"sk":{{"S":"PASSWORD"}}}}],"ConsistentRead":true}}}}}}"#,
            self.table,
            name = username.folded()
        );
        self.call("DynamoDB_20120810.BatchGetItem", &body, now)
    }

    /// Counts the guess.
    fn count(&mut self, guess: &Guess, now: SystemTime) -> io::Result<()> {
        let body = format!(
            r#"{{"TableName":"{}",{},"UpdateExpression":"SET failures = :failures, blocked_until = :blocked_until, last_guess = :id","ConditionExpression":"failures = :zero AND known_until > :now","ExpressionAttributeValues":{{":zero":{{"N":"0"}},":now":{{"N":"{now}"}},":failures":{{"N":"1"}},":blocked_until":{{"N":"{now}"}},":id":{{"S":"{}"}}}},"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}"#,
            self.counts,
            guess.row,
            guess.id.as_str(),
            now = Timestamp::from(now).0,
        );
        self.call("DynamoDB_20120810.UpdateItem", &body, now).map(drop)
    }

    /// Notes that the guess was right.
    fn forgive(&mut self, guess: &Guess, now: SystemTime) -> io::Result<()> {
        let pair = Pair::signed_in(now.into());
        let known_until = pair.known_until.ok_or_else(|| io::Error::other("an address that nobody knows"))?;
        let body = format!(
            r#"{{"TableName":"{}",{},"UpdateExpression":"SET failures = :failures, blocked_until = :blocked_until, known_until = :known_until, last_guess = :id, expires_at = :expires","ExpressionAttributeValues":{{":failures":{{"N":"{}"}},":blocked_until":{{"N":"{}"}},":known_until":{{"N":"{}"}},":id":{{"S":"{}.right"}},":expires":{{"N":"{}"}}}}}}"#,
            self.counts,
            guess.row,
            pair.tally.failures,
            pair.tally.blocked_until.0,
            known_until.0,
            guess.id.as_str(),
            pair.expires().0,
        );
        self.call("DynamoDB_20120810.UpdateItem", &body, now).map(drop)
    }

    fn sign_in(&mut self, username: &Username, from: &Identity, now: SystemTime) -> io::Result<String> {
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
        let access = access_token::issue(&grant, key, seconds, &mut rng).map_err(io::Error::other)?;
        let refresh = RefreshToken::issue(username, &session, 0, key.refresh_key());
        let body = format!(
            r#"{{"TableName":"{}","Item":{{"pk":{{"S":"SESSION#{}"}},"sk":{{"S":"{}"}},"counter":{{"N":"0"}},"client_id":{{"S":"gatehouse"}},"password_version":{{"N":"1"}},"created_at":{{"N":"{now}"}},"last_used_at":{{"N":"{now}"}},"ends_at":{{"N":"{}"}},"expires_at":{{"N":"{}"}},"scopes":{{"SS":["profile:read","profile:write"]}},"address":{{"S":"{}"}},"user_agent":{{"S":"{}"}}}},"ConditionExpression":"attribute_not_exists(pk)"}}"#,
            self.table,
            username.folded(),
            session.as_str(),
            seconds.0 + 90 * 86_400,
            seconds.0 + 30 * 86_400,
            from.source_ip,
            from.user_agent,
            now = seconds.0,
        );
        self.call("DynamoDB_20120810.PutItem", &body, now)?;
        // The account has to be as it was.
        self.look_up(username, now)?;
        Ok(format!(
            r#"{{"statusCode":200,"headers":{{"content-type":"application/json"}},"body":"{{\"access_token\":\"{}\",\"token_type\":\"bearer\",\"expires_in\":1800,\"refresh_token\":\"{}\",\"scope\":\"profile:read profile:write\"}}"}}"#,
            access.expose(),
            refresh.expose()
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

/// A guess at an account's password.
struct Guess {
    /// The row that counts it, as the member `Key` of a request.
    row: String,
    id: SessionId,
}

impl Guess {
    fn new(username: &Username, address: &str) -> Self {
        let named = format!("pair\n{}\n{}", username.folded(), Address::of(Some(address)));
        let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, named.as_bytes()));
        let row = format!(r#""Key":{{"pk":{{"S":"ATTEMPT#{digest}"}},"sk":{{"S":"ATTEMPT"}}}}"#);
        // Random bytes of the same number and form as the store draws.
        Self { row, id: SessionId::generate(&mut UnwrapErr(SysRng)) }
    }
}
