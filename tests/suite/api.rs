//! A running stack for one test, and a client for it.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_dynamodb::types::AttributeValue;
use local::{Functions, Invocation, Limits, LogSink, Options, SecretsLocation, Stack, StoreLocation};
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;
use shared::{
    access_token::AccessToken,
    aws::sdk::laptop_config,
    key::{Algorithm, SigningKeys},
    password::{Cost, Password, PasswordHash},
    scope::Scopes,
    session::Session,
    store::Store,
    time::Timestamp,
    user::{Status, User},
    username::Username,
};

use rand::{rand_core::UnwrapErr, rngs::SysRng};

pub const AUDIENCE: &str = "gatehouse";
pub const FORM: &str = "application/x-www-form-urlencoded";
pub const JSON: &str = "application/json";

/// The password of [`Api::start`]'s user `johndoe`.
pub const PASSWORD: &str = "correct horse battery";

pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A stack of its own, with the user `johndoe` and a key ring of its own.
///
/// When it is dropped, everything that its functions logged is searched for the passwords and tokens
/// that went over it.
pub struct Api {
    pub stack: Stack,
    pub store: Store,
    pub keys: SigningKeys,
    table: aws_sdk_dynamodb::Client,
    client: reqwest::Client,
    log: LogSink,
    secrets: Mutex<Vec<String>>,
}

/// Where the functions have their keys from.
#[derive(PartialEq, Eq)]
pub enum Ring {
    /// From a setting, `Api::keys`.
    Inline,
    /// From the secret and the table, where rotation puts them.
    Rotated,
}

/// How a test's stack differs from the usual one.
pub struct Setup {
    pub ring: Ring,
    pub algorithm: Algorithm,
    /// The password and the scopes of the user `johndoe`.
    pub johndoe: (&'static str, &'static str),
    pub parameters: Vec<(&'static str, &'static str)>,
    pub environment: Vec<(&'static str, &'static str, String)>,
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            ring: Ring::Inline,
            algorithm: Algorithm::Es256,
            johndoe: (PASSWORD, "read write"),
            parameters: Vec::new(),
            environment: Vec::new(),
            // A busy machine makes calls wait; none is to be turned away for that.
            limits: Limits { queue: Duration::from_secs(25), ..Limits::default() },
        }
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is no JSON: {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts the one error shape, and gives the description.
    #[track_caller]
    pub fn error(&self, status: u16, error: &str) -> String {
        let body = self.json();
        assert_eq!((self.status, body["error"].as_str()), (status, Some(error)), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        assert_eq!(self.header("content-type"), Some(JSON));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        body["error_description"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn access_token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["access_token"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn refresh_token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["refresh_token"].as_str().unwrap().to_owned()
    }

    /// The cookies that the answer sets, by their names; an empty value is one that is taken back.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let headers = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        headers
            .map(|header| header.split_once(';').unwrap().0.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// The functions' binaries, built once for the whole test process.
pub fn functions() -> BTreeMap<String, PathBuf> {
    static BINARIES: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BINARIES.get_or_init(|| local::build_functions_for_tests(root()).unwrap()).clone()
}

pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the functions under test take the machine's time")]
    SystemTime::now().into()
}

pub fn hash(password: &str) -> PasswordHash {
    PasswordHash::renew(&Password::new(password.to_owned()).unwrap(), Cost::new(4).unwrap(), &mut UnwrapErr(SysRng))
}

impl Api {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// A stack whose authorizer looks at no sessions, for tokens that belong to none.
    pub async fn stateless() -> Self {
        Self::with(Setup { parameters: vec![("LiveRevocation", "off")], ..Setup::default() }).await
    }

    pub async fn with(setup: Setup) -> Self {
        let keys = SigningKeys::generate(setup.algorithm, now(), &mut UnwrapErr(SysRng)).unwrap();
        let mut environment: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let hashing = ["login", "register", "account"];
        let mut variables: Vec<_> = hashing.map(|function| (function, "BCRYPT_COST", "4".to_owned())).into();
        if setup.ring == Ring::Inline {
            variables.push(("login", "SIGNING_KEYS", keys.to_private_jwks().to_string()));
            variables.push(("authorizer", "VERIFYING_KEYS", keys.to_verifying_jwks().to_string()));
        }
        for (function, name, value) in variables.into_iter().chain(setup.environment) {
            environment.entry(function.to_owned()).or_default().insert(name.to_owned(), value);
        }
        let log = LogSink::memory();
        let options = Options {
            root: root().to_owned(),
            template: root().join("template.yaml"),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            store: StoreLocation::Memory,
            store_port: 0,
            secrets: SecretsLocation::Memory,
            secrets_port: 0,
            parameters: setup.parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            environment,
            functions: Functions::At(functions()),
            limits: setup.limits,
            log: log.clone(),
        };
        let stack = Stack::start(options).await.unwrap();
        let sdk = laptop_config(stack.store_url());
        let table = aws_sdk_dynamodb::Client::new(&sdk);
        let store = Store::new(&sdk, stack.table_name()).counting_in(counts_table(&stack));
        let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        let secrets = Mutex::new(vec![keys.to_private_jwks().to_string()]);
        let api = Self { stack, store, keys, table, client, log, secrets };
        api.add_user("johndoe", hash(setup.johndoe.0), setup.johndoe.1, Status::Active).await;
        api
    }

    pub async fn add_user(&self, username: &str, password_hash: PasswordHash, scopes: &str, status: Status) {
        let (username, scopes) = (Username::parse(username).unwrap(), Scopes::parse(scopes).unwrap());
        let user = User { status, ..User::new(username, password_hash, scopes, now(), &mut UnwrapErr(SysRng)) };
        assert!(self.store.add_user(&user, now()).await.unwrap());
    }

    /// Puts something that is no hash into the place of a user's.
    pub async fn damage_hash(&self, username: &str) {
        self.table
            .update_item()
            .table_name(self.stack.table_name())
            .key("pk", AttributeValue::S(format!("CREDENTIAL#{username}")))
            .key("sk", AttributeValue::S("PASSWORD".to_owned()))
            .update_expression("SET password_hash = :damaged")
            .expression_attribute_values(":damaged", AttributeValue::S("damaged".to_owned()))
            .send()
            .await
            .unwrap();
    }

    /// Gives a user these scopes in the place of others.
    pub async fn set_scopes(&self, username: &str, scopes: &[&str]) {
        self.table
            .update_item()
            .table_name(self.stack.table_name())
            .key("pk", AttributeValue::S(format!("USER#{username}")))
            .key("sk", AttributeValue::S("USER".to_owned()))
            .update_expression("SET scopes = :scopes")
            .expression_attribute_values(
                ":scopes",
                AttributeValue::Ss(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            )
            .send()
            .await
            .unwrap();
    }

    /// The rows that count guesses and registrations.
    pub async fn counts(&self) -> Vec<HashMap<String, AttributeValue>> {
        let rows = self.table.scan().table_name(counts_table(&self.stack)).into_paginator().items().send();
        rows.collect::<Result<_, _>>().await.unwrap()
    }

    pub async fn user(&self, username: &str) -> User {
        self.store.find_user(&Username::parse(username).unwrap()).await.unwrap().unwrap()
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.stack.url())).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { status, headers, text: response.text().await.unwrap() };
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        for token in ["access_token", "refresh_token"].iter().filter_map(|name| body[name].as_str()) {
            self.keep_secret(token);
        }
        for (_, value) in answer.cookies() {
            self.keep_secret(&value);
        }
        answer
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, "").await
    }

    /// Signs in with a form of these fields.
    pub async fn login(&self, fields: &[(&str, &str)]) -> Answer {
        for (name, value) in fields {
            if *name == "password" {
                self.keep_secret(value);
            }
        }
        self.send(Method::POST, "/login", &[("Content-Type", FORM)], form(fields)).await
    }

    /// Signs johndoe in.
    pub async fn sign_in(&self) -> Answer {
        self.login(&[("username", "johndoe"), ("password", PASSWORD)]).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.login(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Makes a session of johndoe's older, as if all that happened to it had been so many seconds earlier.
    pub async fn age_session(&self, id: &str, seconds: u64) {
        let times = ["created_at", "last_used_at", "ends_at", "expires_at"];
        let set: Vec<String> = times.iter().map(|time| format!("{time} = {time} - :seconds")).collect();
        self.table
            .update_item()
            .table_name(self.stack.table_name())
            .key("pk", AttributeValue::S("SESSION#johndoe".to_owned()))
            .key("sk", AttributeValue::S(id.to_owned()))
            .update_expression(format!("SET {}", set.join(", ")))
            .expression_attribute_values(":seconds", AttributeValue::N(seconds.to_string()))
            .send()
            .await
            .unwrap();
    }

    /// A session of johndoe's.
    pub async fn session(&self, id: &str) -> Option<Session> {
        let sessions = self.store.sessions(&Username::parse("johndoe").unwrap()).await.unwrap();
        sessions.into_iter().find(|session| session.id.as_str() == id)
    }

    /// Adds rows of no kind, each of so many bytes.
    pub async fn add_filler(&self, rows: usize, bytes: usize) {
        for number in 0..rows {
            self.table
                .put_item()
                .table_name(self.stack.table_name())
                .item("pk", AttributeValue::S(format!("FILLER#{number}")))
                .item("sk", AttributeValue::S("FILLER".to_owned()))
                .item("username", AttributeValue::S("x".repeat(bytes)))
                .send()
                .await
                .unwrap();
        }
    }

    /// How many rows of the main table have a key that begins so.
    pub async fn count_rows(&self, prefix: &str) -> usize {
        let mut items = self.table.scan().table_name(self.stack.table_name()).into_paginator().items().send();
        let mut rows = 0;
        while let Some(item) = items.next().await {
            rows += usize::from(item.unwrap()["pk"].as_s().unwrap().starts_with(prefix));
        }
        rows
    }

    /// Everything that the tables hold.
    pub async fn dump(&self) -> String {
        let answer = self.table.scan().table_name(self.stack.table_name()).send().await.unwrap();
        assert!(answer.last_evaluated_key.is_none());
        format!("{:?} {:?}", answer.items(), self.counts().await)
    }

    /// Waits until something is so, which has to happen by itself within some seconds.
    pub async fn until(&self, condition: impl AsyncFn() -> bool) {
        let begin = Instant::now();
        while !condition().await {
            assert!(begin.elapsed() < Duration::from_secs(20), "it didn't happen: {}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn token(&self) -> String {
        self.sign_in().await.access_token()
    }

    pub async fn protected(&self, authorization: &str) -> Answer {
        self.get("/protected", &[("Authorization", authorization)]).await
    }

    pub fn issued(&self, token: &AccessToken) -> String {
        self.keep_secret(token.expose());
        token.expose().to_owned()
    }

    /// Calls a function past the gateway; gives its answer, or the message of its error.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, String> {
        match self.stack.invoke(function, event.to_string().as_bytes()).await {
            Invocation::Response(payload) => Ok(serde_json::from_slice(&payload).unwrap()),
            Invocation::Error(error) => Err(error.error_message),
            other => panic!("{function}: {other:?}"),
        }
    }

    /// From now on no log may hold this. Short texts are no secrets: they are in every log by chance.
    pub fn keep_secret(&self, text: &str) {
        if text.len() >= 8 {
            self.secrets.lock().unwrap().push(text.to_owned());
        }
    }

    /// Searches the log for the last of the secrets only: all of a hundred thousand would take for ever.
    pub fn keep_last_secrets(&self, count: usize) {
        let mut secrets = self.secrets.lock().unwrap();
        let older = secrets.len().saturating_sub(count);
        secrets.drain(..older);
    }

    pub fn log(&self) -> String {
        self.log.contents()
    }

    /// The log lines of the functions, without the local stack's own.
    pub fn lines(&self) -> Vec<Value> {
        self.log()
            .lines()
            .filter(|line| !["[gateway] ", "[store] ", "[stream] "].iter().any(|source| line.starts_with(source)))
            // The local stack puts the function's name in front.
            .map(|line| line.split_once("] ").unwrap().1)
            .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            // It is called for each change of an account, some time after it, and for no request.
            .filter(|line| line["function"] != "erase")
            .collect()
    }
}

/// The name of the table of counts.
pub fn counts_table(stack: &Stack) -> &str {
    stack.table("CountsTable").unwrap()
}

impl Drop for Api {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let leaked = leaks(&self.log.contents(), &self.secrets.lock().unwrap());
            assert!(leaked.is_empty(), "the log holds secrets: {leaked:?}");
        }
    }
}

/// The lines of a log that hold a secret, or what looks like a token, a hash or an `Authorization` header.
pub fn leaks(log: &str, secrets: &[String]) -> Vec<String> {
    let marks = ["Bearer ", "Basic ", "$2b$", "$bcrypt-sha256$", "\"d\":"];
    log.lines()
        .filter(|line| {
            secrets.iter().any(|secret| line.contains(secret.as_str()))
                || marks.iter().any(|mark| line.contains(mark))
                || has_part_of_token(line)
        })
        .map(str::to_owned)
        .collect()
}

/// Whether a part of a JWT stands in the line. A session's identifier, 22 characters of chance, may look like one.
fn has_part_of_token(line: &str) -> bool {
    const IDENTIFIER: usize = 22;
    let mut words = line.split(|char: char| !char.is_ascii_alphanumeric() && char != '-' && char != '_');
    words.any(|word| word.starts_with("eyJ") && word.len() != IDENTIFIER)
}

pub fn form(fields: &[(&str, &str)]) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}
