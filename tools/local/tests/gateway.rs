//! Drives the gateway over HTTP, with the example `echo` behind it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed assumption fails the test")]

mod options;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use local::{
    FunctionError, Functions, Invocation, Limits, LogSink, Options, SecretsError, Stack, StartError, StoreError,
    StoreLocation,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::options::ECHOES;

/// A stack of the fixture, and a way to talk to it.
struct Bench {
    stack: Stack,
    client: reqwest::Client,
    log: LogSink,
}

fn options() -> Options {
    options::options("gateway.yaml", ECHOES)
}

impl Bench {
    async fn start() -> Self {
        Self::with(options()).await
    }

    async fn with(options: Options) -> Self {
        let log = options.log.clone();
        Self { stack: Stack::start(options).await.unwrap(), client: reqwest::Client::new(), log }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.stack.url()))
    }

    /// Asks the function behind `path` to do something.
    async fn ask(&self, path: &str, order: &str) -> Response {
        self.request(Method::GET, path).header("x-do", order).send().await.unwrap()
    }

    async fn ask_with_token(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path).header("authorization", token).send().await.unwrap()
    }

    /// Has the function answer with exactly this.
    async fn returned(&self, answer: &Value) -> Response {
        let request = self.request(Method::POST, "/echo").header("x-do", "return");
        request.body(answer.to_string()).send().await.unwrap()
    }
}

async fn json_body(response: Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

/// The event that `echo` got.
async fn event(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    json_body(response).await["event"].take()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

mod events {
    use super::*;

    #[tokio::test]
    async fn hold_the_request() {
        let bench = Bench::start().await;
        let request = bench.request(Method::POST, "/echo?a=1&a=2&empty=").header("x-one", "1").header("x-one", "2");
        let response = request.header("content-type", "text/plain").body("hello").send().await.unwrap();
        let request_id = header(&response, "x-amzn-requestid").to_owned();
        assert_eq!(request_id.len(), 36);
        assert_eq!(header(&response, "content-type"), "application/json");

        let event = event(response).await;
        assert_eq!(event["httpMethod"], "POST");
        assert_eq!((&event["path"], &event["resource"]), (&json!("/echo"), &json!("/echo")));
        assert_eq!(event["headers"]["X-One"], "2");
        assert_eq!(event["multiValueHeaders"]["X-One"], json!(["1", "2"]));
        assert_eq!(event["queryStringParameters"], json!({"a": "2", "empty": ""}));
        assert_eq!(event["multiValueQueryStringParameters"], json!({"a": ["1", "2"], "empty": [""]}));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("hello"), &json!(false)));
        assert_eq!(event["pathParameters"], Value::Null);

        let context = &event["requestContext"];
        assert_eq!(context["requestId"], request_id);
        assert_eq!(context["path"], "/prod/echo");
        assert_eq!(context["identity"]["sourceIp"], "127.0.0.1");
        assert_eq!(format!("http://{}", context["domainName"].as_str().unwrap()), bench.stack.url());
        assert_eq!(event["headers"]["X-Forwarded-For"], "127.0.0.1");
    }

    #[tokio::test]
    async fn hold_decoded_path_parameters() {
        let bench = Bench::start().await;
        let item = event(bench.ask("/items/a%2Fb%20c", "").await).await;
        assert_eq!(item["pathParameters"], json!({"id": "a/b c"}));
        assert_eq!(item["resource"], "/items/{id}");
        let rest = event(bench.ask("/rest/of/the/path", "").await).await;
        assert_eq!(rest["pathParameters"], json!({"proxy": "of/the/path"}));
        assert_eq!(rest["resource"], "/rest/{proxy+}");
    }

    #[tokio::test]
    async fn hold_binary_bodies_in_base64() {
        let bench = Bench::start().await;
        let request = bench.request(Method::PUT, "/echo").body(vec![0xff, 0xfe]);
        let event = event(request.send().await.unwrap()).await;
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("//4="), &json!(true)));
    }
}

mod routes {
    use super::*;

    #[tokio::test]
    async fn that_do_not_exist_are_not_found() {
        let bench = Bench::start().await;
        for (method, path) in [(Method::GET, "/nothing"), (Method::POST, "/items/1"), (Method::GET, "/guarded")] {
            let response = bench.request(method, path).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(header(&response, "x-amzn-errortype"), "MissingAuthenticationTokenException");
            assert_eq!(json_body(response).await, json!({"error": "not_found"}));
        }
        assert!(!bench.log.contents().contains("[authorizer]"));
    }
}

mod answers {
    use super::*;

    #[tokio::test]
    async fn keep_status_headers_and_body() {
        let bench = Bench::start().await;
        let response = bench
            .returned(&json!({
                "statusCode": 201,
                "headers": {"X-One": "1", "X-Both": "single", "Content-Type": "text/plain", "X-Number": 7},
                "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"], "X-Both": ["multi"]},
                "body": "made",
            }))
            .await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        let both: Vec<_> = response.headers().get_all("x-both").iter().collect();
        assert_eq!(both, ["multi"]);
        assert_eq!((header(&response, "x-one"), header(&response, "x-number")), ("1", "7"));
        assert_eq!(header(&response, "content-type"), "text/plain");
        assert_eq!(response.text().await.unwrap(), "made");
    }

    #[tokio::test]
    async fn have_some_headers_renamed_and_some_dropped() {
        let bench = Bench::start().await;
        let headers = json!({"WWW-Authenticate": "Bearer", "Server": "echo", "Connection": "close", "Upgrade": "h2c"});
        let response = bench.returned(&json!({"statusCode": 401, "headers": headers, "body": ""})).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&response, "x-amzn-remapped-www-authenticate"), "Bearer");
        assert_eq!(header(&response, "x-amzn-remapped-server"), "echo");
        assert_eq!(header(&response, "x-amzn-remapped-connection"), "close");
        for name in ["www-authenticate", "server", "upgrade"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
    }

    #[tokio::test]
    async fn in_base64_are_sent_as_they_are() {
        let bench = Bench::start().await;
        let answer = json!({"statusCode": 200, "body": "/9g=", "isBase64Encoded": true});
        assert_eq!(bench.returned(&answer).await.text().await.unwrap(), "/9g=");
    }

    #[tokio::test]
    async fn without_sense_are_a_bad_gateway() {
        let bench = Bench::start().await;
        for answer in [
            json!("text"),
            json!({}),
            json!({"statusCode": "OK"}),
            json!({"statusCode": 99}),
            json!({"statusCode": 200, "body": {"a": 1}}),
            json!({"statusCode": 200, "headers": {"X-One": ["1"]}}),
            json!({"statusCode": 200, "multiValueHeaders": {"X-One": "1"}}),
            json!({"statusCode": 200, "headers": {"bad name": "1"}}),
        ] {
            let response = bench.returned(&answer).await;
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{answer}");
            assert_eq!(header(&response, "access-control-allow-origin"), "*");
            assert_eq!(json_body(response).await, json!({"message": "Internal server error"}));
        }
    }
}

mod instances {
    use super::*;

    async fn process(response: Response) -> Value {
        json_body(response).await["process"].take()
    }

    #[tokio::test]
    async fn are_used_again() {
        let bench = Bench::start().await;
        let first = process(bench.ask("/echo", "").await).await;
        assert_eq!(process(bench.ask("/echo", "").await).await, first);
        assert_eq!(bench.ask("/echo", "fail").await.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(process(bench.ask("/echo", "").await).await, first, "an error doesn't end an instance");
    }

    #[tokio::test]
    async fn are_as_many_as_calls_overlap() {
        let bench = Bench::start().await;
        let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let order = format!("wait {}", gate.local_addr().unwrap());
        let open = async {
            let both = (gate.accept().await.unwrap(), gate.accept().await.unwrap());
            drop(both);
        };
        let (first, second, ()) = tokio::join!(bench.ask("/echo", &order), bench.ask("/echo", &order), open);
        let (first, second) = (process(first).await, process(second).await);
        assert_ne!(first, second);
        let next = process(bench.ask("/echo", "").await).await;
        assert!(next == first || next == second);
    }

    #[tokio::test]
    async fn that_crash_are_replaced() {
        let bench = Bench::start().await;
        let first = process(bench.ask("/echo", "").await).await;
        assert_eq!(bench.ask("/echo", "crash").await.status(), StatusCode::BAD_GATEWAY);
        bench.log.wait_for("[echo] the process ended without an answer: exit status: 3").await;
        assert_ne!(process(bench.ask("/echo", "").await).await, first);
    }

    #[tokio::test]
    async fn that_take_too_long_are_ended() {
        let bench = Bench::start().await;
        let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let order = format!("wait {}", gate.local_addr().unwrap());
        let (response, mut held) = tokio::join!(bench.ask("/brief", &order), held(&gate));
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_hung_up(&mut held).await;
        bench.log.wait_for("[brief] Task timed out after 2 seconds").await;
        assert_eq!(bench.ask("/brief", "").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn beyond_the_limit_are_not_started() {
        let bench = Bench::start().await;
        let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let order = format!("wait {}", gate.local_addr().unwrap());
        let while_busy = async {
            let held = held(&gate).await;
            let throttled = bench.ask("/brief", "").await;
            drop(held);
            throttled
        };
        let (first, second) = tokio::join!(bench.ask("/brief", &order), while_busy);
        assert_eq!(second.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(first.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn may_outlast_the_gateways_patience() {
        let limits = Limits { integration: Duration::from_secs(1), ..Limits::default() };
        let bench = Bench::with(Options { limits, ..options() }).await;
        let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        // The first call starts an instance, so that the second's time goes into waiting.
        bench.ask("/echo", "").await;
        let order = format!("wait {}", gate.local_addr().unwrap());
        let (response, held) = tokio::join!(bench.ask("/echo", &order), held(&gate));
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(json_body(response).await, json!({"message": "Endpoint request timed out"}));
        drop(held);
    }

    #[tokio::test]
    async fn end_with_the_stack() {
        let bench = Bench::start().await;
        let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let order = format!("wait {}", gate.local_addr().unwrap());
        let request = bench.request(Method::GET, "/echo").header("x-do", &order).send();
        let request = tokio::spawn(request);
        let mut held = held(&gate).await;
        bench.stack.stop().await;
        assert_hung_up(&mut held).await;
        drop(request.await);
    }

    #[tokio::test]
    async fn end_when_the_stack_is_dropped() {
        let bench = Bench::start().await;
        let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let order = format!("wait {}", gate.local_addr().unwrap());
        let request = tokio::spawn(bench.request(Method::GET, "/echo").header("x-do", &order).send());
        let mut held = held(&gate).await;
        drop(bench);
        assert_hung_up(&mut held).await;
        drop(request.await);
    }

    async fn held(gate: &TcpListener) -> TcpStream {
        gate.accept().await.unwrap().0
    }

    /// The process at the other end is gone.
    async fn assert_hung_up(held: &mut TcpStream) {
        let end = tokio::time::timeout(Duration::from_secs(10), held.read(&mut [0])).await;
        assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
    }
}

mod authorizers {
    use super::*;

    #[tokio::test]
    async fn let_in_whom_the_policy_allows() {
        let bench = Bench::start().await;
        let event = event(bench.ask_with_token("/guarded/echo?a=1", "allow").await).await;
        let authorizer = &event["requestContext"]["authorizer"];
        assert_eq!(authorizer["principalId"], "ann");
        assert_eq!((&authorizer["level"], &authorizer["admin"]), (&json!("3"), &json!("true")));

        let seen: Value = serde_json::from_str(authorizer["event"].as_str().unwrap()).unwrap();
        assert_eq!(seen["type"], "REQUEST");
        assert_eq!(seen["methodArn"], "arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/guarded/echo");
        assert_eq!(seen["queryStringParameters"], json!({"a": "1"}));
        assert_eq!(seen["pathParameters"], json!({}));
        assert_eq!(seen["requestContext"]["requestId"], event["requestContext"]["requestId"]);
        assert!(seen.get("body").is_none());
    }

    #[tokio::test]
    async fn answer_401_for_the_error_unauthorized() {
        let bench = Bench::start().await;
        let request = bench.request(Method::GET, "/guarded/echo").header("origin", "https://app.example");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&response, "www-authenticate"), "Bearer error=\"invalid_token\"");
        assert_eq!(header(&response, "x-origin"), "https://app.example");
        assert_eq!(header(&response, "x-request"), header(&response, "x-amzn-requestid"));
        let body = json!({"error": "invalid_token", "error_description": "Unauthorized"});
        assert_eq!(json_body(response).await, body);
        assert!(!bench.log.contents().contains("[echo]"));
    }

    #[tokio::test]
    async fn answer_403_for_a_policy_that_does_not_allow() {
        let bench = Bench::start().await;
        for (path, token, status) in [
            ("/guarded/echo", "deny", StatusCode::FORBIDDEN),
            ("/guarded/echo", "allow echo", StatusCode::OK),
            ("/guarded/other", "allow echo", StatusCode::FORBIDDEN),
        ] {
            let response = bench.ask_with_token(path, token).await;
            assert_eq!(response.status(), status, "{path} {token}");
            if status == StatusCode::FORBIDDEN {
                let body = json!({"error": "insufficient_scope", "level": "3"});
                assert_eq!(json_body(response).await, body);
            }
        }
    }

    #[tokio::test]
    async fn that_fail_are_told_from_those_that_refuse() {
        let bench = Bench::start().await;
        for (token, status, error_type) in [
            ("fail", StatusCode::SERVICE_UNAVAILABLE, "AuthorizerFailureException"),
            ("crash", StatusCode::SERVICE_UNAVAILABLE, "AuthorizerFailureException"),
            ("nobody", StatusCode::INTERNAL_SERVER_ERROR, "AuthorizerConfigurationException"),
            ("no policy", StatusCode::INTERNAL_SERVER_ERROR, "AuthorizerConfigurationException"),
            ("bad policy", StatusCode::INTERNAL_SERVER_ERROR, "AuthorizerConfigurationException"),
            ("nested", StatusCode::INTERNAL_SERVER_ERROR, "AuthorizerConfigurationException"),
        ] {
            let response = bench.ask_with_token("/guarded/echo", token).await;
            assert_eq!((response.status(), header(&response, "x-amzn-errortype")), (status, error_type), "{token}");
            assert_eq!(json_body(response).await, json!({"message": null}));
        }
    }

    #[tokio::test]
    async fn are_asked_once_where_results_are_kept() {
        let bench = Bench::start().await;
        let request_seen = |event: Value| event["requestContext"]["authorizer"]["event"].clone();
        let first = request_seen(event(bench.ask_with_token("/cached", "allow").await).await);
        let second = request_seen(event(bench.ask_with_token("/cached", "allow").await).await);
        assert_eq!(first, second);
        let denied = bench.ask_with_token("/cached", "allow echo").await;
        assert_eq!(denied.status(), StatusCode::FORBIDDEN, "another token is another caller");
    }

    #[tokio::test]
    async fn are_not_asked_without_an_identity_source() {
        let bench = Bench::start().await;
        assert_eq!(bench.ask("/cached", "").await.status(), StatusCode::UNAUTHORIZED);
        assert!(!bench.log.contents().contains("[authorizer]"));
    }
}

mod limits {
    use super::*;

    const MEGABYTE: usize = 1024 * 1024;

    #[tokio::test]
    async fn refuse_large_bodies() {
        let bench = Bench::start().await;
        for (size, status) in [
            (5 * MEGABYTE, StatusCode::OK),
            // More than Lambda takes, then more than API Gateway takes, then more than is read.
            (7 * MEGABYTE, StatusCode::PAYLOAD_TOO_LARGE),
            (10 * MEGABYTE + 1, StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let answer = json!({"statusCode": 200}).to_string();
            let padding = " ".repeat(size - answer.len());
            let request = bench.request(Method::POST, "/echo").header("x-do", "return").body(answer + &padding);
            assert_eq!(request.send().await.unwrap().status(), status, "{size}");
        }
    }

    #[tokio::test]
    async fn refuse_large_answers() {
        let bench = Bench::start().await;
        assert_eq!(bench.ask("/echo", "swell 1000000").await.status(), StatusCode::OK);
        assert_eq!(bench.ask("/echo", "swell 7000000").await.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(bench.ask("/echo", "").await.status(), StatusCode::OK);
    }
}

mod functions {
    use super::*;

    #[tokio::test]
    async fn can_be_called_past_the_gateway() {
        let bench = Bench::start().await;
        let invoke = async |order: &str| bench.stack.invoke("brief", json!({"do": order}).to_string().as_bytes()).await;
        assert!(matches!(invoke("").await, Invocation::Response(_)));
        assert_eq!(invoke("garbage").await, Invocation::Response("\"garbage\"".into()));
        let Invocation::Error(FunctionError { error_message, .. }) = invoke("fail").await else { panic!("no error") };
        assert_eq!(error_message, "boom");
        assert_eq!(invoke("sleep 5000").await, Invocation::TimedOut);
        assert!(matches!(invoke("crash").await, Invocation::Crashed(_)));
        assert_eq!(bench.stack.invoke("nothing", b"{}").await, Invocation::NotFound);
    }

    #[tokio::test]
    async fn have_lambdas_environment_and_the_templates() {
        let mut options = options();
        options.environment.insert("echo".to_owned(), BTreeMap::from([("EXTRA".to_owned(), "1".to_owned())]));
        let bench = Bench::with(options).await;
        let environment = json_body(bench.ask("/echo", "").await).await["environment"].take();
        assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "gatehouse-EchoFunction");
        assert_eq!(environment["AWS_REGION"], "us-east-1");
        assert_eq!(environment["_HANDLER"], "bootstrap");
        assert_eq!(environment["TABLE_NAME"], bench.stack.table_name());
        assert_eq!(environment["AWS_ENDPOINT_URL_DYNAMODB"], bench.stack.store_url());
        assert_eq!(environment["ISSUER"], bench.stack.url());
        assert_eq!(environment["EXTRA"], "1");
        assert_eq!(environment["CARGO_MANIFEST_DIR"], Value::Null);
        let authorizer = bench.ask_with_token("/guarded/echo", "allow").await;
        assert_eq!(authorizer.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn keep_an_issuer_that_is_set() {
        let mut options = options();
        options.parameters.insert("Issuer".to_owned(), "https://issuer.example".to_owned());
        let bench = Bench::with(options).await;
        let environment = json_body(bench.ask("/echo", "").await).await["environment"].take();
        assert_eq!(environment["ISSUER"], "https://issuer.example");
    }

    #[tokio::test]
    async fn write_to_the_log_under_their_names() {
        let bench = Bench::start().await;
        bench.ask_with_token("/guarded/echo", "allow").await;
        let log = bench.log.wait_for("[echo] asked").await;
        assert!(log.contains("[authorizer] asked"));
        bench.log.wait_for("[gateway] GET /guarded/echo 200").await;
    }
}

mod store {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};

    use super::*;

    fn client(stack: &Stack) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(stack.store_url())
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        aws_sdk_dynamodb::Client::from_conf(config)
    }

    async fn put(stack: &Stack) {
        let item = |key: &str| AttributeValue::S(key.to_owned());
        let request = client(stack).put_item().table_name(stack.table_name());
        request.item("pk", item("a")).item("sk", item("b")).send().await.unwrap();
    }

    async fn count(stack: &Stack) -> Option<i32> {
        let answer = client(stack).scan().table_name(stack.table_name()).send().await;
        answer.ok().map(|answer| answer.count())
    }

    #[tokio::test]
    async fn has_the_table_with_its_ttl() {
        let bench = Bench::start().await;
        let answer = client(&bench.stack).describe_time_to_live().table_name(bench.stack.table_name()).send().await;
        let description = answer.unwrap().time_to_live_description.unwrap();
        assert_eq!(description.time_to_live_status, Some(TimeToLiveStatus::Enabled));
        assert_eq!(description.attribute_name.as_deref(), Some("expires_at"));
    }

    #[tokio::test]
    async fn goes_away_and_comes_back_with_its_data() {
        let bench = Bench::start().await;
        put(&bench.stack).await;
        bench.stack.stop_store().await;
        assert_eq!(count(&bench.stack).await, None);
        bench.stack.start_store().await.unwrap();
        assert_eq!(count(&bench.stack).await, Some(1));
    }

    #[tokio::test]
    async fn in_a_file_outlasts_the_stack() {
        let folder = tempfile::tempdir().unwrap();
        let in_file = || {
            let mut options = options();
            options.store = StoreLocation::File(folder.path().join("new/store.sqlite"));
            options
        };
        let bench = Bench::with(in_file()).await;
        put(&bench.stack).await;
        bench.stack.stop().await;
        assert_eq!(count(&Bench::with(in_file()).await.stack).await, Some(1));
    }

    #[tokio::test]
    async fn may_be_elsewhere() {
        let elsewhere = Bench::start().await;
        put(&elsewhere.stack).await;
        let mut options = options();
        options.store = StoreLocation::Endpoint(elsewhere.stack.store_url().to_owned());
        assert_eq!(count(&Bench::with(options).await.stack).await, Some(1));
    }
}

mod starting {
    use super::*;

    fn port(url: &str) -> u16 {
        url.rsplit(':').next().unwrap().parse().unwrap()
    }

    async fn error(options: Options) -> StartError {
        match Stack::start(options).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn tells_which_port_is_taken() {
        let bench = Bench::start().await;
        let taken = Options { port: port(bench.stack.url()), ..options() };
        assert!(matches!(error(taken).await, StartError::Listen { .. }));
        let taken = Options { store_port: port(bench.stack.store_url()), ..options() };
        assert!(matches!(error(taken).await, StartError::Store(StoreError::Listen { .. })));
        let taken = Options { secrets_port: port(bench.stack.secrets_url()), ..options() };
        assert!(matches!(error(taken).await, StartError::Secrets(SecretsError::Listen { .. })));
    }

    #[tokio::test]
    async fn tells_what_is_missing() {
        let missing = Options { template: PathBuf::from("nowhere.yaml"), ..options() };
        assert!(matches!(error(missing).await, StartError::Read { .. }));
        let missing = Options { functions: Functions::At(BTreeMap::new()), ..options() };
        assert!(matches!(error(missing).await, StartError::MissingBinary(name) if name == "authorizer"));
    }
}
