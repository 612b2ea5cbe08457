//! Changes of an account by those who administer it.

use shared::{
    routes,
    scope::Scopes,
    use_cases::{
        administer_users::{Administration, AdministrationError, ChangedUser, NoAdministrator, UserChange},
        authenticate::{AuthenticationError, Rejection},
    },
    user::{Status, UserSummary},
};

use crate::{
    instance::{Instance, PASSWORD, later, request},
    line::{Disturbance, Line},
    table::{NOW, Row, scopes, username},
};

const HOME: &str = "192.0.2.1";

/// An instance with an administrator, root.
async fn administered() -> Instance {
    let instance = Instance::start();
    add_root(&instance).await;
    instance
}

/// The same, on a line that can be disturbed.
async fn administered_on_a_line() -> (Line, Instance) {
    let (line, instance) = Instance::on_a_line().await;
    add_root(&instance).await;
    (line, instance)
}

async fn add_root(instance: &Instance) {
    instance.add_user("Root").await;
    set_scopes(instance, "root", "read users:write").await;
}

async fn with_johndoe() -> Instance {
    let instance = administered().await;
    instance.add_user("JohnDoe").await;
    instance
}

async fn set_scopes(instance: &Instance, name: &str, list: &str) {
    assert!(instance.table.store.set_scopes(&username(name), &scopes(list), NOW).await.unwrap());
}

async fn set_status(instance: &Instance, name: &str, status: Status) {
    assert!(instance.table.store.set_status(&username(name), status, NOW).await.unwrap());
}

/// A change to this status and these scopes.
fn to(status: Option<Status>, list: Option<&str>) -> UserChange {
    UserChange { status, scopes: list.map(scopes) }
}

/// Changes an account on behalf of another, as `PATCH /users/{username}` does.
async fn change_as(
    administrator: &str,
    instance: &Instance,
    name: &str,
    change: &UserChange,
) -> Result<UserSummary, AdministrationError> {
    let (store, clock, needed) = (&instance.store, &instance.clock, routes::CHANGE_USER.scope().unwrap());
    let administrator = &username(administrator);
    let changed = Administration { store, clock, administrator, needed }.change(&username(name), change).await?;
    let ChangedUser { user, has_sessions_left } = changed;
    assert!(!has_sessions_left);
    Ok(user)
}

/// Deletes an account on behalf of another, as `DELETE /users/{username}` does.
async fn delete_as(administrator: &str, instance: &Instance, name: &str) -> Result<(), AdministrationError> {
    let (store, clock, needed) = (&instance.store, &instance.clock, routes::DELETE_USER.scope().unwrap());
    let administrator = &username(administrator);
    Administration { store, clock, administrator, needed }.delete(&username(name)).await
}

/// Changes johndoe's account on behalf of root.
async fn change(instance: &Instance, change: &UserChange) -> Result<UserSummary, AdministrationError> {
    change_as("root", instance, "johndoe", change).await
}

/// Every row, in one order.
async fn rows(instance: &Instance) -> Vec<Row> {
    let mut rows = instance.table.rows().await;
    rows.sort_by_key(|row| (row["pk"].as_s().unwrap().clone(), row["sk"].as_s().unwrap().clone()));
    rows
}

/// Changes that together write all that can be written.
fn changes() -> [UserChange; 5] {
    [
        to(Some(Status::Active), None),
        to(Some(Status::Disabled), None),
        to(None, Some("users:write")),
        to(Some(Status::Active), Some("users:write")),
        to(Some(Status::Disabled), Some("read")),
    ]
}

#[tokio::test]
async fn the_account_is_given_as_it_is_then() {
    let instance = with_johndoe().await;
    instance.pass(60);
    let summary = change(&instance, &to(Some(Status::Disabled), Some("read"))).await.unwrap();
    assert_eq!((summary.username.as_str(), summary.status), ("JohnDoe", Status::Disabled));
    assert_eq!((&summary.scopes, summary.created, summary.updated), (&scopes("read"), NOW, later(60)));
    assert_eq!(instance.store.find_user_summary(&username("johndoe")).await.unwrap(), Some(summary));
}

#[tokio::test]
async fn what_is_not_named_stays() {
    let instance = with_johndoe().await;
    let before = instance.store.find_user_summary(&username("johndoe")).await.unwrap().unwrap();
    instance.pass(60);
    assert_eq!(change(&instance, &to(None, None)).await.unwrap(), before);
    let narrowed = change(&instance, &to(None, Some("read"))).await.unwrap();
    assert_eq!((narrowed.status, narrowed.scopes), (Status::Active, scopes("read")));
    let disabled = change(&instance, &to(Some(Status::Disabled), None)).await.unwrap();
    assert_eq!((disabled.status, disabled.scopes), (Status::Disabled, scopes("read")));
}

#[tokio::test]
async fn all_scopes_can_be_taken() {
    let instance = with_johndoe().await;
    let nothing = UserChange { status: None, scopes: Some(Scopes::default()) };
    assert!(change(&instance, &nothing).await.unwrap().scopes.is_empty());
}

#[tokio::test]
async fn an_account_that_is_disabled_loses_its_sessions() {
    let instance = with_johndoe().await;
    instance.add_user("ann").await;
    let pairs = [instance.begin_session().await, instance.begin_session().await];
    let anns = instance.sign_in(request("ann")).await.unwrap();
    change(&instance, &to(Some(Status::Disabled), None)).await.unwrap();
    assert_eq!(instance.sessions("johndoe").await, []);
    let error = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Rejected { rejection: Rejection::DisabledUser(_), .. }), "{error:?}");

    // Nor do they come back with the account.
    change(&instance, &to(Some(Status::Active), None)).await.unwrap();
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
    change(&instance, &to(Some(Status::Active), Some("read"))).await.unwrap();
    let next = instance.refresh(pair.refresh.expose(), None).await.unwrap();
    assert_eq!(instance.allowed(&next).await, scopes("read"));
}

#[tokio::test]
async fn a_name_that_nobody_has_gets_no_row() {
    let instance = administered().await;
    let before = rows(&instance).await;
    for status in [None, Some(Status::Active), Some(Status::Disabled)] {
        for list in [None, Some("read")] {
            let error = change(&instance, &to(status, list)).await.unwrap_err();
            assert!(matches!(error, AdministrationError::NoSuchUser), "{status:?} {list:?}: {error:?}");
        }
    }
    let error = delete_as("root", &instance, "johndoe").await.unwrap_err();
    assert!(matches!(error, AdministrationError::NoSuchUser), "{error:?}");
    assert_eq!(rows(&instance).await, before);
}

#[tokio::test]
async fn taking_away_comes_first_and_can_be_repeated() {
    let (line, instance) = administered_on_a_line().await;
    instance.add_user("johndoe").await;
    instance.begin_session().await;
    let disable = to(Some(Status::Disabled), Some("read admin"));
    line.disturb("DeleteItem", Disturbance::Refused);
    assert!(change(&instance, &disable).await.is_err());
    let user = instance.find_user("johndoe").await;
    assert_eq!((user.status, user.scopes), (Status::Disabled, scopes("read write")));
    line.heal();
    let summary = change(&instance, &disable).await.unwrap();
    assert_eq!((summary.status, summary.scopes), (Status::Disabled, scopes("read admin")));
    assert_eq!(instance.sessions("johndoe").await, []);
}

#[tokio::test]
async fn an_account_is_opened_last() {
    let (line, instance) = administered_on_a_line().await;
    instance.add_user("johndoe").await;
    change(&instance, &to(Some(Status::Disabled), None)).await.unwrap();
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
    let summary = change(&instance, &opened).await.unwrap();
    assert_eq!((summary.status, summary.scopes), (Status::Active, scopes("read")));
}

#[tokio::test]
async fn a_deletion_takes_the_account_and_its_sessions() {
    let instance = with_johndoe().await;
    instance.begin_session().await;
    delete_as("root", &instance, "JOHNDOE").await.unwrap();
    assert_eq!(instance.sessions("johndoe").await, []);
    assert_eq!(instance.store.find_user_summary(&username("johndoe")).await.unwrap(), None);
}

/// What each administrator's token said is that it may; here the rows say otherwise, each in one respect.
#[tokio::test]
async fn a_removed_administrator_writes_nothing_and_learns_nothing() {
    let instance = with_johndoe().await;
    instance.begin_session().await;
    for (name, list) in [("disabled", "users:read users:write"), ("demoted", "users:read users:writer")] {
        instance.add_user(name).await;
        set_scopes(&instance, name, list).await;
    }
    set_status(&instance, "disabled", Status::Disabled).await;
    set_status(&instance, "johndoe", Status::Disabled).await;
    let before = rows(&instance).await;
    for (administrator, reason) in [
        ("gone", NoAdministrator::Gone),
        ("disabled", NoAdministrator::Disabled),
        ("demoted", NoAdministrator::Demoted),
    ] {
        let assert_refused = |result: Result<(), AdministrationError>, what: &str| match result {
            Err(AdministrationError::NoAdministrator(found)) => assert_eq!(found, reason, "{what}"),
            other => panic!("{administrator}, {what}: {other:?}"),
        };
        // Another's account, the administrator's own, and one that nobody has.
        for target in ["johndoe", administrator, "nobody"] {
            for change in changes() {
                let result = change_as(administrator, &instance, target, &change).await;
                assert_refused(result.map(drop), &format!("{change:?} of {target}"));
            }
            assert_refused(delete_as(administrator, &instance, target).await, &format!("deletion of {target}"));
        }
        assert_eq!(rows(&instance).await, before, "{administrator}");
    }
}

#[tokio::test]
async fn every_scope_that_the_route_asks_for_is_needed() {
    let instance = with_johndoe().await;
    let (store, clock, administrator) = (&instance.store, &instance.clock, &username("ROOT"));
    for (needed, may) in
        [("users:write", true), ("read users:write", true), ("users:write audit", false), ("audit", false), ("", false)]
    {
        let administration = Administration { store, clock, administrator, needed };
        let changed = administration.change(&username("johndoe"), &to(None, None)).await;
        assert_eq!(changed.is_ok(), may, "{needed:?}: {changed:?}");
    }
}

#[tokio::test]
async fn without_a_look_at_the_administrator_nothing_is_written() {
    let (line, instance) = administered_on_a_line().await;
    instance.add_user("johndoe").await;
    let before = rows(&instance).await;
    line.disturb("GetItem", Disturbance::Refused);
    for change in changes() {
        let error = change_as("root", &instance, "johndoe", &change).await.unwrap_err();
        assert!(matches!(error, AdministrationError::Unavailable(_)), "{change:?}: {error:?}");
    }
    let error = delete_as("root", &instance, "johndoe").await.unwrap_err();
    assert!(matches!(error, AdministrationError::Unavailable(_)), "{error:?}");
    assert_eq!(rows(&instance).await, before);
}

#[tokio::test]
async fn an_administrator_finishes_the_write_in_flight_only() {
    let (line, instance) = administered_on_a_line().await;
    instance.add_user("johndoe").await;
    line.disturb("UpdateItem", Disturbance::Held);
    let meanwhile = async {
        line.arrived().await;
        set_status(&instance, "root", Status::Disabled).await;
        line.release();
    };
    let narrow = to(None, Some("read"));
    let (finished, ()) = tokio::join!(change(&instance, &narrow), meanwhile);
    assert_eq!(finished.unwrap().scopes, scopes("read"));
    let error = change(&instance, &narrow).await.unwrap_err();
    assert!(matches!(error, AdministrationError::NoAdministrator(NoAdministrator::Disabled)), "{error:?}");
}

#[tokio::test]
async fn nobody_disables_deletes_or_demotes_themselves() {
    let instance = administered().await;
    instance.sign_in(request("root")).await.unwrap();
    let before = rows(&instance).await;
    for (administrator, own) in [("Root", "Root"), ("root", "ROOT"), ("ROOT", "root")] {
        for change in [
            to(Some(Status::Disabled), None),
            to(Some(Status::Disabled), Some("users:write")),
            to(None, Some("read")),
            to(None, Some("")),
            to(Some(Status::Active), Some("users:read USERS:WRITE")),
        ] {
            let error = change_as(administrator, &instance, own, &change).await.unwrap_err();
            assert!(matches!(error, AdministrationError::OwnAccount), "{change:?}: {error:?}");
        }
        let error = delete_as(administrator, &instance, own).await.unwrap_err();
        assert!(matches!(error, AdministrationError::OwnAccount), "{error:?}");
    }
    assert_eq!(rows(&instance).await, before);
}

#[tokio::test]
async fn administrators_change_their_own_accounts_otherwise() {
    let instance = administered().await;
    for (own, list) in
        [(to(Some(Status::Active), None), "read users:write"), (to(None, Some("users:write x")), "users:write x")]
    {
        let summary = change_as("root", &instance, "ROOT", &own).await.unwrap();
        assert_eq!((summary.status, summary.scopes), (Status::Active, scopes(list)));
    }
}

/// One administrator can remove another.
#[tokio::test]
async fn administrators_remove_each_other() {
    let instance = administered().await;
    for name in ["ann", "bob"] {
        instance.add_user(name).await;
        set_scopes(&instance, name, "users:write").await;
    }
    change_as("root", &instance, "ann", &to(None, Some(""))).await.unwrap();
    change_as("bob", &instance, "root", &to(Some(Status::Disabled), None)).await.unwrap();
    delete_as("bob", &instance, "ann").await.unwrap();
    delete_as("bob", &instance, "root").await.unwrap();
}
