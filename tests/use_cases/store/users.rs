//! Accounts.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use shared::{
    scope::Scopes,
    store::{ACCOUNTS_AT_ONCE, StoreError},
    time::Timestamp,
    user::{Status, User},
};

use super::{MARK, assert_names_what_is_unusable, assert_unreadable, n, row, s, ss, time};
use crate::table::{MINUTE, NOW, Table, hash, scopes, store, user, username};

/// All that there is to an account.
fn parts(user: &User) -> (&str, u64, (&str, u64), &Scopes, Status, Timestamp, Timestamp) {
    let User { username, account, password_hash, password_version, scopes, status, created, updated } = user;
    let password = (password_hash.as_str(), *password_version);
    (username.as_str(), *account, password, scopes, *status, *created, *updated)
}

#[tokio::test]
async fn an_account_has_two_rows_and_its_hash_is_in_one() {
    let table = Table::create();
    let user = User { updated: Timestamp(NOW.0 + 1), account: 9, password_version: 7, ..user("JohnDoe") };
    assert!(table.store.add_user(&user, NOW).await.unwrap());
    let expected = row([
        ("pk", s("USER#johndoe")),
        ("sk", s("USER")),
        ("listed", s("users")),
        ("username", s("JohnDoe")),
        ("account", n(9)),
        ("scopes", ss(&["read", "write"])),
        ("status", s("active")),
        ("created_at", time(NOW)),
        ("updated_at", time(user.updated)),
    ]);
    assert_eq!(table.row("USER#").await, expected);
    let expected = row([
        ("pk", s("CREDENTIAL#johndoe")),
        ("sk", s("PASSWORD")),
        ("account", n(9)),
        ("claimed_at", time(NOW)),
        ("password_hash", s(user.password_hash.as_str())),
        ("password_version", n(7)),
        ("updated_at", time(user.updated)),
    ]);
    assert_eq!(table.row("CREDENTIAL#").await, expected);
    assert_eq!(table.rows().await.len(), 2);
}

#[tokio::test]
async fn accounts_that_are_added_together_are_as_others() {
    let (alone, together) = (Table::create(), Table::create());
    let users: Vec<_> = (0..ACCOUNTS_AT_ONCE).map(|number| user(&format!("User{number}"))).collect();
    assert!(together.store.add_users(&users, NOW).await.unwrap());
    for user in &users {
        assert!(alone.store.add_user(user, NOW).await.unwrap());
    }
    let ordered = async |table: &Table| {
        let mut rows: Vec<_> = table.rows().await.iter().map(|row| format!("{:?}", row.get("pk"))).collect();
        rows.sort();
        rows
    };
    assert_eq!(ordered(&together).await, ordered(&alone).await);
    let names: Vec<_> = users.iter().map(|user| user.username.clone()).collect();
    for (found, user) in together.store.find_users(&names).await.unwrap().into_iter().zip(&users) {
        assert_eq!(parts(&found.unwrap().unwrap()), parts(user));
    }
}

#[tokio::test]
async fn one_name_that_is_taken_keeps_all_out() {
    let table = Table::create();
    let (gone, there, new) = (username("gone"), user("There"), user("new"));
    assert!(table.store.add_user(&there, NOW).await.unwrap());
    assert!(table.store.add_user(&user("gone"), NOW).await.unwrap());
    assert!(table.store.bury_user(&gone, NOW).await.unwrap());
    let before = table.rows().await.len();
    for taken in ["there", "Gone"] {
        assert!(!table.store.add_users(&[new.clone(), user(taken)], NOW).await.unwrap());
    }
    assert_eq!(table.rows().await.len(), before);
    let found = table.store.find_users(&[new.username.clone(), username("THERE"), gone]).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|found| found.unwrap().map(|user| user.username)).collect();
    assert_eq!(found, [None, Some(there.username), None]);
}

#[tokio::test]
async fn no_scopes_are_no_attribute() {
    let table = Table::create();
    let john = username("johndoe");
    table.store.add_user(&User { scopes: Scopes::default(), ..user("johndoe") }, NOW).await.unwrap();
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
        any::<(bool, u64, u64, u64, u64)>(),
    );
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(Config::with_cases(48)).run(
            &accounts,
            |(name, scopes, (active, account, version, created, updated))| {
                let written = User {
                    username: username(&name),
                    account,
                    password_hash: hash(),
                    password_version: version,
                    scopes: Scopes::from_tokens(scopes.iter().map(String::as_str)).unwrap(),
                    status: if active { Status::Active } else { Status::Disabled },
                    created: Timestamp(created),
                    updated: Timestamp(updated),
                };
                runtime.block_on(async {
                    store.remove_user(&written.username, NOW, MINUTE).await.unwrap();
                    store.free_name(&written.username, NOW, MINUTE).await.unwrap();
                    assert!(store.add_user(&written, NOW).await.unwrap());
                    let read = store.find_user(&written.username).await.unwrap().unwrap();
                    assert_eq!(parts(&read), parts(&written));
                    let summary = store.find_user_summary(&written.username).await.unwrap().unwrap();
                    assert_eq!(summary.username.as_str(), name);
                    assert_eq!((&summary.scopes, summary.status), (&written.scopes, written.status));
                    assert_eq!((summary.created, summary.updated), (written.created, written.updated));
                });
                Ok(())
            },
        )
    })
    .unwrap();
}

#[tokio::test]
async fn an_unusable_attribute_is_named_and_not_quoted() {
    let table = Table::create();
    let john = username("johndoe");
    table.store.add_user(&user("johndoe"), NOW).await.unwrap();
    let intact = table.row("USER#").await;
    let whole = async || table.store.find_user(&john).await.map(drop);
    let required = ["username", "account", "status", "created_at", "updated_at"];
    assert_names_what_is_unusable(&table, &intact, &required, &["scopes"], whole).await;
    let summary = async || table.store.find_user_summary(&john).await.map(drop);
    assert_names_what_is_unusable(&table, &intact, &required, &["scopes"], summary).await;
    let intact = table.row("CREDENTIAL#").await;
    let required = ["account", "claimed_at", "password_hash", "password_version", "updated_at"];
    assert_names_what_is_unusable(&table, &intact, &required, &[], whole).await;
}

#[tokio::test]
async fn text_of_another_form_is_not_quoted() {
    let table = Table::create();
    table.store.add_user(&user("johndoe"), NOW).await.unwrap();
    let (user, credential) = (table.row("USER#").await, table.row("CREDENTIAL#").await);
    let no_hash = "is neither bcrypt of the versions 2a, 2b and 2y nor bcrypt-sha256 of passlib or Django";
    for (intact, attribute, value, problem) in [
        (&credential, "password_hash", s(MARK), no_hash),
        (&user, "username", s(format!("{MARK} ")), "must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -"),
        (&user, "status", s(MARK), "must be active or disabled"),
        (&user, "scopes", ss(&[&format!("{MARK} ")]), "at most 1024 characters in all"),
    ] {
        table.put(credential.clone()).await;
        table.put(intact.clone().into_iter().chain([(attribute.to_owned(), value)]).collect()).await;
        assert_unreadable(&table.store.find_user(&username("johndoe")).await.unwrap_err(), intact, attribute, problem);
    }
}

#[tokio::test]
async fn an_unreadable_row_stands_among_the_others() {
    let table = Table::create();
    for name in ["ann", "bob"] {
        table.store.add_user(&user(name), NOW).await.unwrap();
    }
    let mut damaged = table.row("USER#ann").await;
    damaged.remove("status");
    table.put(damaged).await;

    let page = table.store.users_page("", None, 10).await.unwrap();
    assert!(page.next.is_none());
    let bobs = page.users.iter().flatten().filter(|user| user.username == username("bob")).count();
    assert_eq!((page.users.len(), bobs), (2, 1));
    let mut all = table.store.all_users();
    let page = all.next().await.unwrap().unwrap();
    assert_eq!((page.len(), page.iter().flatten().count()), (2, 1));
    assert!(all.next().await.unwrap().is_none());
    // It is there, whatever is in it.
    assert!(!table.store.add_user(&user("ANN"), NOW).await.unwrap());
}

#[tokio::test]
async fn a_hash_of_another_account_opens_nothing() {
    let table = Table::create();
    let john = username("johndoe");
    table.store.add_user(&User { account: 1, ..user("johndoe") }, NOW).await.unwrap();
    let mut left = table.row("CREDENTIAL#").await;
    left.insert("account".to_owned(), n(2));
    table.put(left.clone()).await;
    let error = table.store.find_user(&john).await.unwrap_err();
    assert_unreadable(&error, &left, "account", "is another one's");
    assert!(!table.store.replace_password(&user("johndoe"), &hash(), NOW).await.unwrap());
}

#[tokio::test]
async fn an_account_without_a_hash_can_not_be_read() {
    let table = Table::create();
    table.store.add_user(&user("johndoe"), NOW).await.unwrap();
    let whole = table.row("CREDENTIAL#").await;
    table.delete("CREDENTIAL#johndoe", "PASSWORD").await;
    let error = table.store.find_user(&username("johndoe")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(_)), "{error:?}");
    table.put(whole).await;
    assert!(table.store.find_user(&username("johndoe")).await.unwrap().is_some());
}

#[tokio::test]
async fn another_password_has_another_version() {
    let table = Table::create();
    let john = username("johndoe");
    let made = user("johndoe");
    table.store.add_user(&made, NOW).await.unwrap();
    let (later, new) = (Timestamp(NOW.0 + 60), hash());
    assert!(table.store.set_password(&john, &new, later).await.unwrap());
    let found = table.store.find_user(&john).await.unwrap().unwrap();
    assert_eq!((found.password_hash.as_str(), found.password_version), (new.as_str(), made.password_version + 1));
    assert_eq!((found.account, found.created, found.updated), (made.account, NOW, later));
    // What was verified is a password of before.
    assert!(!table.store.replace_password(&made, &hash(), later).await.unwrap());
    assert!(table.store.replace_password(&found, &hash(), later).await.unwrap());
    assert!(!table.store.replace_password(&found, &hash(), later).await.unwrap());
}

#[tokio::test]
async fn a_hash_is_replaced_only_where_it_is_still_the_old_one() {
    let store = store().await;
    let john = username("johndoe");
    let (old, new) = (hash(), hash());
    let made = User { password_hash: old.clone(), ..user("johndoe") };
    store.add_user(&made, NOW).await.unwrap();
    assert!(store.replace_hash(&john, &old, &new).await.unwrap());
    assert!(!store.replace_hash(&john, &old, &hash()).await.unwrap());
    let user = store.find_user(&john).await.unwrap().unwrap();
    assert_eq!((user.password_hash.as_str(), user.password_version), (new.as_str(), made.password_version));
    assert!(!store.replace_hash(&username("nobody"), &old, &new).await.unwrap());
}

#[tokio::test]
async fn changes_of_nobody_make_no_row() {
    let table = Table::create();
    let nobody = username("nobody");
    assert!(!table.store.set_password(&nobody, &hash(), NOW).await.unwrap());
    assert!(!table.store.set_status(&nobody, Status::Disabled, NOW).await.unwrap());
    assert!(!table.store.set_scopes(&nobody, &scopes("a"), NOW).await.unwrap());
    assert!(!table.store.set_scopes(&nobody, &Scopes::default(), NOW).await.unwrap());
    assert!(!table.store.replace_password(&user("nobody"), &hash(), NOW).await.unwrap());
    assert!(!table.store.bury_user(&nobody, NOW).await.unwrap());
    assert!(!table.store.erase_account(&nobody, NOW, MINUTE).await.unwrap());
    assert!(!table.store.free_name(&nobody, NOW, MINUTE).await.unwrap());
    assert!(!table.store.remove_user(&nobody, NOW, MINUTE).await.unwrap());
    assert!(table.store.find_user(&nobody).await.unwrap().is_none());
    assert!(table.store.find_user_summary(&nobody).await.unwrap().is_none());
    assert_eq!(table.rows().await, []);
}
