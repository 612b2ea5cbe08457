//! Giving one's own account another password.

use shared::{
    use_cases::{
        authenticate::{AuthenticationError, Rejection},
        change_password::{PasswordChange, PasswordChangeError},
        issue_tokens::TokenPair,
        refresh::{RefreshError, RefreshRefusal},
    },
    user::User,
};

use crate::{
    instance::{Instance, PASSWORD, client, later, new_password, password, request},
    line::{Disturbance, Line},
    table::{MINUTE, NOW, username},
};

const HOME: &str = "192.0.2.1";
const NEW: &str = "umlaut metal heavy";
/// Which call writes the new password.
const WRITE: (&str, &str) = ("UpdateItem", "CREDENTIAL#");

async fn with_johndoe() -> Instance {
    let instance = Instance::start();
    instance.add_user("johndoe").await;
    instance
}

async fn on_a_line_with_johndoe() -> (Line, Instance) {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    (line, instance)
}

/// Changes johndoe's password to [`NEW`].
async fn change(instance: &Instance, current: &str) -> Result<usize, PasswordChangeError> {
    let change = PasswordChange {
        store: instance.store.clone(),
        authenticator: instance.authenticator.clone(),
        clock: instance.clock.clone(),
    };
    let removal = change.change(&username("johndoe"), &password(current), new_password(NEW), &client(HOME)).await?;
    assert!(removal.is_complete);
    Ok(removal.ended)
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
    let before = instance.find_user("johndoe").await;
    instance.begin_session().await;
    instance.pass(60);
    assert_eq!(change(&instance, PASSWORD).await.unwrap(), 1);
    let user = instance.find_user("johndoe").await;
    assert_eq!((user.password_version, user.updated), (before.password_version + 1, later(60)));
    instance.authenticate("johndoe", NEW, HOME).await.unwrap();
    let error = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Rejected { rejection: Rejection::WrongPassword(_), .. }), "{error:?}");
}

#[tokio::test]
async fn all_sessions_end_and_nobody_elses() {
    let instance = with_johndoe().await;
    instance.add_user("ann").await;
    let pairs = [instance.begin_session().await, instance.begin_session().await, instance.begin_session().await];
    let anns = instance.sign_in(request("ann")).await.unwrap();
    assert_eq!(change(&instance, PASSWORD).await.unwrap(), 3);
    for pair in pairs {
        assert_eq!(refusal(&instance, &pair).await, RefreshRefusal::SessionOver);
    }
    instance.refresh(anns.refresh.expose(), None).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_changes_nothing_and_counts() {
    let instance = with_johndoe().await;
    let before = instance.find_user("johndoe").await;
    instance.begin_session().await;
    for _ in 0..6 {
        let error = change(&instance, "wrong").await.unwrap_err();
        let PasswordChangeError::Authentication(AuthenticationError::Rejected { rejection, .. }) = error else {
            panic!("{error:?}")
        };
        assert!(matches!(rejection, Rejection::WrongPassword(_)), "{rejection:?}");
    }
    // It is the guessing of a sign-in, by another door.
    let error = change(&instance, PASSWORD).await.unwrap_err();
    assert!(matches!(&error, PasswordChangeError::Authentication(AuthenticationError::Throttled(_))), "{error:?}");
    let error = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Throttled(_)), "{error:?}");
    assert_unchanged(&instance, &before, 1).await;
}

#[tokio::test]
async fn what_is_deleted_meanwhile_gets_no_password() {
    let (line, instance) = on_a_line_with_johndoe().await;
    instance.begin_session().await;
    // Deleted and erased between the look at the current password and the write of the new one.
    line.disturb_row(WRITE.0, WRITE.1, Disturbance::Held);
    let meanwhile = async {
        line.arrived().await;
        let (store, john) = (&instance.table.store, username("johndoe"));
        assert!(store.remove_user(&john, NOW, MINUTE).await.unwrap());
        assert!(store.erase_account(&john, NOW, MINUTE).await.unwrap());
        line.release();
    };
    let (changed, ()) = tokio::join!(change(&instance, PASSWORD), meanwhile);
    let error = changed.unwrap_err();
    assert!(matches!(error, PasswordChangeError::AccountChanged), "{error:?}");
    let rows = instance.table.rows().await;
    assert!(!rows.iter().any(|row| row["pk"].as_s().unwrap().starts_with("CREDENTIAL#")), "{rows:?}");
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let (line, instance) = on_a_line_with_johndoe().await;
    instance.begin_session().await;
    line.disturb_row(WRITE.0, WRITE.1, Disturbance::Held);
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
        let ended = direct.change(&john, &password(PASSWORD), new, &client(HOME)).await;
        line.release();
        ended.unwrap().ended
    };
    let (second, ended) = tokio::join!(change(&instance, PASSWORD), first);
    let error = second.unwrap_err();
    assert!(matches!(error, PasswordChangeError::AccountChanged), "{error:?}");
    assert_eq!(ended, 1);
    instance.authenticate("johndoe", "metal umlaut heavy", HOME).await.unwrap();
}

#[tokio::test]
async fn sessions_that_cannot_be_ended_are_told_of() {
    let (line, instance) = on_a_line_with_johndoe().await;
    let pairs = [instance.begin_session().await, instance.begin_session().await];
    line.disturb("DeleteItem", Disturbance::Refused);
    let error = change(&instance, PASSWORD).await.unwrap_err();
    assert!(matches!(error, PasswordChangeError::SessionsLeft(_)), "{error:?}");
    // The password is the new one, so that the sessions of the old one give no tokens all the same.
    instance.authenticate("johndoe", NEW, HOME).await.unwrap();
    for pair in pairs {
        assert_eq!(refusal(&instance, &pair).await, RefreshRefusal::PasswordChanged);
    }
}

#[tokio::test]
async fn an_outage_changes_nothing() {
    let (line, instance) = on_a_line_with_johndoe().await;
    let before = instance.find_user("johndoe").await;
    for _ in 0..2 {
        instance.begin_session().await;
    }
    line.disturb_row(WRITE.0, WRITE.1, Disturbance::Refused);
    let error = change(&instance, PASSWORD).await.unwrap_err();
    assert!(matches!(error, PasswordChangeError::Unavailable(_)), "{error:?}");
    assert_unchanged(&instance, &before, 2).await;
}

#[tokio::test]
async fn a_lost_answer_is_no_failure() {
    let (line, instance) = on_a_line_with_johndoe().await;
    instance.begin_session().await;
    line.disturb_row(WRITE.0, WRITE.1, Disturbance::AnswerLost);
    assert_eq!(change(&instance, PASSWORD).await.unwrap(), 1);
    assert!(!line.is_disturbed());
    instance.authenticate("johndoe", NEW, HOME).await.unwrap();
}
