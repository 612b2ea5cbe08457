//! The four steps of a rotation, over the laptop's Secrets Manager and without a process: a rotation is announced
//! there, whose steps a test then takes itself.

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path, time::Duration};

use local::{Functions, Limits, LogSink, Options, SecretsLocation, Stack, StoreLocation};
use serde_json::{Value, json};
use shared::{
    aws::{sdk::laptop_config, secrets::SigningSecret},
    key::{Algorithm, SigningKey, SigningKeys},
    random,
    store::{KeyRow, Store},
    time::{Clock, Timestamp},
    use_cases::rotate_keys::{Rotation, Step},
};

use crate::{
    instance::{LIFETIME, POLICY, later, ring},
    table::NOW,
};

/// The version that the rotation makes.
const VERSION: &str = "3f5c8b1e-4f0e-4c59-9d0e-2b3c6a7d8e9f";
const AHEAD: u64 = 600;
/// Until when an older key verifies, in seconds after the rotation has begun: its last token has expired a day before.
const OLD_KEY_ENDS: u64 = AHEAD + 1800 + 24 * 3600;

/// A rotation that has been announced.
struct Announced {
    stack: Stack,
    rotation: Rotation,
    clock: Clock,
}

impl Announced {
    /// A rotation of a secret that holds this ring, whose public halves are published.
    async fn of(ring: &SigningKeys) -> Self {
        let stack = stack().await;
        let clock = Clock::stopped(NOW);
        let store = Store::new(&laptop_config(stack.store_url()), stack.table_name());
        for key in ring.keys() {
            assert!(store.publish_key(key.id(), &key.public_jwk().unwrap(), NOW).await.unwrap());
        }
        let rotation = Rotation {
            secret: SigningSecret::new(&laptop_config(stack.secrets_url())),
            store,
            algorithm: Algorithm::Es256,
            lifetime: LIFETIME,
            session_lifetime: POLICY.lifetime,
            publish_ahead: Duration::from_secs(AHEAD),
            clock: clock.clone(),
            random: random::system(),
        };
        let announced = Self { stack, rotation, clock };
        let value = ring.to_private_jwks().to_string();
        announced.call("PutSecretValue", json!({ "SecretString": value })).await;
        // It announces the version, and then fails at its first step: no function is there to take it.
        let answer = announced.call("RotateSecret", json!({ "ClientRequestToken": VERSION })).await;
        assert!(answer["Message"].as_str().unwrap().contains("the rotation failed at createSecret"), "{answer}");
        announced
    }

    /// Calls Secrets Manager for the secret.
    async fn call(&self, operation: &str, mut request: Value) -> Value {
        request["SecretId"] = self.arn().into();
        let call = reqwest::Client::new()
            .post(self.stack.secrets_url())
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            .body(request.to_string());
        serde_json::from_str(&call.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    fn arn(&self) -> &str {
        self.stack.secret_arn().unwrap()
    }

    async fn take(&self, step: Step) -> Result<&'static str, String> {
        self.rotation.take(step, self.arn(), VERSION).await.map_err(|error| error.to_string())
    }

    /// Takes these steps, and asserts what each says.
    async fn take_all(&self, steps: &[(Step, &str)]) {
        for (step, said) in steps {
            assert_eq!(self.take(*step).await.as_deref(), Ok(*said), "{step:?}");
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn current(&self) -> SigningKeys {
        self.rotation.secret.current_ring(self.arn()).await.unwrap()
    }

    async fn pending(&self) -> SigningKeys {
        self.rotation.secret.ring(self.arn(), VERSION).await.unwrap()
    }

    async fn row(&self, id: &str) -> KeyRow {
        let rows = self.rotation.store.keys().await.unwrap();
        rows.into_iter().find(|row| row.id == id).unwrap()
    }
}

/// The template's secret and table, with no gateway and with functions that aren't there.
async fn stack() -> Stack {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let names = std::fs::read_dir(root.join("functions")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let options = Options {
        root: root.to_owned(),
        template: root.join("template.yaml"),
        host: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        store: StoreLocation::Memory,
        store_port: 0,
        secrets: SecretsLocation::Memory,
        secrets_port: 0,
        parameters: BTreeMap::new(),
        environment: BTreeMap::new(),
        functions: Functions::At(names.map(|name| (name, root.join("no-such-binary"))).collect()),
        limits: Limits::default(),
        log: LogSink::memory(),
    };
    Stack::prepare(options).await.unwrap()
}

fn ids(ring: &SigningKeys) -> Vec<&str> {
    ring.keys().map(SigningKey::id).collect()
}

fn signer(ring: &SigningKeys, now: Timestamp) -> &str {
    ring.signing(now).unwrap().id()
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs() {
    let old = ring(NOW);
    let announced = Announced::of(&old).await;
    announced.take_all(&[(Step::Create, "created")]).await;
    assert_eq!(ids(&announced.current().await), ids(&old));
    assert_eq!(announced.rotation.store.keys().await.unwrap().len(), 1);
    let pending = announced.pending().await;
    let (new, kept) = (pending.keys().next().unwrap(), pending.keys().nth(1).unwrap());
    assert_eq!((ids(&pending).len(), new.signs_from(), new.verifies_until()), (2, later(AHEAD), None));
    assert_eq!((kept.id(), kept.verifies_until()), (ids(&old)[0], Some(later(OLD_KEY_ENDS))));

    announced.take_all(&[(Step::Set, "published"), (Step::Test, "tested"), (Step::Finish, "finished")]).await;
    let current = announced.current().await;
    assert_eq!(ids(&current), ids(&pending));
    assert_eq!((signer(&current, later(AHEAD - 1)), signer(&current, later(AHEAD))), (kept.id(), new.id()));
    assert_eq!(announced.row(kept.id()).await.expires, Some(later(OLD_KEY_ENDS)));
    assert_eq!((announced.row(new.id()).await.jwk, announced.row(new.id()).await.expires), (new.public_jwk(), None));
}

#[tokio::test]
async fn each_step_may_be_repeated() {
    let announced = Announced::of(&ring(NOW)).await;
    announced.take_all(&[(Step::Create, "created")]).await;
    let pending = announced.pending().await;
    announced.pass(1);
    announced.take_all(&[(Step::Create, "done before"), (Step::Set, "published"), (Step::Set, "done before")]).await;
    announced.take_all(&[(Step::Test, "tested"), (Step::Test, "tested")]).await;
    announced.take_all(&[(Step::Finish, "finished"), (Step::Finish, "finished")]).await;
    for step in [Step::Create, Step::Set, Step::Test] {
        announced.take_all(&[(step, "done before")]).await;
    }
    assert_eq!(ids(&announced.current().await), ids(&pending));
    assert_eq!(announced.rotation.store.keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_first_key_signs_at_once() {
    let announced = Announced::of(&SigningKeys::parse(r#"{"keys":[]}"#).unwrap()).await;
    announced.take_all(&[(Step::Create, "created"), (Step::Set, "published")]).await;
    announced.take_all(&[(Step::Test, "tested"), (Step::Finish, "finished")]).await;
    let current = announced.current().await;
    assert_eq!(signer(&current, NOW), ids(&current)[0]);
}

#[tokio::test]
async fn a_key_of_hs256_is_not_published() {
    let mut announced = Announced::of(&SigningKeys::parse(r#"{"keys":[]}"#).unwrap()).await;
    announced.rotation.algorithm = Algorithm::Hs256;
    announced.take_all(&[(Step::Create, "created"), (Step::Set, "nothing to publish")]).await;
    announced.take_all(&[(Step::Test, "tested"), (Step::Finish, "finished")]).await;
    assert_eq!(announced.rotation.store.keys().await.unwrap(), []);
}

#[tokio::test]
async fn a_key_that_verifiers_lack_fails_its_test() {
    let announced = Announced::of(&ring(NOW)).await;
    announced.take_all(&[(Step::Create, "created")]).await;
    assert_eq!(announced.take(Step::Test).await, Err("no key has this kid".to_owned()));
}

#[tokio::test]
async fn a_key_that_was_published_late_waits() {
    let old = ring(NOW);
    let announced = Announced::of(&old).await;
    announced.take_all(&[(Step::Create, "created")]).await;
    announced.pass(AHEAD);
    announced.take_all(&[(Step::Set, "published"), (Step::Test, "tested")]).await;
    // A minute lies between steps at the most.
    for seconds in [0, AHEAD - 61] {
        announced.pass(seconds);
        let error = announced.take(Step::Finish).await.unwrap_err();
        assert!(error.contains("was published a moment ago"), "{error}");
        assert_eq!(ids(&announced.current().await), ids(&old));
    }
    announced.pass(1);
    announced.take_all(&[(Step::Finish, "finished")]).await;
    assert_eq!(ids(&announced.current().await).len(), 2);
}

#[tokio::test]
async fn a_rotation_that_is_too_old_is_overtaken() {
    for (seconds, is_overtaken) in [(OLD_KEY_ENDS - 1800, false), (OLD_KEY_ENDS - 1799, true)] {
        let old = ring(NOW);
        let announced = Announced::of(&old).await;
        announced.take_all(&[(Step::Create, "created"), (Step::Set, "published")]).await;
        // The old key signs on, and its next token would outlive it.
        announced.pass(seconds);
        let outcome = announced.take(Step::Finish).await;
        let refused = outcome.as_ref().is_err_and(|error| error.contains("has been overtaken"));
        assert_eq!(refused, is_overtaken, "{seconds}: {outcome:?}");
        assert_eq!(ids(&announced.current().await).len(), if is_overtaken { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_retired_key_leaves_the_ring() {
    let old = ring(NOW);
    let announced = Announced::of(&old).await;
    announced.rotation.store.retire_key(ids(&old)[0], NOW).await.unwrap();
    announced.take_all(&[(Step::Create, "created"), (Step::Set, "published")]).await;
    announced.take_all(&[(Step::Test, "tested"), (Step::Finish, "finished")]).await;
    let current = announced.current().await;
    assert!(!ids(&current).contains(&ids(&old)[0]));
    // Nothing else can sign, so that the new one does at once.
    assert_eq!(signer(&current, NOW), ids(&current)[0]);
}

#[tokio::test]
async fn a_key_that_is_retired_on_the_way_does_not_come_back() {
    let old = ring(NOW);
    let announced = Announced::of(&old).await;
    announced.take_all(&[(Step::Create, "created"), (Step::Set, "published")]).await;
    announced.rotation.store.retire_key(ids(&old)[0], NOW).await.unwrap();
    let error = announced.take(Step::Finish).await.unwrap_err();
    assert!(error.contains("has been overtaken"), "{error}");
    assert_eq!(ids(&announced.current().await), ids(&old));
}

#[tokio::test]
async fn the_key_of_a_rotation_that_was_given_up_expires() {
    let announced = Announced::of(&ring(NOW)).await;
    let stray = ring(NOW);
    let stray = stray.newest().unwrap();
    announced.rotation.store.publish_key(stray.id(), &stray.public_jwk().unwrap(), NOW).await.unwrap();
    announced.take_all(&[(Step::Create, "created"), (Step::Set, "published"), (Step::Finish, "finished")]).await;
    assert_eq!(announced.row(stray.id()).await.expires, Some(later(1800 + 24 * 3600)));
    // It has its end, which the same step doesn't put off.
    announced.pass(60);
    announced.take_all(&[(Step::Finish, "finished")]).await;
    assert_eq!(announced.row(stray.id()).await.expires, Some(later(1800 + 24 * 3600)));
}

#[tokio::test]
async fn a_version_that_was_not_announced_is_refused() {
    let announced = Announced::of(&ring(NOW)).await;
    let version = VERSION.replace('3', "4");
    for step in [Step::Create, Step::Set, Step::Test, Step::Finish] {
        let error = announced.rotation.take(step, announced.arn(), &version).await.unwrap_err();
        assert_eq!(error.to_string(), "the secret has no such version", "{step:?}");
    }
}
