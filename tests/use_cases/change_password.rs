//! Giving one's own account another password.

use shared::{
    session::SessionId,
    use_cases::{
        authenticate::{AuthenticationError, Rejection},
        change_password::{PasswordChange, PasswordChangeError},
        issue_tokens::TokenPair,
        refresh::{RefreshError, RefreshRefusal},
    },
    user::{Status, User},
};

use crate::{
    instance::{Instance, PASSWORD, client, later, new_password, password, request},
    line::{Disturbance, Line},
    table::{NOW, username},
};

const HOME: &str = "192.0.2.1";
const NEW: &str = "umlaut metal heavy";

async fn with_johndoe() -> Instance {
    let instance = Instance::start().await;
    instance.add_user("johndoe").await;
    instance
}

async fn on_a_line_with_johndoe() -> (Line, Instance) {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    (line, instance)
}

/// Changes johndoe's password to [`NEW`], seen from this session.
async fn change(instance: &Instance, session: &SessionId, current: &str) -> Result<usize, PasswordChangeError> {
    let change = PasswordChange {
        store: instance.store.clone(),
        authenticator: instance.authenticator.clone(),
        clock: instance.clock.clone(),
    };
    change.change((&username("johndoe"), session), &password(current), new_password(NEW), &client(HOME)).await
}

/// Asserts that the account has the password that was verified, and all its sessions.
async fn assert_unchanged(instance: &Instance, before: &User, sessions: usize) {
    let user = instance.find_user("johndoe").await;
    assert_eq!(user.password_hash.as_str(), before.password_hash.as_str());
    assert_eq!((user.password_version, user.updated), (before.password_version, before.updated));
    assert_eq!(instance.sessions("johndoe").await.len(), sessions);
}

async fn refusal(instance: &Instance, pair: &TokenPair) -> RefreshRefusal {
    match instance.refresh(pair.refresh.expose(), None).await.err().unwrap() {
        RefreshError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_new_password_takes_the_place_of_the_old() {
    let instance = with_johndoe().await;
    let (before, own) = (instance.find_user("johndoe").await, instance.begin_session().await);
    instance.pass(60);
    assert_eq!(change(&instance, &own.session.id, PASSWORD).await.unwrap(), 0);
    let user = instance.find_user("johndoe").await;
    assert_eq!((user.password_version, user.updated), (before.password_version + 1, later(60)));
    instance.authenticate("johndoe", NEW, HOME).await.unwrap();
    let error = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Rejected(Rejection::WrongPassword(_))), "{error:?}");
}

#[tokio::test]
async fn all_sessions_end_but_the_one_that_it_comes_from() {
    let instance = with_johndoe().await;
    instance.add_user("ann").await;
    let own = instance.begin_session().await;
    let others = [instance.begin_session().await, instance.begin_session().await];
    let anns = instance.sign_in(request("ann")).await.unwrap();
    assert_eq!(change(&instance, &own.session.id, PASSWORD).await.unwrap(), 2);
    for pair in others {
        assert_eq!(refusal(&instance, &pair).await, RefreshRefusal::SessionOver);
    }
    for pair in [own, anns] {
        instance.refresh(pair.refresh.expose(), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_changes_nothing_and_counts() {
    let instance = with_johndoe().await;
    let (before, own) = (instance.find_user("johndoe").await, instance.begin_session().await);
    for _ in 0..6 {
        let error = change(&instance, &own.session.id, "wrong").await.unwrap_err();
        let PasswordChangeError::Authentication(AuthenticationError::Rejected(rejection)) = error else {
            panic!("{error:?}")
        };
        assert!(matches!(rejection, Rejection::WrongPassword(_)), "{rejection:?}");
    }
    // It is the guessing of a sign-in, by another door.
    let error = change(&instance, &own.session.id, PASSWORD).await.unwrap_err();
    assert!(matches!(&error, PasswordChangeError::Authentication(AuthenticationError::Throttled(_))), "{error:?}");
    let error = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Throttled(_)), "{error:?}");
    assert_unchanged(&instance, &before, 1).await;
}

#[tokio::test]
async fn an_ended_session_changes_nothing() {
    let instance = with_johndoe().await;
    let (before, own) = (instance.find_user("johndoe").await, instance.begin_session().await);
    instance.begin_session().await;
    assert!(instance.store.end_session(&before.username, &own.session.id, NOW).await.unwrap());
    let error = change(&instance, &own.session.id, PASSWORD).await.unwrap_err();
    assert!(matches!(error, PasswordChangeError::SessionOver), "{error:?}");
    assert_unchanged(&instance, &before, 2).await;
}

#[tokio::test]
async fn what_changes_meanwhile_stands() {
    let (line, instance) = on_a_line_with_johndoe().await;
    let (before, own) = (instance.find_user("johndoe").await, instance.begin_session().await);
    // Disabled between the look at the current password and the write of the new one.
    line.disturb("TransactWriteItems", Disturbance::Held);
    let meanwhile = async {
        line.arrived().await;
        assert!(instance.table.store.set_status(&before.username, Status::Disabled, NOW).await.unwrap());
        line.release();
    };
    let (changed, ()) = tokio::join!(change(&instance, &own.session.id, PASSWORD), meanwhile);
    let error = changed.unwrap_err();
    assert!(matches!(error, PasswordChangeError::AccountChanged), "{error:?}");
    assert_unchanged(&instance, &before, 1).await;
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let (line, instance) = on_a_line_with_johndoe().await;
    let (own, other) = (instance.begin_session().await, instance.begin_session().await);
    line.disturb("TransactWriteItems", Disturbance::Held);
    let first = async {
        line.arrived().await;
        // Past the line, where nothing is held.
        let direct = PasswordChange {
            store: instance.table.store.clone(),
            authenticator: instance.authenticator.clone(),
            clock: instance.clock.clone(),
        };
        let john = username("johndoe");
        let new = new_password("metal umlaut heavy");
        let ended = direct.change((&john, &other.session.id), &password(PASSWORD), new, &client(HOME)).await;
        line.release();
        ended.unwrap()
    };
    let (second, ended) = tokio::join!(change(&instance, &own.session.id, PASSWORD), first);
    let error = second.unwrap_err();
    assert!(matches!(error, PasswordChangeError::AccountChanged), "{error:?}");
    assert_eq!(ended, 1);
    instance.authenticate("johndoe", "metal umlaut heavy", HOME).await.unwrap();
}

#[tokio::test]
async fn sessions_that_cannot_be_ended_are_told_of() {
    let (line, instance) = on_a_line_with_johndoe().await;
    let (own, other) = (instance.begin_session().await, instance.begin_session().await);
    line.disturb("DeleteItem", Disturbance::Refused);
    let error = change(&instance, &own.session.id, PASSWORD).await.unwrap_err();
    assert!(matches!(error, PasswordChangeError::SessionsLeft(_)), "{error:?}");
    // The password is the new one, so that the sessions of the old one give no tokens all the same.
    instance.authenticate("johndoe", NEW, HOME).await.unwrap();
    assert_eq!(refusal(&instance, &other).await, RefreshRefusal::PasswordChanged);
    instance.refresh(own.refresh.expose(), None).await.unwrap();
}

#[tokio::test]
async fn an_outage_changes_nothing() {
    let (line, instance) = on_a_line_with_johndoe().await;
    let (before, own) = (instance.find_user("johndoe").await, instance.begin_session().await);
    instance.begin_session().await;
    line.disturb("TransactWriteItems", Disturbance::Refused);
    let error = change(&instance, &own.session.id, PASSWORD).await.unwrap_err();
    assert!(matches!(error, PasswordChangeError::Unavailable(_)), "{error:?}");
    assert_unchanged(&instance, &before, 2).await;
}
