//! What ends a session, or turns its tokens away.

use std::time::Duration;

use shared::{
    session::Policy,
    use_cases::refresh::{RefreshError, RefreshRefusal},
    user::Status,
};

use super::{next, refused, with_johndoe};
use crate::{
    instance::{Instance, POLICY, cost, hash_of, later},
    line::Disturbance,
    table::{MINUTE, NOW, user, username},
};

#[tokio::test]
async fn a_session_ends_where_it_idles() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    instance.pass(POLICY.idle.as_secs() - 1);
    let second = next(&instance, &first).await;
    instance.pass(POLICY.idle.as_secs());
    assert_eq!(refused(&instance, &second).await, RefreshRefusal::SessionOver);
    // Its end was its own: nobody ended it.
    assert_eq!(instance.session().await, second.session);
}

#[tokio::test]
async fn a_session_ends_however_often_it_is_used() {
    let policy = Policy { lifetime: Duration::from_hours(3), idle: Duration::from_hours(2), ..POLICY };
    let instance = Instance { policy, ..with_johndoe().await };
    let mut pair = instance.begin_session().await;
    for _ in 0..2 {
        instance.pass(3600);
        pair = next(&instance, &pair).await;
    }
    instance.pass(3599);
    let last = next(&instance, &pair).await;
    assert_eq!(last.session.ends, later(3 * 3600));
    assert_eq!(instance.verify(last.access.expose()).await.unwrap().expires, later(3 * 3600));
    instance.pass(1);
    assert_eq!(refused(&instance, &last).await, RefreshRefusal::SessionOver);
    // Nor does the grace window outlast it.
    assert_eq!(refused(&instance, &pair).await, RefreshRefusal::SessionOver);
}

#[tokio::test]
async fn an_ended_or_removed_session_gives_no_tokens() {
    let instance = with_johndoe().await;
    let john = username("johndoe");
    let (ended, removed) = (instance.begin_session().await, instance.begin_session().await);
    assert!(instance.store.end_session(&john, &ended.session.id, NOW).await.unwrap());
    assert!(instance.store.remove_session(&john, &removed.session.id, NOW).await.unwrap());
    for pair in [ended, removed] {
        assert_eq!(refused(&instance, &pair).await, RefreshRefusal::SessionOver);
    }
    assert_eq!(instance.sessions("johndoe").await.len(), 1);
}

#[tokio::test]
async fn a_disabled_user_ends_the_session() {
    let instance = with_johndoe().await;
    let (john, first) = (username("johndoe"), instance.begin_session().await);
    assert!(instance.store.set_status(&john, Status::Disabled, NOW).await.unwrap());
    assert_eq!(refused(&instance, &first).await, RefreshRefusal::UserGone);
    assert!(instance.store.set_status(&john, Status::Active, NOW).await.unwrap());
    assert_eq!(refused(&instance, &first).await, RefreshRefusal::SessionOver);
    assert_eq!(instance.session().await.ended, Some(NOW));
}

#[tokio::test]
async fn a_deleted_user_ends_the_session() {
    let instance = with_johndoe().await;
    let (john, first) = (username("johndoe"), instance.begin_session().await);
    assert!(instance.store.bury_user(&john, NOW).await.unwrap());
    assert_eq!(refused(&instance, &first).await, RefreshRefusal::UserGone);
    assert_eq!(instance.session().await.ended, Some(NOW));
}

#[tokio::test]
async fn another_password_ends_the_session() {
    let instance = with_johndoe().await;
    let (john, first) = (username("johndoe"), instance.begin_session().await);
    let second = next(&instance, &first).await;
    let hash = hash_of("another password", cost(4));
    assert!(instance.store.set_password(&john, &hash, NOW).await.unwrap());
    assert_eq!(refused(&instance, &second).await, RefreshRefusal::PasswordChanged);
    assert_eq!(instance.session().await.ended, Some(NOW));
}

#[tokio::test]
async fn the_window_does_not_outlast_the_password() {
    let instance = with_johndoe().await;
    let (john, first) = (username("johndoe"), instance.begin_session().await);
    next(&instance, &first).await;
    let hash = hash_of("another password", cost(4));
    assert!(instance.store.set_password(&john, &hash, NOW).await.unwrap());
    assert_eq!(refused(&instance, &first).await, RefreshRefusal::PasswordChanged);
    assert_eq!(instance.session().await.ended, Some(NOW));
}

#[tokio::test]
async fn a_later_account_of_the_name_takes_over_no_session() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let john = username("johndoe");
    assert!(instance.store.remove_user(&john, NOW, MINUTE).await.unwrap());
    assert!(instance.store.free_name(&john, NOW, MINUTE).await.unwrap());
    // Even where its row has come back.
    instance.store.add_session(&john, &first.session).await.unwrap();
    assert!(instance.store.add_user(&user("johndoe"), NOW).await.unwrap());
    assert_eq!(refused(&instance, &first).await, RefreshRefusal::PasswordChanged);
}

#[tokio::test]
async fn an_outage_ends_no_session() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    let first = instance.begin_session().await;
    for (operation, moved) in [("UpdateItem", 0), ("BatchGetItem", 1)] {
        line.disturb(operation, Disturbance::Refused);
        let error = instance.refresh(first.refresh.expose(), None).await.err().unwrap();
        assert!(matches!(error, RefreshError::Unavailable(_)), "{operation}: {error:?}");
        let session = instance.session().await;
        assert_eq!((session.counter, session.ended), (moved, None), "{operation}");
    }
    line.heal();
    // Where only the account could not be read the session has moved on, and the client has a while to ask again.
    instance.pass(POLICY.grace.as_secs());
    next(&instance, &first).await;
}

#[tokio::test]
async fn a_lost_answer_ends_no_session() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    let first = instance.begin_session().await;
    // The update is repeated, and finds the session moved on by itself.
    line.disturb("UpdateItem", Disturbance::AnswerLost);
    let second = next(&instance, &first).await;
    assert!(!line.is_disturbed());
    assert_eq!(instance.session().await.counter, 1);
    next(&instance, &second).await;
}

#[tokio::test]
async fn an_unreadable_account_ends_no_session() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let intact = instance.table.row("USER#").await;
    let mut damaged = intact.clone();
    damaged.remove("status");
    instance.table.put(damaged).await;
    let error = instance.refresh(first.refresh.expose(), None).await.err().unwrap();
    assert!(matches!(error, RefreshError::Unavailable(_)), "{error:?}");
    instance.table.put(intact).await;
    next(&instance, &first).await;
}
