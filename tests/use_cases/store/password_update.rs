//! A user's own change of the password.

use std::time::Duration;

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    client::Client,
    session::{Policy, Session, SessionId},
    store::PasswordUpdate,
    time::Timestamp,
    user::{Status, User},
};

use crate::table::{NOW, Table, hash, scopes, user, username};

async fn begin_session(table: &Table, user: &User) -> SessionId {
    let policy = Policy { lifetime: Duration::from_hours(2), idle: Duration::from_hours(1), grace: Duration::ZERO };
    let id = SessionId::generate(&mut UnwrapErr(SysRng));
    let version = user.password_version;
    let client = Client::default();
    let session = Session::begin(id, scopes("read"), "web".to_owned(), version, client, &policy, NOW);
    table.store.add_session(&user.username, &session).await.unwrap();
    session.id
}

#[tokio::test]
async fn the_session_that_it_comes_from_goes_along() {
    let table = Table::create().await;
    let (john, later) = (user("johndoe"), Timestamp(NOW.0 + 5));
    table.store.add_user(&john).await.unwrap();
    let (own, other) = (begin_session(&table, &john).await, begin_session(&table, &john).await);
    let new = hash();
    assert_eq!(table.store.update_password(&john, &own, &new, later).await.unwrap(), PasswordUpdate::Done);
    let changed = table.store.find_user(&john.username).await.unwrap().unwrap();
    assert_eq!(changed.password_hash.as_str(), new.as_str());
    assert_eq!((changed.password_version, changed.created, changed.updated), (NOW.0 + 1, NOW, later));
    let sessions = table.store.sessions(&john.username).await.unwrap();
    let version = |id: &SessionId| sessions.iter().find(|session| session.id == *id).unwrap().password_version;
    assert_eq!((version(&own), version(&other)), (NOW.0 + 1, NOW.0));
    // What was verified is another password by now.
    assert_eq!(table.store.update_password(&john, &own, &hash(), later).await.unwrap(), PasswordUpdate::UserChanged);
}

#[tokio::test]
async fn nothing_changes_for_a_disabled_account_or_an_ended_session() {
    let table = Table::create().await;
    let john = user("johndoe");
    table.store.add_user(&john).await.unwrap();
    let own = begin_session(&table, &john).await;
    table.store.set_status(&john.username, Status::Disabled, NOW).await.unwrap();
    assert_eq!(table.store.update_password(&john, &own, &hash(), NOW).await.unwrap(), PasswordUpdate::UserChanged);
    table.store.set_status(&john.username, Status::Active, NOW).await.unwrap();
    table.store.end_session(&john.username, &own, NOW).await.unwrap();
    assert_eq!(table.store.update_password(&john, &own, &hash(), NOW).await.unwrap(), PasswordUpdate::SessionOver);
    let user = table.store.find_user(&john.username).await.unwrap().unwrap();
    assert_eq!(user.password_hash.as_str(), john.password_hash.as_str());
    let nobody = User { username: username("nobody"), ..john };
    assert_eq!(table.store.update_password(&nobody, &own, &hash(), NOW).await.unwrap(), PasswordUpdate::UserChanged);
}

#[tokio::test]
async fn an_absent_version_is_the_time_of_creation() {
    let table = Table::create().await;
    let john = user("johndoe");
    table.store.add_user(&john).await.unwrap();
    let mut older = table.row("USER#").await;
    older.remove("password_version");
    table.put(older).await;
    let own = begin_session(&table, &john).await;
    let verified = table.store.find_user(&john.username).await.unwrap().unwrap();
    assert_eq!(table.store.update_password(&verified, &own, &hash(), NOW).await.unwrap(), PasswordUpdate::Done);
    let changed = table.store.find_user(&john.username).await.unwrap().unwrap();
    assert_eq!(changed.password_version, NOW.0 + 1);
}
