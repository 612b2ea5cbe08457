//! `admin`, run as a person would, on the stack's store.

mod export;
mod import;
mod keys;
mod users;

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Output, Stdio},
};

use shared::{store::Store, user::User};

use crate::api::{Api, functions};

/// The tool with these arguments, for the stack at these addresses.
fn command(api: &Api, endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(&functions()["admin"]);
    command
        .args(arguments)
        .args(["--local", "--endpoint", endpoint, "--secrets-endpoint", api.stack.secrets_url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the tool with these arguments and this standard input.
fn admin(api: &Api, arguments: &[&str], input: &str) -> Output {
    let mut child = command(api, api.stack.store_url(), arguments).spawn().unwrap();
    // A tool that refuses its arguments doesn't read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts that all went well, and gives what was said.
#[track_caller]
fn assert_done(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn assert_refused(output: &Output, message: &str) {
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(error.contains(message), "{error}");
}

/// All accounts of the table, by name, as far as an export has them.
async fn accounts(store: &Store) -> BTreeMap<String, String> {
    let mut accounts = BTreeMap::new();
    let mut pages = store.all_users();
    while let Some(page) = pages.next().await.unwrap() {
        for user in page {
            let user = user.unwrap();
            let User { scopes, status, created, updated, .. } = &user;
            let account = format!("{} {scopes:?} {status} {created:?} {updated:?}", user.password_hash.as_str());
            assert!(accounts.insert(user.username.to_string(), account).is_none(), "{} twice", user.username);
        }
    }
    accounts
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_table_or_a_store_it_says_what_to_do() {
    let neither = Command::new(&functions()["admin"]).args(["user", "list"]).output().unwrap();
    assert_refused(&neither, "--table NAME for a deployed stack, --local for the laptop's");
    let api = Api::start().await;
    api.stack.stop_store().await;
    assert_refused(&admin(&api, &["user", "list"], ""), "the table could not be reached");
}
