//! `admin user`: accounts, one by one.

use shared::{password::Password, user::Status};

use super::{admin, assert_done, assert_refused, text};
use crate::api::{Api, PASSWORD};

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
async fn a_name_that_nobody_can_register_can_be_given_out() {
    let api = Api::start().await;
    assert_done(&admin(&api, &["user", "add", "admin", "--cost", "4"], "a long password\n"));
    assert_eq!(api.login(&[("username", "admin"), ("password", "a long password")]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_password_or_scope_is_refused_with_the_broken_rule() {
    let api = Api::start().await;
    for (arguments, input, message) in [
        (&["user", "add", "a b"][..], "a long password", "must be 1 to 64 characters"),
        (&["user", "add", "alice"], "short", "at least 8 characters"),
        (&["user", "add", "alice"], "", "at least 8 characters"),
        (&["user", "add", "alice"], "iloveyou1", "must not be one of the most common passwords"),
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
async fn an_enabled_user_signs_in_again() {
    let api = Api::start().await;
    assert_done(&admin(&api, &["user", "disable", "johndoe"], ""));
    assert_eq!(assert_done(&admin(&api, &["user", "enable", "JohnDoe"], "")), "JohnDoe may sign in\n");
    api.token().await;
    assert_refused(&admin(&api, &["user", "enable", "nobody"], ""), "there is no user nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_shown_without_the_hash() {
    let api = Api::start().await;
    let shown = assert_done(&admin(&api, &["user", "show", "JOHNDOE"], ""));
    let rows: Vec<(&str, &str)> = shown.lines().filter_map(|line| line.split_once(' ')).collect();
    let row = |name: &str| rows.iter().find(|row| row.0 == name).unwrap().1.trim();
    assert_eq!(row("username"), "johndoe");
    assert_eq!(row("status"), "active");
    assert_eq!(row("scopes"), "read write");
    assert_eq!(row("password"), "bcrypt-sha256 of cost 4");
    assert!(row("created").starts_with("20") && row("updated").ends_with('Z'), "{shown}");
    assert_refused(&admin(&api, &["user", "show", "nobody"], ""), "there is no user nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_gone() {
    let api = Api::start().await;
    assert_eq!(assert_done(&admin(&api, &["user", "delete", "JohnDoe"], "")), "JohnDoe is deleted\n");
    assert!(api.store.find_user(&"johndoe".parse().unwrap()).await.unwrap().is_none());
    assert_eq!(api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await.status, 401);
    assert_refused(&admin(&api, &["user", "delete", "johndoe"], ""), "there is no user johndoe");
    assert!(!api.dump().await.contains("CREDENTIAL#johndoe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_deleted_user_is_taken_until_it_is_freed() {
    let api = Api::start().await;
    let add = || admin(&api, &["user", "add", "JohnDoe", "--cost", "4"], "a long password\n");
    assert_refused(&admin(&api, &["user", "free", "johndoe"], ""), "there is no deleted user johndoe");
    assert_done(&admin(&api, &["user", "delete", "johndoe"], ""));
    assert_refused(&add(), "the user JohnDoe was deleted, and the name stays taken");
    assert_eq!(assert_done(&admin(&api, &["user", "free", "JOHNDOE"], "")), "the name JOHNDOE is free\n");
    assert_done(&add());
    assert_eq!(api.login(&[("username", "johndoe"), ("password", "a long password")]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_takes_the_place_of_the_old_one() {
    let api = Api::start().await;
    let before = api.user("johndoe").await.password_version;
    let set = |name: &str, password: &str| admin(&api, &["user", "set-password", name, "--cost", "4"], password);
    assert_eq!(assert_done(&set("JohnDoe", "a new password\n")), "JohnDoe has a new password\n");
    assert_eq!(api.user("johndoe").await.password_version, before + 1);
    assert_eq!(api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await.status, 401);
    assert_eq!(api.login(&[("username", "johndoe"), ("password", "a new password")]).await.status, 200);

    assert_refused(&set("johndoe", "Password1"), "must not be one of the most common passwords");
    assert_refused(&set("nobody", "a new password"), "there is no user nobody");
    assert_eq!(api.user("johndoe").await.password_version, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_scopes_take_the_place_of_the_old_ones() {
    let api = Api::start().await;
    let set = |arguments: &[&str]| admin(&api, &[&["user", "set-scopes"], arguments].concat(), "");
    assert_done(&set(&["JohnDoe", "--scope", "admin", "--scope", "read"]));
    assert_eq!(api.user("johndoe").await.scopes.to_string(), "admin read");
    assert_refused(&set(&["johndoe"]), "--scope <SCOPE>|--none");
    assert_refused(&set(&["johndoe", "--none", "--scope", "read"]), "cannot be used with");
    assert_refused(&set(&["nobody", "--none"]), "there is no user nobody");
    assert_eq!(api.user("johndoe").await.scopes.to_string(), "admin read");
    assert_done(&set(&["johndoe", "--none"]));
    assert!(api.user("johndoe").await.scopes.is_empty());
    api.token().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_deleting_and_a_new_password_sign_the_user_out() {
    for (command, input) in [("disable", ""), ("delete", ""), ("set-password", "another long password\n")] {
        let api = Api::start().await;
        let signed_in = api.sign_in().await;
        assert_done(&admin(&api, &["user", command, "JohnDoe"], input));
        assert!(api.store.sessions(&"johndoe".parse().unwrap()).await.unwrap().is_empty(), "{command}");
        api.refresh(&signed_in.refresh_token()).await.error(400, "invalid_grant");
    }
}
