//! Names: one account has each, for good, unless an operator frees it.

use std::time::Duration;

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    client::Client,
    scope::Scopes,
    session::{Policy, Session, SessionId},
    store::StoreError,
    time::Timestamp,
    user::{Status, User},
};

use super::{n, row, s, time};
use crate::{
    line::{Disturbance, Line},
    table::{MINUTE, NOW, Table, endpoint, hash, scopes, user, username},
};

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

async fn begin_session(table: &Table, user: &User) -> SessionId {
    let policy = Policy { lifetime: Duration::from_hours(2), idle: Duration::from_hours(1), grace: Duration::ZERO };
    let id = SessionId::generate(&mut UnwrapErr(SysRng));
    let client = Client::default();
    let (scopes, version) = (scopes("read"), user.password_version);
    let session = Session::begin(id.clone(), scopes, "web".to_owned(), version, client, &policy, NOW);
    table.store.add_session(&user.username, &session).await.unwrap();
    id
}

#[tokio::test]
async fn a_tombstone_says_nothing_but_that_the_name_is_taken() {
    let table = Table::create();
    let john = User { account: 9, ..user("JohnDoe") };
    assert!(table.store.add_user(&john, NOW).await.unwrap());
    begin_session(&table, &john).await;
    assert!(table.store.remove_user(&john.username, later(60), MINUTE).await.unwrap());
    assert!(table.store.erase_account(&john.username, later(60), MINUTE).await.unwrap());
    let tombstone = row([
        ("pk", s("USER#johndoe")),
        ("sk", s("USER")),
        ("account", n(9)),
        ("status", s("deleted")),
        ("updated_at", time(later(60))),
    ]);
    assert_eq!(table.rows().await, [tombstone]);
}

#[tokio::test]
async fn a_deleted_account_is_none_and_its_name_stays_taken() {
    let table = Table::create();
    let john = username("johndoe");
    assert!(table.store.add_user(&user("johndoe"), NOW).await.unwrap());
    assert!(!table.store.is_deleted(&john).await.unwrap());
    // Its hash is there until it is erased, and opens nothing.
    assert!(table.store.bury_user(&john, NOW).await.unwrap());
    assert!(table.store.is_deleted(&john).await.unwrap());
    assert!(table.store.find_user(&john).await.unwrap().is_none());
    assert!(table.store.find_user_summary(&john).await.unwrap().is_none());
    for status in [Status::Active, Status::Disabled] {
        assert!(!table.store.set_status(&john, status, NOW).await.unwrap());
    }
    assert!(!table.store.set_scopes(&john, &scopes("a"), NOW).await.unwrap());
    assert!(!table.store.set_password(&john, &hash(), NOW).await.unwrap());
    assert!(!table.store.bury_user(&john, NOW).await.unwrap());
    assert!(!table.store.add_user(&user("JohnDoe"), later(1_000_000)).await.unwrap());
    assert!(table.store.find_user(&john).await.unwrap().is_none());
}

#[tokio::test]
async fn a_freed_name_can_have_another_account() {
    let table = Table::create();
    let john = username("johndoe");
    let first = user("johndoe");
    assert!(table.store.add_user(&first, NOW).await.unwrap());
    begin_session(&table, &first).await;
    assert!(!table.store.free_name(&john, NOW, MINUTE).await.unwrap(), "an account that there is");
    assert!(table.store.remove_user(&john, NOW, MINUTE).await.unwrap());
    assert!(table.store.free_name(&john, NOW, MINUTE).await.unwrap());
    assert_eq!(table.rows().await, []);
    let second = user("johndoe");
    assert!(table.store.add_user(&second, NOW).await.unwrap());
    let found = table.store.find_user(&john).await.unwrap().unwrap();
    assert_eq!((found.account, found.password_version), (second.account, second.password_version));
    assert_ne!((first.account, first.password_version), (second.account, second.password_version));
}

#[tokio::test]
async fn erasing_late_spares_another_account_of_the_name() {
    let line = Line::start(endpoint()).await;
    let table = Table::create();
    let slow = table.store_at(&line.url);
    let john = username("johndoe");
    assert!(table.store.add_user(&user("johndoe"), NOW).await.unwrap());
    assert!(table.store.remove_user(&john, NOW, MINUTE).await.unwrap());
    // It has seen the tombstone, and is about to delete the hash.
    line.disturb("DeleteItem", Disturbance::Held);
    let meanwhile = async {
        line.arrived().await;
        assert!(table.store.free_name(&john, NOW, MINUTE).await.unwrap());
        assert!(table.store.add_user(&user("johndoe"), NOW).await.unwrap());
        line.release();
    };
    let (erased, ()) = tokio::join!(slow.erase_account(&john, NOW, MINUTE), meanwhile);
    erased.unwrap();
    assert!(table.store.find_user(&john).await.unwrap().is_some());
}

#[tokio::test]
async fn an_account_that_is_there_is_not_erased() {
    let table = Table::create();
    let john = user("johndoe");
    assert!(table.store.add_user(&john, NOW).await.unwrap());
    begin_session(&table, &john).await;
    let before = table.rows().await.len();
    assert!(!table.store.erase_account(&john.username, NOW, MINUTE).await.unwrap());
    assert_eq!(table.rows().await.len(), before);
}

/// Adds johndoe by a line on which this call fails.
async fn add_with_failure(table: &Table, call: usize) -> Result<bool, StoreError> {
    let line = Line::start(endpoint()).await;
    let store = table.store_at(&line.url);
    line.disturb_call(call, Disturbance::Refused);
    store.add_user(&user("johndoe"), NOW).await
}

#[tokio::test]
async fn what_breaks_off_leaves_no_account_and_a_name_for_a_while() {
    for call in 1..=3 {
        let table = Table::create();
        let john = username("johndoe");
        add_with_failure(&table, call).await.unwrap_err();
        assert!(table.store.find_user(&john).await.unwrap().is_none(), "{call}");
        assert!(!table.store.set_status(&john, Status::Active, NOW).await.unwrap(), "{call}");
        assert!(table.store.users_page("", None, 5).await.unwrap().users.is_empty(), "{call}");
        // Nothing was claimed where the first call failed.
        let again = table.store.add_user(&user("johndoe"), later(10)).await.unwrap();
        assert_eq!(again, call == 1);
        let second = user("johndoe");
        assert_eq!(table.store.add_user(&second, later(11)).await.unwrap(), call != 1);
        let found = table.store.find_user(&john).await.unwrap().unwrap();
        assert!(call == 1 || found.password_hash.as_str() == second.password_hash.as_str());
        assert!(!table.row("USER#").await.contains_key("expires_at"), "the TTL would delete the account");
    }
}

#[tokio::test]
async fn lost_answers_make_no_name_taken() {
    for call in 1..=3 {
        let table = Table::create();
        let line = Line::start(endpoint()).await;
        let store = table.store_at(&line.url);
        line.disturb_call(call, Disturbance::AnswerLost);
        assert!(store.add_user(&user("johndoe"), NOW).await.unwrap(), "{call}");
        assert!(!line.is_disturbed());
        assert!(table.store.find_user(&username("johndoe")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn who_comes_late_does_not_take_the_name_back() {
    let table = Table::create();
    let line = Line::start(endpoint()).await;
    let slow = table.store_at(&line.url);
    // The claim is over when the hash is to be put, or the account is to begin.
    for (call, name) in [(2, "johndoe"), (3, "janedoe")] {
        line.disturb_call(call, Disturbance::Held);
        let (first, second) = (user(name), User { scopes: Scopes::default(), ..user(name) });
        let meanwhile = async {
            line.arrived().await;
            assert!(table.store.add_user(&second, later(11)).await.unwrap());
            line.release();
        };
        let (added, ()) = tokio::join!(slow.add_user(&first, NOW), meanwhile);
        assert!(!added.unwrap(), "{call}");
        let found = table.store.find_user(&username(name)).await.unwrap().unwrap();
        assert_eq!((found.account, found.password_hash.as_str()), (second.account, second.password_hash.as_str()));
    }
}
