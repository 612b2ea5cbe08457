//! Changes of an account by those who administer it.

use shared::{
    scope::Scopes,
    use_cases::{
        Unavailable,
        administer_users::{UserChange, change_user},
        authenticate::{AuthenticationError, Rejection},
    },
    user::{Status, UserSummary},
};

use crate::{
    instance::{Instance, PASSWORD, later, request},
    line::Disturbance,
    table::{NOW, scopes, username},
};

const HOME: &str = "192.0.2.1";

async fn with_johndoe() -> Instance {
    let instance = Instance::start().await;
    instance.add_user("JohnDoe").await;
    instance
}

/// A change to this status and these scopes.
fn to(status: Option<Status>, list: Option<&str>) -> UserChange {
    UserChange { status, scopes: list.map(scopes) }
}

async fn change(instance: &Instance, change: &UserChange) -> Result<Option<UserSummary>, Unavailable> {
    change_user(&instance.store, &username("johndoe"), change, instance.clock.now()).await
}

#[tokio::test]
async fn the_account_is_given_as_it_is_then() {
    let instance = with_johndoe().await;
    instance.pass(60);
    let summary = change(&instance, &to(Some(Status::Disabled), Some("read"))).await.unwrap().unwrap();
    assert_eq!((summary.username.as_str(), summary.status), ("JohnDoe", Status::Disabled));
    assert_eq!((&summary.scopes, summary.created, summary.updated), (&scopes("read"), NOW, later(60)));
    assert_eq!(instance.store.find_user_summary(&username("johndoe")).await.unwrap(), Some(summary));
}

#[tokio::test]
async fn what_is_not_named_stays() {
    let instance = with_johndoe().await;
    let before = instance.store.find_user_summary(&username("johndoe")).await.unwrap().unwrap();
    instance.pass(60);
    assert_eq!(change(&instance, &to(None, None)).await.unwrap().unwrap(), before);
    let narrowed = change(&instance, &to(None, Some("read"))).await.unwrap().unwrap();
    assert_eq!((narrowed.status, narrowed.scopes), (Status::Active, scopes("read")));
    let disabled = change(&instance, &to(Some(Status::Disabled), None)).await.unwrap().unwrap();
    assert_eq!((disabled.status, disabled.scopes), (Status::Disabled, scopes("read")));
}

#[tokio::test]
async fn all_scopes_can_be_taken() {
    let instance = with_johndoe().await;
    let nothing = UserChange { status: None, scopes: Some(Scopes::default()) };
    assert!(change(&instance, &nothing).await.unwrap().unwrap().scopes.is_empty());
}

#[tokio::test]
async fn an_account_that_is_disabled_loses_its_sessions() {
    let instance = with_johndoe().await;
    instance.add_user("ann").await;
    let pairs = [instance.begin_session().await, instance.begin_session().await];
    let anns = instance.sign_in(request("ann")).await.unwrap();
    change(&instance, &to(Some(Status::Disabled), None)).await.unwrap().unwrap();
    assert_eq!(instance.sessions("johndoe").await, []);
    let error = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Rejected(Rejection::DisabledUser(_))), "{error:?}");

    // Nor do they come back with the account.
    change(&instance, &to(Some(Status::Active), None)).await.unwrap().unwrap();
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    for pair in pairs {
        assert!(instance.refresh(pair.refresh.expose(), None).await.is_err());
    }
    instance.refresh(anns.refresh.expose(), None).await.unwrap();
}

#[tokio::test]
async fn other_changes_end_no_session() {
    let instance = with_johndoe().await;
    let pair = instance.begin_session().await;
    change(&instance, &to(Some(Status::Active), Some("read"))).await.unwrap().unwrap();
    let next = instance.refresh(pair.refresh.expose(), None).await.unwrap();
    assert_eq!(instance.allowed(&next).await, scopes("read"));
}

#[tokio::test]
async fn a_name_that_nobody_has_gets_no_row() {
    let instance = Instance::start().await;
    for status in [None, Some(Status::Active), Some(Status::Disabled)] {
        for list in [None, Some("read")] {
            assert_eq!(change(&instance, &to(status, list)).await.unwrap(), None, "{status:?} {list:?}");
        }
    }
    assert_eq!(instance.table.rows().await, []);
}

#[tokio::test]
async fn taking_away_comes_first_and_can_be_repeated() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    instance.begin_session().await;
    let disable = to(Some(Status::Disabled), Some("read admin"));
    line.disturb("DeleteItem", Disturbance::Refused);
    assert!(change(&instance, &disable).await.is_err());
    let user = instance.find_user("johndoe").await;
    assert_eq!((user.status, user.scopes), (Status::Disabled, scopes("read write")));
    line.heal();
    let summary = change(&instance, &disable).await.unwrap().unwrap();
    assert_eq!((summary.status, summary.scopes), (Status::Disabled, scopes("read admin")));
    assert_eq!(instance.sessions("johndoe").await, []);
}

#[tokio::test]
async fn an_account_is_opened_last() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    change(&instance, &to(Some(Status::Disabled), None)).await.unwrap().unwrap();
    // The first write passes, and the next fails.
    line.disturb("UpdateItem", Disturbance::Held);
    let meanwhile = async {
        line.arrived().await;
        line.release();
        line.disturb("UpdateItem", Disturbance::Refused);
    };
    let opened = to(Some(Status::Active), Some("read"));
    let (failed, ()) = tokio::join!(change(&instance, &opened), meanwhile);
    assert!(failed.is_err());
    let user = instance.find_user("johndoe").await;
    assert_eq!((user.status, user.scopes), (Status::Disabled, scopes("read")));
    line.heal();
    let summary = change(&instance, &opened).await.unwrap().unwrap();
    assert_eq!((summary.status, summary.scopes), (Status::Active, scopes("read")));
}
