//! Accounts.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    client::Client,
    scope::Scopes,
    session::{Policy, Session, SessionId},
    store::StoreError,
    time::Timestamp,
    user::{Status, User},
};

use super::{MARK, assert_names_what_is_unusable, assert_unreadable, n, row, s, ss, time};
use crate::table::{NOW, Table, hash, scopes, store, user, username};

/// All that there is to an account.
fn parts(user: &User) -> (&str, &str, u64, &Scopes, Status, Timestamp, Timestamp) {
    let User { username, password_hash, password_version, scopes, status, created, updated } = user;
    (username.as_str(), password_hash.as_str(), *password_version, scopes, *status, *created, *updated)
}

#[tokio::test]
async fn a_row_has_these_attributes() {
    let table = Table::create().await;
    let user = User { updated: Timestamp(NOW.0 + 1), password_version: 7, ..user("JohnDoe") };
    assert!(table.store.add_user(&user).await.unwrap());
    let expected = row([
        ("pk", s("USER#johndoe")),
        ("sk", s("USER")),
        ("username", s("JohnDoe")),
        ("password_hash", s(user.password_hash.as_str())),
        ("password_version", n(7)),
        ("scopes", ss(&["read", "write"])),
        ("status", s("active")),
        ("created_at", time(NOW)),
        ("updated_at", time(user.updated)),
    ]);
    assert_eq!(table.row("USER#").await, expected);
}

#[tokio::test]
async fn no_scopes_are_no_attribute() {
    let table = Table::create().await;
    let john = username("johndoe");
    table.store.add_user(&User { scopes: Scopes::default(), ..user("johndoe") }).await.unwrap();
    assert!(!table.row("USER#").await.contains_key("scopes"));
    assert!(table.store.find_user(&john).await.unwrap().unwrap().scopes.is_empty());

    assert!(table.store.set_scopes(&john, &scopes("a b"), NOW).await.unwrap());
    assert_eq!(table.row("USER#").await["scopes"], ss(&["a", "b"]));
    assert!(table.store.set_scopes(&john, &Scopes::default(), NOW).await.unwrap());
    assert!(!table.row("USER#").await.contains_key("scopes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_again() {
    let store = store().await;
    let accounts = (
        "[A-Za-z0-9._@+-]{1,64}",
        proptest::collection::vec("[!#-\\[\\]-~]{1,9}", 0..6),
        any::<(bool, u64, u64, u64)>(),
    );
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(Config::with_cases(48)).run(&accounts, |(name, scopes, (active, version, created, updated))| {
            let written = User {
                username: username(&name),
                password_hash: hash(),
                password_version: version,
                scopes: Scopes::from_tokens(scopes.iter().map(String::as_str)).unwrap(),
                status: if active { Status::Active } else { Status::Disabled },
                created: Timestamp(created),
                updated: Timestamp(updated),
            };
            runtime.block_on(async {
                store.delete_user(&written.username).await.unwrap();
                assert!(store.add_user(&written).await.unwrap());
                let read = store.find_user(&written.username).await.unwrap().unwrap();
                assert_eq!(parts(&read), parts(&written));
                let summary = store.find_user_summary(&written.username).await.unwrap().unwrap();
                assert_eq!(summary.username.as_str(), name);
                assert_eq!((&summary.scopes, summary.status), (&written.scopes, written.status));
                assert_eq!((summary.created, summary.updated), (written.created, written.updated));
            });
            Ok(())
        })
    })
    .unwrap();
}

#[tokio::test]
async fn an_unusable_attribute_is_named_and_not_quoted() {
    let table = Table::create().await;
    let john = username("johndoe");
    table.store.add_user(&user("johndoe")).await.unwrap();
    let intact = table.row("USER#").await;
    let whole = async || table.store.find_user(&john).await.map(drop);
    let hash_too = ["username", "password_hash", "status", "created_at", "updated_at"];
    assert_names_what_is_unusable(&table, &intact, &hash_too, &["password_version", "scopes"], whole).await;
    let summary = async || table.store.find_user_summary(&john).await.map(drop);
    let shown = ["username", "status", "created_at", "updated_at"];
    assert_names_what_is_unusable(&table, &intact, &shown, &["scopes"], summary).await;
}

#[tokio::test]
async fn text_of_another_form_is_not_quoted() {
    let table = Table::create().await;
    table.store.add_user(&user("johndoe")).await.unwrap();
    let intact = table.row("USER#").await;
    for (attribute, value, problem) in [
        ("username", s(format!("{MARK} ")), "must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -"),
        (
            "password_hash",
            s(MARK),
            "is neither bcrypt of the versions 2a, 2b and 2y nor bcrypt-sha256 of passlib or Django",
        ),
        ("status", s(MARK), "must be active or disabled"),
        ("scopes", ss(&[&format!("{MARK} ")]), "at most 1024 characters in all"),
    ] {
        table.put(intact.clone().into_iter().chain([(attribute.to_owned(), value)]).collect()).await;
        assert_unreadable(&table.store.find_user(&username("johndoe")).await.unwrap_err(), &intact, attribute, problem);
    }
}

#[tokio::test]
async fn an_unreadable_row_stands_among_the_others() {
    let table = Table::create().await;
    for name in ["ann", "bob"] {
        table.store.add_user(&user(name)).await.unwrap();
    }
    let mut damaged = table.row("USER#ann").await;
    damaged.remove("status");
    table.put(damaged).await;

    let page = table.store.users_page(None, 10).await.unwrap();
    assert!(page.next.is_none());
    let bobs = page.users.iter().flatten().filter(|user| user.username == username("bob")).count();
    assert_eq!((page.users.len(), bobs), (2, 1));
    let mut all = table.store.all_users();
    let page = all.next().await.unwrap().unwrap();
    assert_eq!((page.len(), page.iter().flatten().count()), (2, 1));
    assert!(all.next().await.unwrap().is_none());
    // It is there, whatever is in it.
    assert!(!table.store.add_user(&user("ANN")).await.unwrap());
}

#[tokio::test]
async fn an_absent_password_version_is_the_time_of_creation() {
    let table = Table::create().await;
    let john = username("johndoe");
    table.store.add_user(&user("johndoe")).await.unwrap();
    let mut older = table.row("USER#").await;
    older.remove("password_version");
    table.put(older).await;
    assert_eq!(table.store.find_user(&john).await.unwrap().unwrap().password_version, NOW.0);
    assert!(table.store.set_password(&john, &hash(), NOW).await.unwrap());
    assert_eq!(table.store.find_user(&john).await.unwrap().unwrap().password_version, NOW.0 + 1);
}

#[tokio::test]
async fn a_hash_is_replaced_only_where_it_is_still_the_old_one() {
    let store = store().await;
    let john = username("johndoe");
    let (old, new) = (hash(), hash());
    store.add_user(&User { password_hash: old.clone(), ..user("johndoe") }).await.unwrap();
    assert!(store.replace_hash(&john, &old, &new).await.unwrap());
    assert!(!store.replace_hash(&john, &old, &hash()).await.unwrap());
    let user = store.find_user(&john).await.unwrap().unwrap();
    assert_eq!((user.password_hash.as_str(), user.password_version), (new.as_str(), NOW.0));
    assert!(!store.replace_hash(&username("nobody"), &old, &new).await.unwrap());
}

#[tokio::test]
async fn changes_of_nobody_make_no_row() {
    let table = Table::create().await;
    let nobody = username("nobody");
    assert!(!table.store.set_password(&nobody, &hash(), NOW).await.unwrap());
    assert!(!table.store.set_status(&nobody, Status::Disabled, NOW).await.unwrap());
    assert!(!table.store.set_scopes(&nobody, &scopes("a"), NOW).await.unwrap());
    assert!(!table.store.set_scopes(&nobody, &Scopes::default(), NOW).await.unwrap());
    assert!(!table.store.delete_user(&nobody).await.unwrap());
    assert!(!table.store.remove_user(&nobody, NOW).await.unwrap());
    assert!(table.store.find_user(&nobody).await.unwrap().is_none());
    assert!(table.store.find_user_summary(&nobody).await.unwrap().is_none());
    assert_eq!(table.rows().await, []);
}

#[tokio::test]
async fn an_account_is_disabled_first_and_its_row_goes_last() {
    let table = Table::create().await;
    let john = username("johndoe");
    table.store.add_user(&user("johndoe")).await.unwrap();
    let policy = Policy { lifetime: Duration::from_hours(2), idle: Duration::from_hours(1), grace: Duration::ZERO };
    let id = SessionId::generate(&mut UnwrapErr(SysRng));
    let session = Session::begin(id, scopes("read"), "web".to_owned(), NOW.0, Client::default(), &policy, NOW);
    table.store.add_session(&john, &session).await.unwrap();
    let intact = table.row("SESSION#").await;
    let mut damaged = intact.clone();
    damaged.remove("counter");
    table.put(damaged).await;

    // What comes between fails: nobody signs in meanwhile, and the same call finds the account again.
    let error = table.store.remove_user(&john, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(_)), "{error:?}");
    assert_eq!(table.store.find_user(&john).await.unwrap().unwrap().status, Status::Disabled);
    table.put(intact).await;
    assert!(table.store.remove_user(&john, NOW).await.unwrap());
    assert_eq!(table.rows().await, []);
}
