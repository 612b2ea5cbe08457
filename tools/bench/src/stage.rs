//! What the functions need around them: the local stack with a key, users and sessions, and the subjects on it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::{Functions, Limits, LogSink, Options, SecretsLocation, Stack, StoreLocation};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde_json::Value;
use shared::BoxError;
use shared::access_token::{self, Grant};
use shared::aws::sdk::laptop_config;
use shared::client::Client;
use shared::guessing::Address;
use shared::key::{Algorithm, SigningKeys};
use shared::password::{Cost, Password, PasswordHash};
use shared::scope::Scopes;
use shared::session::{Policy, Session, SessionId};
use shared::store::Store;
use shared::time::Timestamp;
use shared::user::User;
use shared::username::Username;

use crate::peers::Peers;
use crate::subject::Subject;

/// The password of every user.
pub(crate) const PASSWORD: &str = "secret";
/// The user of the sample events, whose sessions are listed, so that nobody signs in as that user.
const USER: &str = "johndoe";
/// The user whose hash costs as much as the template says.
pub(crate) const DEAR_USER: &str = "dear";
/// The user whose hash costs next to nothing, to see everything else.
const CHEAP_USER: &str = "cheap";
/// The function that does nothing.
pub(crate) const ALONE: &str = "lambda_runtime alone";
/// The user who takes the same password again and again.
const CHANGING_USER: &str = "changing";
/// That user's password, which has to be as long as a new one.
const LONG_PASSWORD: &str = "correct-horse-battery";
/// A user whose name is taken.
const REGISTERED_USER: &str = "jane@example.com";
const DEAR: u8 = 12;
const CHEAP: u8 = 4;
const SCOPES: &str = "profile:read profile:write";
/// What the sample events say of the API.
const ISSUER: &str = "https://gatehouse.example.com/prod";
const ADDRESS: &str = "192.0.2.1";
const PASSWORD_EVENT: &str = "account-password.json";
/// What the answer to it holds.
const CHANGED: &str = r#""statusCode":20"#;
const DAY: Duration = Duration::from_hours(24);

/// The stack that the functions run against.
pub(crate) struct Stage {
    stack: Stack,
    root: PathBuf,
    binaries: BTreeMap<String, PathBuf>,
}

/// The function that calls no AWS service and is built without what does.
const WITHOUT_AWS: &str = "protected";

/// The subjects' programs, by name: every function of the root's workspace, and the floor. SAM builds each function by
/// itself; those that ask for the same features may as well be built together.
pub(crate) fn build(root: &Path) -> Result<BTreeMap<String, PathBuf>, BoxError> {
    let functions = functions(root)?;
    let others: Vec<_> = functions.iter().map(String::as_str).filter(|name| *name != WITHOUT_AWS).collect();
    let mut binaries = local::build_for_release(&root.join("tools/bench"), &["floor"])?;
    binaries.append(&mut local::build_for_release(root, &[WITHOUT_AWS])?);
    binaries.append(&mut local::build_for_release(root, &others)?);
    Ok(binaries)
}

/// The functions of the root's workspace.
pub(crate) fn functions(root: &Path) -> Result<Vec<String>, BoxError> {
    let mut functions = Vec::new();
    for folder in std::fs::read_dir(root.join("functions"))? {
        functions.push(folder?.file_name().to_string_lossy().into_owned());
    }
    functions.sort();
    Ok(functions)
}

impl Stage {
    /// Starts the stack, in memory, and fills it.
    pub(crate) async fn set(
        root: &Path,
        binaries: &BTreeMap<String, PathBuf>,
        now: Timestamp,
    ) -> Result<Self, BoxError> {
        let stack = Stack::start(Options {
            root: root.to_owned(),
            template: root.join("template.yaml"),
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            store: StoreLocation::Memory,
            store_port: 0,
            secrets: SecretsLocation::Memory,
            secrets_port: 0,
            // The authorizer is given tokens of no session, and a count of sessions now and then would blur what a sign-in
            // takes.
            parameters: [("LiveRevocation", "off"), ("MaxSessions", "1000")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            environment: BTreeMap::new(),
            functions: Functions::At(binaries.clone()),
            limits: Limits::default(),
            log: LogSink::memory(),
        })
        .await?;
        stack.rotate().await?;
        let store = store(&stack)?;
        for (username, password, cost) in [
            (DEAR_USER, PASSWORD, DEAR),
            (CHEAP_USER, PASSWORD, CHEAP),
            (CHANGING_USER, LONG_PASSWORD, CHEAP),
            (REGISTERED_USER, LONG_PASSWORD, CHEAP),
        ] {
            add_user(&store, username, password, Cost::new(cost)?, now).await?;
        }
        for username in [CHEAP_USER, CHANGING_USER] {
            sign_in(&store, username, now).await?;
        }
        add_sessions(&store, now).await?;
        Ok(Self { stack, root: root.to_owned(), binaries: binaries.clone() })
    }

    /// Everything that is measured.
    pub(crate) async fn subjects(&self, now: Timestamp, peers: Option<&Peers>) -> Result<Vec<Subject>, BoxError> {
        let mut subjects = self.authorizers(now, peers).await?;
        subjects.extend(self.handlers()?);
        subjects.extend(self.logins(peers)?);
        Ok(subjects)
    }

    /// Where the stack's gateway listens.
    pub(crate) fn address(&self) -> Result<SocketAddr, BoxError> {
        Ok(self.stack.url().trim_start_matches("http://").parse()?)
    }

    async fn authorizers(&self, now: Timestamp, peers: Option<&Peers>) -> Result<Vec<Subject>, BoxError> {
        let mut rng = UnwrapErr(SysRng);
        let mut generate = |algorithm| SigningKeys::generate(algorithm, now, &mut rng).ok_or("no key can be made");
        let (symmetric, asymmetric) = (generate(Algorithm::Hs256)?, generate(Algorithm::Es256)?);
        let (hs256, es256) = (token_event(&self.root, &symmetric, now)?, token_event(&self.root, &asymmetric, now)?);
        let inline = |keys: &SigningKeys| keys.to_verifying_jwks().to_string();
        let newest = asymmetric.newest().ok_or("an empty ring")?;
        let row = newest.public_jwk().ok_or("a key without a public half")?;
        store(&self.stack)?.publish_key(newest.id(), &row, now).await?;

        let alone = Subject {
            command: self.binary("floor")?,
            limited: false,
            ..self.subject(ALONE, "authorizer", &hs256, "null")?
        };
        let authorizer = |name, event: &[u8], ring: &str| -> Result<Subject, BoxError> {
            Ok(self.subject(name, "authorizer", event, "Allow")?.with("ISSUER", ISSUER).with("VERIFYING_KEYS", ring))
        };
        let mut subjects = vec![
            alone,
            authorizer("authorizer, HS256", &hs256, &inline(&symmetric))?,
            Subject { limited: false, ..authorizer("authorizer, HS256, silent", &hs256, &inline(&symmetric))? }
                .with("LOG_LEVEL", "error"),
            authorizer("authorizer, ES256", &es256, &inline(&asymmetric))?,
            authorizer("authorizer, ES256 from the table", &es256, "")?,
        ];
        if let Some(peers) = peers {
            let jwks: Value = serde_json::from_str(&inline(&symmetric))?;
            let secret = jwks["keys"][0]["k"].as_str().ok_or("an HS256 key without its secret")?;
            let base = self.subject("a peer", "authorizer", &hs256, "Allow")?;
            let base = base.with("ISSUER", ISSUER).with("PEER_SECRET", secret);
            subjects.extend(peers.authorizers(&base, "authorizer, HS256"));
        }
        Ok(subjects)
    }

    fn handlers(&self) -> Result<Vec<Subject>, BoxError> {
        let sample = |name, function, event, expected| -> Result<Subject, BoxError> {
            let event = std::fs::read(self.root.join("events").join(event))?;
            self.subject(name, function, &event, expected)
        };
        Ok(vec![
            sample("protected", "protected", "protected.json", r#""statusCode":200"#)?,
            sample("sessions", "sessions", "sessions-list.json", r#""statusCode":200"#)?,
            sample("discovery", "discovery", "discovery-key-set.json", r#""statusCode":200"#)?,
            sample("users", "users", "users-list.json", r#""statusCode":200"#)?,
            // The name is taken: it is another one's turn each time otherwise.
            sample("register, cost 4", "register", "register.json", r#""statusCode":409"#)?
                .with("BCRYPT_COST", &CHEAP.to_string())
                .with("REGISTRATIONS_PER_ADDRESS", "1000000"),
            Subject { event: self.password_event()?, ..sample("account, cost 4", "account", PASSWORD_EVENT, CHANGED)? }
                .with("BCRYPT_COST", &CHEAP.to_string()),
            sample("erase", "erase", "erase.json", "null")?,
            // A step for a version that nobody asked for, because of each other one there is one turn.
            sample("rotate-keys, refused", "rotate-keys", "rotate-keys.json", "no such version")?,
        ])
    }

    /// A password is changed to what it was.
    fn password_event(&self) -> Result<Vec<u8>, BoxError> {
        edited(&self.root.join("events").join(PASSWORD_EVENT), |event| {
            event["requestContext"]["authorizer"]["principalId"] = CHANGING_USER.into();
            event["requestContext"]["authorizer"]["username"] = CHANGING_USER.into();
            event["body"] = format!("current_password={LONG_PASSWORD}&new_password={LONG_PASSWORD}").into();
        })
    }

    /// With the right password: a wrong one is taken a few times, and then answered with 429.
    fn logins(&self, peers: Option<&Peers>) -> Result<Vec<Subject>, BoxError> {
        let login = |name, username: &str| -> Result<Subject, BoxError> {
            let event = edited(&self.root.join("events/login-form.json"), |event| {
                event["body"] = format!("username={username}&password={PASSWORD}").into();
            })?;
            self.subject(name, "login", &event, r#""statusCode":200"#)
        };
        let cheap = |name| -> Result<Subject, BoxError> {
            Ok(login(name, CHEAP_USER)?.with("BCRYPT_COST", &CHEAP.to_string()))
        };
        let mut subjects = vec![
            cheap("login, cost 4")?,
            Subject { slow: true, limited: false, ..login("login, cost 12", DEAR_USER)? },
        ];
        if let Some(peers) = peers {
            // It has a secret of its own: nobody looks at its tokens.
            let base = Subject { expected: "access_token", ..cheap("a peer")? };
            let base = base.with("ISSUER", ISSUER).with("PEER_SECRET", &"A".repeat(43));
            subjects.push(peers.login(&base, "login, cost 4"));
        }
        Ok(subjects)
    }

    /// A function of the template, with the environment that it would be started with.
    fn subject(
        &self,
        name: &'static str,
        function: &str,
        event: &[u8],
        expected: &'static str,
    ) -> Result<Subject, BoxError> {
        let environment = self.stack.environment(function).ok_or_else(|| format!("no function {function}"))?;
        Ok(Subject {
            name,
            command: self.binary(function)?,
            arguments: Vec::new(),
            environment,
            event: event.to_owned(),
            expected,
            peer_of: None,
            slow: false,
            limited: true,
        })
    }

    fn binary(&self, name: &str) -> Result<PathBuf, BoxError> {
        Ok(self.binaries.get(name).ok_or_else(|| format!("cargo built no {name}"))?.clone())
    }
}

impl Subject {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), OsString::from(value));
        self
    }
}

/// The stack's tables.
fn store(stack: &Stack) -> Result<Store, BoxError> {
    let counts = stack.table("CountsTable").ok_or("no table of counts")?;
    Ok(Store::new(&laptop_config(stack.store_url()), stack.table_name()).counting_in(counts))
}

async fn add_user(store: &Store, username: &str, password: &str, cost: Cost, now: Timestamp) -> Result<(), BoxError> {
    let mut rng = UnwrapErr(SysRng);
    let hash = PasswordHash::renew(&Password::new(password.to_owned())?, cost, &mut rng);
    let user = User::new(Username::parse(username)?, hash, Scopes::parse(SCOPES)?, now, &mut rng);
    store.add_user(&user, now).await?;
    Ok(())
}

/// Makes the address of the sample events a known one of the user's.
async fn sign_in(store: &Store, username: &str, now: Timestamp) -> Result<(), BoxError> {
    let (username, address) = (Username::parse(username)?, Address::of(Some(ADDRESS)));
    let counts = store.look_up(&username, address, now, &mut UnwrapErr(SysRng)).await?.counts;
    let guess = store.count_guess(counts, "100".parse()?).await?;
    let guess = guess.map_err(|throttled| format!("a first guess was refused: {}", throttled.limit))?;
    Ok(store.guess_was_right(&guess, now).await?)
}

/// Three sessions of the user that the sample events name.
async fn add_sessions(store: &Store, now: Timestamp) -> Result<(), BoxError> {
    let policy = Policy { lifetime: 90 * DAY, idle: 30 * DAY, grace: Duration::from_secs(10) };
    for _ in 0..3 {
        let session = Session::begin(
            SessionId::generate(&mut UnwrapErr(SysRng)),
            Scopes::parse(SCOPES)?,
            "gatehouse".to_owned(),
            1,
            Client { address: Some(ADDRESS.to_owned()), user_agent: Some("curl/8.5.0".to_owned()) },
            &policy,
            now,
        );
        store.add_session(&Username::parse(USER)?, &session).await?;
    }
    Ok(())
}

/// The authorizer's sample event, with a token of this ring.
///
/// ECDSA draws a number for each signature, and one whose first bit is set takes two allocations more to verify. All
/// tokens are of that half, so that chance doesn't decide what is counted.
fn token_event(root: &Path, keys: &SigningKeys, now: Timestamp) -> Result<Vec<u8>, BoxError> {
    let mut rng = UnwrapErr(SysRng);
    let grant = Grant {
        issuer: ISSUER,
        audience: "gatehouse",
        subject: &Username::parse(USER)?,
        client_id: "gatehouse",
        scopes: &Scopes::parse(SCOPES)?,
        session: &SessionId::generate(&mut rng),
        lifetime: DAY,
    };
    let key = keys.signing(now).ok_or("a ring that doesn't sign")?;
    let token = loop {
        let token = access_token::issue(&grant, key, now, &mut rng)?;
        if starts_with_a_set_bit(token.expose().rsplit('.').next().unwrap_or_default()) {
            break token;
        }
    };
    let bearer = Value::from(format!("Bearer {}", token.expose()));
    edited(&root.join("events/authorizer-good-token.json"), |event| {
        event["headers"]["Authorization"] = bearer.clone();
        event["multiValueHeaders"]["Authorization"][0] = bearer;
    })
}

/// Whether this base64url is one of what starts with a set bit: its first character stands for 32 or more.
fn starts_with_a_set_bit(base64url: &str) -> bool {
    base64url.starts_with(|first| matches!(first, 'g'..='z' | '0'..='9' | '-' | '_'))
}

fn edited(event: &Path, edit: impl FnOnce(&mut Value)) -> Result<Vec<u8>, BoxError> {
    let mut json = serde_json::from_slice(&std::fs::read(event)?)?;
    edit(&mut json);
    Ok(serde_json::to_vec(&json)?)
}
