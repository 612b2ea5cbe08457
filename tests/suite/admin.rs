//! `admin`, run as a person would, on the stack's store.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use shared::{password::Password, user::Status};

use crate::{
    api::{Api, PASSWORD, Ring, Setup, functions},
    token::header,
};

/// Runs the tool with these arguments and this standard input.
fn admin(api: &Api, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(&functions()["admin"])
        .args(arguments)
        .args(["--local", "--endpoint", api.stack.store_url(), "--secrets-endpoint", api.stack.secrets_url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A tool that refuses its arguments doesn't read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, message: &str) {
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(error.contains(message), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_was_added_signs_in_with_these_scopes() {
    let api = Api::start().await;
    let arguments = ["user", "add", "Alice", "--scope", "write", "--scope", "read", "--cost", "4"];
    let added = admin(&api, &arguments, "a long password\n");
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert_eq!(text(&added.stdout), "Alice is added\n");
    let answer = api.login(&[("username", "alice"), ("password", "a long password")]).await;
    assert_eq!(answer.json()["scope"], "read write");

    let again = admin(&api, &["user", "add", "ALICE", "--cost", "4"], "another password\n");
    assert_refused(&again, "there is a user ALICE already");
    assert!(api.user("alice").await.password_hash.verify(&Password::new("a long password".to_owned()).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_password_or_scope_that_breaks_a_rule_is_refused_with_the_rule() {
    let api = Api::start().await;
    for (arguments, input, message) in [
        (&["user", "add", "a b"][..], "a long password", "must be 1 to 64 characters"),
        (&["user", "add", "alice"], "short", "at least 8 characters"),
        (&["user", "add", "alice"], "", "at least 8 characters"),
        (&["user", "add", "alice-in-w"], "Alice-in-W\n", "must not be the username"),
        (&["user", "add", "alice", "--scope", "a\"b"], "a long password", "must be a list of scopes"),
        (&["user", "add", "alice", "--cost", "31"], "a long password", "must be a whole number from 4 to 16"),
        (&["user", "disable", "nobody"], "", "there is no user nobody"),
    ] {
        assert_refused(&admin(&api, arguments, input), message);
    }
    assert!(api.store.find_user(&"alice".parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_is_listed_and_no_longer_signs_in() {
    let api = Api::start().await;
    let disabled = admin(&api, &["user", "disable", "JohnDoe"], "");
    assert!(disabled.status.success(), "{}", text(&disabled.stderr));
    assert_eq!(api.user("johndoe").await.status, Status::Disabled);
    assert_eq!(api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await.status, 401);

    let list = text(&admin(&api, &["user", "list"], "").stdout);
    let row: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["johndoe", "disabled", "read", "write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_table_or_a_store_it_says_what_to_do() {
    let neither = Command::new(&functions()["admin"]).args(["user", "list"]).output().unwrap();
    assert_refused(&neither, "--table NAME for a deployed stack, --local for the laptop's");
    let api = Api::start().await;
    api.stack.stop_store().await;
    assert_refused(&admin(&api, &["user", "list"], ""), "the table could not be reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_rotated_and_retired() {
    let refresh = |function: &'static str| (function, "KEY_REFRESH", "1".to_owned());
    let environment = vec![refresh("login"), refresh("authorizer")];
    let api = Api::with(Setup { ring: Ring::Rotated, environment, ..Setup::default() }).await;
    let rotated = admin(&api, &["keys", "rotate"], "");
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    let leaked = api.token().await;
    let kid = header(&leaked)["kid"].as_str().unwrap().to_owned();
    let list = || text(&admin(&api, &["keys", "list"], "").stdout);
    let row = |list: &str, kid: &str| {
        let line =
            list.lines().find(|line| line.starts_with(kid)).unwrap_or_else(|| panic!("{kid}: {list}")).to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(&list(), &kid)[1], "ES256");
    assert_eq!(row(&list(), &kid)[3..], ["verifies"]);

    for unknown in ["unknown", "-unknown", "--unknown"] {
        let message = format!("no key {unknown} is published");
        assert_refused(&admin(&api, &["keys", "retire", unknown], ""), &message);
    }
    let retired = admin(&api, &["keys", "retire", &kid], "");
    assert!(retired.status.success(), "{}", text(&retired.stderr));
    assert_eq!(row(&list(), &kid)[3..], ["retired"]);
    api.until(async || api.protected(&format!("Bearer {leaked}")).await.status == 401).await;
    api.until(async || header(&api.token().await)["kid"] != kid.as_str()).await;
    assert_eq!(api.protected(&format!("Bearer {}", api.token().await)).await.status, 200);
}
