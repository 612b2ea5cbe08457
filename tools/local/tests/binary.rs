//! Runs `local` as a person does, in a workspace whose functions are examples.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed assumption fails the test")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use shared::{aws::sdk::laptop_config, username::Username};
use tempfile::TempDir;

fn workspace() -> TempDir {
    workspace_of("gateway.yaml", &[("echo", "echo"), ("brief", "echo"), ("authorizer", "echo")])
}

/// A workspace with this template, and with functions that are examples.
fn workspace_of(template: &str, functions: &[(&str, &str)]) -> TempDir {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
    let root = tempfile::tempdir().unwrap();
    std::fs::copy(here.join("tests").join(template), root.path().join("template.yaml")).unwrap();
    std::fs::write(root.path().join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"functions/*\"]")
        .unwrap();
    for (name, example) in functions {
        let code = format!(
            "use std::os::unix::process::CommandExt;
             fn main() {{ panic!(\"{{}}\", std::process::Command::new(r#\"{}\"#).exec()) }}",
            profile.join("examples").join(example).display()
        );
        let member = root.path().join("functions").join(name);
        std::fs::create_dir_all(member.join("src")).unwrap();
        std::fs::write(member.join("Cargo.toml"), format!("[package]\nname = \"{name}\"\nedition = \"2024\"")).unwrap();
        std::fs::write(member.join("src/main.rs"), code).unwrap();
    }
    root
}

fn local(root: &TempDir, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.current_dir(root.path().join("functions")).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts `local`, and returns it with its URL and what it said until it was ready.
fn ready(root: &TempDir, arguments: &[&str]) -> (Child, String, String) {
    let mut process = local(root, &[&["--port", "0", "--store-port", "0", "--secrets-port", "0"], arguments].concat());
    // Nobody reads the log; were the pipe closed, writing it would fail.
    let mut log = process.stderr.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let mut said = String::new();
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    while !said.contains("Ctrl-C") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "it ended: {said}");
    }
    let url = said.split_whitespace().find_map(|word| word.strip_suffix("/login")).unwrap().to_owned();
    (process, url, said)
}

fn signal(process: &Child, signal: &str) {
    assert!(kill(signal, &process.id().to_string()));
}

/// The shell's own `kill`: not every machine has it as a program.
fn kill(signal: &str, process: &str) -> bool {
    let command = format!("kill {signal} {process} 2>/dev/null");
    Command::new("sh").args(["-c", &command]).status().unwrap().success()
}

/// Asks the function behind `/echo` for its process id.
async fn function_process(url: &str) -> String {
    let answer = reqwest::get(format!("{url}/echo")).await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer["process"].to_string()
}

fn is_running(process: &str) -> bool {
    // In a container there may be nobody to collect a process that has ended.
    let is_zombie = std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    kill("-0", process) && !is_zombie
}

#[tokio::test]
async fn says_what_to_try_and_ends_on_a_signal() {
    let root = workspace();
    for name in ["-INT", "-TERM"] {
        let (mut process, url, said) = ready(&root, &["--memory"]);
        assert!(said.contains(&format!("curl -d \"username=johndoe&password=secret\" {url}/login")));
        assert!(said.contains(&format!("curl -H \"Authorization: Bearer $TOKEN\" {url}/protected")));
        let function = function_process(&url).await;
        signal(&process, name);
        assert!(process.wait().unwrap().success());
        assert!(!is_running(&function));
    }
    assert!(!root.path().join(".local").exists());
}

#[test]
fn rotates_at_the_start_where_there_is_no_key() {
    let root = workspace_of("secrets.yaml", &[("echo", "echo"), ("rotate", "rotate")]);
    let (mut process, ..) = ready(&root, &[]);
    let kept = std::fs::read_to_string(root.path().join(".local/secrets.json")).unwrap();
    assert!(kept.contains(r#"{\"turn\":1}"#), "{kept}");
    process.kill().unwrap();
    process.wait().unwrap();

    let (mut process, ..) = ready(&root, &["--parameter", "Rotation=off"]);
    assert_eq!(std::fs::read_to_string(root.path().join(".local/secrets.json")).unwrap(), kept);
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn takes_its_functions_with_it_when_it_is_killed() {
    let root = workspace();
    let (mut process, url, _) = ready(&root, &[]);
    assert!(root.path().join(".local/dynamodb.sqlite").is_file());
    let function = function_process(&url).await;
    assert!(is_running(&function));
    process.kill().unwrap();
    process.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_running(&function) {
        assert!(Instant::now() < deadline, "the function lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn names_the_flag_for_a_port_that_is_taken() {
    let root = workspace();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    for flag in ["--port", "--store-port", "--secrets-port"] {
        let ports = ["--port", "--store-port", "--secrets-port"].map(|other| if other == flag { &*port } else { "0" });
        let arguments = ["--port", ports[0], "--store-port", ports[1], "--secrets-port", ports[2]];
        let mut process = local(&root, &arguments);
        assert!(!process.wait().unwrap().success());
        let mut message = String::new();
        process.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        assert!(message.contains(&format!("Choose another port with {flag}.")), "{message}");
    }
}

#[test]
fn says_what_an_address_has_to_be_that_is_none_of_this_machine() {
    let root = workspace();
    // TEST-NET-1 of RFC 5737, which nobody has.
    let (code, message) = refused(&root, &["--host", "192.0.2.1"]);
    assert!(!code);
    assert!(message.contains("Give --host an address of this machine"), "{message}");
    assert!(!message.contains("another port"), "{message}");
}

#[test]
fn refuses_a_parameter_against_the_template_and_starts_nothing() {
    let root = workspace();
    for (parameter, part) in [
        ("Cost=99", "the parameter Cost can't be `99`: it must be at most 15 (MaxValue)"),
        ("Issuer=ftp://x", "the parameter Issuer can't be `ftp://x`: it must be empty, or a URL (AllowedPattern)"),
        ("Csot=12", "the template has no parameter Csot; it has Cost, Issuer"),
    ] {
        let (code, message) = refused(&root, &["--parameter", parameter]);
        assert!(!code);
        assert!(message.contains(part), "{message}");
        assert!(!message.contains("Building"), "{message}");
        assert!(!root.path().join(".local").exists());
    }
}

/// Whether it succeeded, and what it wrote to stderr.
fn refused(root: &TempDir, arguments: &[&str]) -> (bool, String) {
    let output = local(root, arguments).wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn lets_nobody_in_before_the_key_and_the_first_user_are_there() {
    let root = workspace_of("secrets.yaml", &[("echo", "echo"), ("rotate", "rotate")]);
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (port, store_port) = (free(), free());
    let mut process = local(&root, &["--port", &port, "--store-port", &store_port, "--secrets-port", "0"]);
    let mut log = process.stderr.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let deadline = Instant::now() + Duration::from_mins(2);
    let mut refused = 0;
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        refused += 1;
        assert!(Instant::now() < deadline, "nothing listens");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(refused > 0);
    let secrets = std::fs::read_to_string(root.path().join(".local/secrets.json")).unwrap();
    assert!(secrets.contains(r#"{\"turn\":1}"#), "{secrets}");
    let store = laptop_config(&format!("http://127.0.0.1:{store_port}"));
    let store = shared::store::Store::new(&store, "gatehouse");
    assert!(store.find_user(&Username::parse("johndoe").unwrap()).await.unwrap().is_some());
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn answers_at_both_addresses_and_says_which_to_use_for_cookies() {
    let root = workspace();
    let (mut process, url, said) = ready(&root, &["--memory"]);
    let port = url.rsplit(':').next().unwrap();
    for host in ["localhost", "127.0.0.1"] {
        assert!(said.contains(&format!("a page on http://{host} calls http://{host}:{port}")), "{said}");
        assert_eq!(reqwest::get(format!("http://{host}:{port}/echo")).await.unwrap().status(), 200, "{host}");
    }
    // A machine may have no IPv6.
    if TcpListener::bind("[::1]:0").is_ok() {
        assert_eq!(reqwest::get(format!("http://[::1]:{port}/echo")).await.unwrap().status(), 200);
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn logs_a_line_for_people_unless_told_to_log_json() {
    let root = workspace();
    for (arguments, line) in
        [(&["--memory"][..], "GET     /echo"), (&["--memory", "--log", "json"], "[gateway] GET /echo 200 ")]
    {
        let mut process =
            local(&root, &[&["--port", "0", "--store-port", "0", "--secrets-port", "0"], arguments].concat());
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        while !said.contains("Ctrl-C") {
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "it ended: {said}");
        }
        let url = said.split_whitespace().find_map(|word| word.strip_suffix("/login")).unwrap().to_owned();
        function_process(&url).await;
        // What functions write is there either way, and no colour where it isn't for a terminal.
        let (mut log, mut written) = (BufReader::new(process.stderr.take().unwrap()), String::new());
        while !(written.contains(line) && written.contains("asked")) {
            assert_ne!(log.read_line(&mut written).unwrap(), 0, "{line} is missing: {written}");
        }
        assert!(!written.contains('\u{1b}'), "{written}");
        process.kill().unwrap();
        process.wait().unwrap();
    }
}
