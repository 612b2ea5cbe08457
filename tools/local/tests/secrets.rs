//! Drives the secrets through Amazon's own client, with the example `rotate` as the rotation function.

#![expect(clippy::unwrap_used, reason = "a failed assumption fails the test")]

mod options;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::primitives::Blob;
use local::{LogSink, Options, RotateError, SecretsLocation, Stack};
use serde_json::Value;
use shared::aws::sdk::laptop_config;

const COUNTER: &str = "gatehouse-counter-secret";
const EMPTY: &str = "gatehouse-empty-secret";
const ID: &str = "00000000-0000-4000-8000-000000000001";
const OTHER_ID: &str = "00000000-0000-4000-8000-000000000002";

/// A stack of the fixture, and a client for its secrets.
struct Bench {
    stack: Stack,
    client: Client,
    log: LogSink,
}

fn options() -> Options {
    options::options("secrets.yaml", &[("echo", "echo"), ("rotate", "rotate")])
}

impl Bench {
    async fn start() -> Self {
        Self::with(options()).await
    }

    async fn with(options: Options) -> Self {
        let log = options.log.clone();
        let stack = Stack::start(options).await.unwrap();
        let client = Client::new(&laptop_config(stack.secrets_url()));
        Self { stack, client, log }
    }

    async fn get(&self, secret: &str) -> GetSecretValueOutput {
        self.client.get_secret_value().secret_id(secret).send().await.unwrap()
    }

    async fn text(&self, secret: &str) -> String {
        self.get(secret).await.secret_string.unwrap()
    }

    async fn describe(&self, secret: &str) -> DescribeSecretOutput {
        self.client.describe_secret().secret_id(secret).send().await.unwrap()
    }

    /// The labels of each version.
    async fn labels(&self, secret: &str) -> BTreeMap<String, Vec<String>> {
        self.describe(secret).await.version_ids_to_stages.unwrap_or_default().into_iter().collect()
    }

    async fn put(&self, secret: &str, id: &str, text: &str, labels: &[&str]) -> Result<(), (String, String)> {
        let put = self.client.put_secret_value().secret_id(secret).client_request_token(id).secret_string(text);
        let labels = (!labels.is_empty()).then(|| labels.iter().map(|label| (*label).to_owned()).collect());
        refused(put.set_version_stages(labels).send().await)
    }

    async fn move_label(&self, label: &str, to: Option<&str>, from: Option<&str>) -> Result<(), (String, String)> {
        let update = self.client.update_secret_version_stage().secret_id(COUNTER).version_stage(label);
        let update = update.set_move_to_version_id(to.map(str::to_owned));
        refused(update.set_remove_from_version_id(from.map(str::to_owned)).send().await)
    }

    async fn current_id(&self) -> String {
        self.get(COUNTER).await.version_id.unwrap()
    }

    /// What the rotation function has said since `start`, step and token.
    fn steps(&self) -> Vec<(String, String)> {
        let log = self.log.contents();
        let words = log.lines().filter_map(|line| {
            let mut words = line.rsplit(' ');
            let token = words.next()?;
            Some((words.next()?.to_owned(), token.to_owned()))
        });
        words.filter(|(step, _)| step.ends_with("Secret")).collect()
    }
}

/// The kind and text of an error.
fn refused<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> Result<(), (String, String)> {
    let Err(error) = result else { return Ok(()) };
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Err((text(error.code()), text(error.message())))
}

fn kind(result: Result<(), (String, String)>) -> String {
    result.unwrap_err().0
}

mod the_template {
    use super::*;

    #[tokio::test]
    async fn gives_each_secret_its_name_its_arn_and_its_first_value() {
        let bench = Bench::start().await;
        assert_eq!(bench.text(COUNTER).await, r#"{"turn":0}"#);
        let described = bench.describe(COUNTER).await;
        let arn = described.arn().unwrap();
        let suffix = arn.strip_prefix("arn:aws:secretsmanager:us-east-1:123456789012:secret:gatehouse-counter-secret-");
        assert_eq!(suffix.unwrap().len(), 6);
        assert_eq!((described.name(), bench.stack.secret_arn()), (Some(COUNTER), Some(arn)));
        assert_eq!(bench.text(arn).await, bench.text(COUNTER).await);

        let missing = bench.client.get_secret_value().secret_id(EMPTY).send().await;
        assert_eq!(kind(refused(missing)), "ResourceNotFoundException");
        assert!(bench.labels(EMPTY).await.is_empty());
        let absent = bench.client.describe_secret().secret_id("gatehouse-absent-secret").send().await;
        assert_eq!(kind(refused(absent)), "ResourceNotFoundException");
    }

    #[tokio::test]
    async fn tells_functions_the_arn_and_the_address() {
        let bench = Bench::start().await;
        let answer = reqwest::get(format!("{}/echo", bench.stack.url())).await.unwrap().text().await.unwrap();
        let environment = &serde_json::from_str::<Value>(&answer).unwrap()["environment"];
        assert_eq!(environment["COUNTER"].as_str(), bench.stack.secret_arn());
        assert_eq!(environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"], bench.stack.secrets_url());
    }

    #[tokio::test]
    async fn says_what_is_rotated() {
        let bench = Bench::start().await;
        let described = bench.describe(COUNTER).await;
        assert_eq!(described.rotation_enabled(), Some(true));
        let function = "arn:aws:lambda:us-east-1:123456789012:function:gatehouse-RotateFunction";
        assert_eq!(described.rotation_lambda_arn(), Some(function));
        assert_eq!(bench.describe(EMPTY).await.rotation_enabled(), Some(false));

        let off = Options { parameters: [("Rotation".to_owned(), "off".to_owned())].into(), ..options() };
        let bench = Bench::with(off).await;
        assert_eq!(bench.stack.secret_arn(), None);
        assert!(matches!(bench.stack.rotate().await, Err(RotateError::NoSchedule)));
        assert_eq!(bench.describe(COUNTER).await.rotation_enabled(), Some(false));
        let rotation = bench.client.rotate_secret().secret_id(COUNTER).send().await;
        assert_eq!(kind(refused(rotation)), "InvalidRequestException");
    }
}

mod get_secret_value {
    use super::*;

    #[tokio::test]
    async fn finds_a_version_by_id_and_by_label() {
        let bench = Bench::start().await;
        let first = bench.current_id().await;
        bench.put(COUNTER, ID, "new", &[]).await.unwrap();
        let get = || bench.client.get_secret_value().secret_id(COUNTER);
        for (call, text, id, label) in [
            (get(), "new", ID, "AWSCURRENT"),
            (get().version_stage("AWSPREVIOUS"), r#"{"turn":0}"#, &*first, "AWSPREVIOUS"),
            (get().version_id(&first), r#"{"turn":0}"#, &first, "AWSPREVIOUS"),
            (get().version_id(ID).version_stage("AWSCURRENT"), "new", ID, "AWSCURRENT"),
        ] {
            let found = call.send().await.unwrap();
            assert_eq!((found.secret_string(), found.version_id()), (Some(text), Some(id)));
            assert_eq!(found.version_stages(), [label]);
            assert!(found.created_date().unwrap().secs() > 0);
        }
        for (call, expected) in [
            (get().version_stage("AWSPENDING"), "ResourceNotFoundException"),
            (get().version_id(OTHER_ID), "ResourceNotFoundException"),
            (get().version_id(ID).version_stage("AWSPREVIOUS"), "InvalidRequestException"),
            (bench.client.get_secret_value().secret_id("nobody"), "ResourceNotFoundException"),
        ] {
            assert_eq!(kind(refused(call.send().await)), expected);
        }
    }
}

mod put_secret_value {
    use super::*;

    #[tokio::test]
    async fn moves_the_labels_of_the_version_in_use() {
        let bench = Bench::start().await;
        let first = bench.current_id().await;
        bench.put(COUNTER, ID, "new", &[]).await.unwrap();
        let labels = |current: &str, previous: &str| {
            let label = |id: &str, label: &str| (id.to_owned(), vec![label.to_owned()]);
            BTreeMap::from([label(current, "AWSCURRENT"), label(previous, "AWSPREVIOUS")])
        };
        assert_eq!(bench.labels(COUNTER).await, labels(ID, &first));
        // The first version has lost its last label.
        bench.put(COUNTER, OTHER_ID, "newer", &[]).await.unwrap();
        assert_eq!(bench.labels(COUNTER).await, labels(OTHER_ID, ID));
    }

    #[tokio::test]
    async fn does_nothing_when_repeated_and_changes_no_version() {
        let bench = Bench::start().await;
        bench.put(COUNTER, ID, "new", &["AWSPENDING"]).await.unwrap();
        let before = bench.labels(COUNTER).await;
        bench.put(COUNTER, ID, "new", &[]).await.unwrap();
        assert_eq!(bench.labels(COUNTER).await, before);
        assert_eq!(kind(bench.put(COUNTER, ID, "other", &["AWSPENDING"]).await), "ResourceExistsException");
        assert_eq!(bench.text(COUNTER).await, r#"{"turn":0}"#);
    }

    #[tokio::test]
    async fn makes_the_first_version_the_one_in_use() {
        let bench = Bench::start().await;
        bench.put(EMPTY, ID, "first", &["MINE"]).await.unwrap();
        assert_eq!(
            bench.labels(EMPTY).await,
            BTreeMap::from([(ID.to_owned(), vec!["AWSCURRENT".into(), "MINE".into()])])
        );
    }

    #[tokio::test]
    async fn takes_bytes_and_refuses_what_is_no_value() {
        let bench = Bench::start().await;
        let put = || bench.client.put_secret_value().secret_id(EMPTY);
        put().secret_binary(Blob::new([0, 255])).send().await.unwrap();
        assert_eq!(bench.get(EMPTY).await.secret_binary.unwrap().as_ref(), [0, 255]);
        assert_eq!(kind(refused(put().send().await)), "InvalidRequestException");
        assert_eq!(kind(bench.put(EMPTY, "short", "x", &[]).await), "InvalidParameterException");
        assert_eq!(kind(bench.put(EMPTY, ID, &"x".repeat(65_537), &[]).await), "InvalidParameterException");
    }
}

mod update_secret_version_stage {
    use super::*;

    #[tokio::test]
    async fn moves_the_version_in_use_and_back() {
        let bench = Bench::start().await;
        let first = bench.current_id().await;
        bench.put(COUNTER, ID, "new", &["AWSPENDING"]).await.unwrap();
        bench.move_label("AWSCURRENT", Some(ID), Some(&first)).await.unwrap();
        assert_eq!(bench.labels(COUNTER).await[ID], ["AWSCURRENT", "AWSPENDING"]);
        assert_eq!(bench.labels(COUNTER).await[&first], ["AWSPREVIOUS"]);
        bench.move_label("AWSCURRENT", Some(&first), Some(ID)).await.unwrap();
        assert_eq!(bench.labels(COUNTER).await[ID], ["AWSPENDING", "AWSPREVIOUS"]);
        assert_eq!(bench.labels(COUNTER).await[&first], ["AWSCURRENT"]);
    }

    #[tokio::test]
    async fn wants_to_know_who_has_the_label() {
        let bench = Bench::start().await;
        let first = bench.current_id().await;
        bench.put(COUNTER, ID, "new", &["AWSPENDING"]).await.unwrap();
        let (kind_of_error, message) = bench.move_label("AWSCURRENT", Some(ID), None).await.unwrap_err();
        assert_eq!(kind_of_error, "InvalidParameterException");
        assert!(message.contains(&first), "{message}");
        for (label, to, from, expected) in [
            ("AWSCURRENT", Some(ID), Some(ID), "InvalidParameterException"),
            ("AWSCURRENT", None, Some(&*first), "InvalidParameterException"),
            ("AWSCURRENT", None, None, "InvalidParameterException"),
            ("AWSCURRENT", Some(OTHER_ID), Some(&*first), "ResourceNotFoundException"),
        ] {
            assert_eq!(kind(bench.move_label(label, to, from).await), expected, "{to:?} {from:?}");
        }
        assert_eq!(bench.current_id().await, first);
    }

    #[tokio::test]
    async fn drops_a_version_with_its_last_label() {
        let bench = Bench::start().await;
        bench.put(COUNTER, ID, "new", &["AWSPENDING"]).await.unwrap();
        bench.move_label("AWSPENDING", None, Some(ID)).await.unwrap();
        assert_eq!(bench.labels(COUNTER).await.len(), 1);
        assert_eq!(bench.text(COUNTER).await, r#"{"turn":0}"#);
    }
}

mod rotation {
    use super::*;

    const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

    #[tokio::test]
    async fn runs_the_four_steps_in_order() {
        let bench = Bench::start().await;
        bench.client.rotate_secret().secret_id(COUNTER).client_request_token(ID).send().await.unwrap();
        assert_eq!(bench.steps(), STEPS.map(|step| (step.to_owned(), ID.to_owned())));
        assert_eq!((bench.text(COUNTER).await, bench.current_id().await), (r#"{"turn":1}"#.to_owned(), ID.to_owned()));
        // A client that has missed the answer asks again.
        bench.client.rotate_secret().secret_id(COUNTER).client_request_token(ID).send().await.unwrap();
        assert_eq!(bench.steps().len(), 4);
        bench.stack.rotate().await.unwrap();
        assert_eq!(bench.text(COUNTER).await, r#"{"turn":2}"#);
        assert_eq!(bench.labels(COUNTER).await[ID], ["AWSPREVIOUS"]);
    }

    #[tokio::test]
    async fn names_the_failed_step_and_resumes_with_the_same_version() {
        for (index, step) in STEPS.into_iter().enumerate() {
            let bench = Bench::start().await;
            bench.put(COUNTER, OTHER_ID, &format!(r#"{{"turn":6,"fail":"{step}"}}"#), &[]).await.unwrap();
            let rotation = bench.client.rotate_secret().secret_id(COUNTER).client_request_token(ID).send().await;
            let (kind, message) = refused(rotation).unwrap_err();
            assert_eq!(kind, "InvalidRequestException");
            assert!(message.contains(&format!("the rotation failed at {step}")), "{message}");
            assert!(message.contains("told to fail"), "{message}");
            assert_eq!(bench.steps().len(), index + 1);
            assert_eq!(bench.labels(COUNTER).await[ID], ["AWSPENDING"]);
            assert_eq!(bench.current_id().await, OTHER_ID);

            let error = bench.stack.rotate().await.unwrap_err();
            assert!(matches!(&error, RotateError::Step { step: failed, .. } if *failed == step), "{error}");
            bench.put(COUNTER, &ID.replace('1', "3"), r#"{"turn":6}"#, &[]).await.unwrap();
            bench.stack.rotate().await.unwrap();
            assert_eq!(bench.text(COUNTER).await, r#"{"turn":7}"#);
            assert_eq!(bench.current_id().await, ID);
        }
    }

    #[tokio::test]
    async fn repeats_its_steps_after_a_failure_with_its_version_in_use() {
        let bench = Bench::start().await;
        bench.put(COUNTER, OTHER_ID, r#"{"turn":6,"fail":"the end"}"#, &[]).await.unwrap();
        let rotation = bench.client.rotate_secret().secret_id(COUNTER).client_request_token(ID).send().await;
        assert_eq!(kind(refused(rotation)), "InvalidRequestException");
        assert_eq!(bench.current_id().await, ID);
        bench.stack.rotate().await.unwrap();
        assert_eq!(
            bench.steps(),
            [STEPS, STEPS].concat().iter().map(|step| ((*step).to_owned(), ID.to_owned())).collect::<Vec<_>>()
        );
        assert_eq!(bench.text(COUNTER).await, r#"{"turn":7}"#);
        bench.stack.rotate().await.unwrap();
        assert_eq!(bench.text(COUNTER).await, r#"{"turn":8}"#);
    }

    #[tokio::test]
    async fn happens_once_at_a_time() {
        let bench = Bench::start().await;
        let (one, two, three) = tokio::join!(bench.stack.rotate(), bench.stack.rotate(), bench.stack.rotate());
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        assert_eq!(bench.text(COUNTER).await, r#"{"turn":3}"#);
    }
}

mod the_server {
    use super::*;

    #[tokio::test]
    async fn goes_away_and_comes_back_with_the_same_secrets() {
        let bench = Bench::start().await;
        bench.put(COUNTER, ID, "new", &[]).await.unwrap();
        bench.stack.stop_secrets().await;
        let error = bench.client.get_secret_value().secret_id(COUNTER).send().await.unwrap_err();
        assert!(matches!(error, SdkError::DispatchFailure(_)), "{}", DisplayErrorContext(error));
        bench.stack.start_secrets().await.unwrap();
        assert_eq!(bench.text(COUNTER).await, "new");
    }

    #[tokio::test]
    async fn listens_to_this_machine_only() {
        let everywhere = Options { host: Ipv4Addr::UNSPECIFIED.into(), ..options() };
        let bench = Bench::with(everywhere).await;
        let port: u16 = bench.stack.secrets_url().strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
        // Any other address of the machine is free at this port.
        std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).unwrap();

        let ask = reqwest::Client::new().post(bench.stack.secrets_url());
        let ask =
            ask.header("x-amz-target", "secretsmanager.GetSecretValue").body(format!(r#"{{"SecretId":"{COUNTER}"}}"#));
        let renamed = ask.try_clone().unwrap().header("host", format!("evil.example:{port}"));
        assert_eq!(renamed.send().await.unwrap().status(), 400);
        assert_eq!(ask.send().await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn refuses_what_it_does_not_know() {
        let bench = Bench::start().await;
        let deleted = bench.client.delete_secret().secret_id(COUNTER).send().await;
        assert_eq!(kind(refused(deleted)), "UnknownOperationException");
    }
}

mod the_file {
    use super::*;

    fn kept(folder: &Path) -> Options {
        Options { secrets: SecretsLocation::File(folder.join("inner/secrets.json")), ..options() }
    }

    #[tokio::test]
    async fn keeps_everything_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench::with(kept(folder.path())).await;
        bench.stack.rotate().await.unwrap();
        bench.put(COUNTER, ID, "pending", &["AWSPENDING"]).await.unwrap();
        let arn = bench.stack.secret_arn().unwrap().to_owned();
        let before = (bench.labels(COUNTER).await, bench.text(COUNTER).await);
        // As after a kill, nothing is stopped in an orderly way.
        drop(bench);

        let bench = Bench::with(kept(folder.path())).await;
        assert_eq!(bench.stack.secret_arn(), Some(&*arn));
        let after = (bench.labels(COUNTER).await, bench.text(COUNTER).await);
        assert_eq!(after, before);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench::with(kept(folder.path())).await;
        let inner = folder.path().join("inner");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        for text in ["one", "two"] {
            bench.put(EMPTY, &format!("{ID}{text}"), text, &[]).await.unwrap();
            assert_eq!(mode(&inner.join("secrets.json")), 0o600);
        }
        assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn is_not_overwritten_when_it_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.json");
        std::fs::write(&file, "{").unwrap();
        let damaged = Options { secrets: SecretsLocation::File(file.clone()), ..options() };
        let error = Stack::start(damaged).await.err().unwrap();
        assert!(matches!(error, local::StartError::Secrets(local::SecretsError::Open { .. })));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "{");
    }
}
