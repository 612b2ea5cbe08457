//! Making an account of one's own.

use shared::{
    random,
    use_cases::register::{Registration, RegistrationError},
    user::{Status, User},
};

use crate::{
    instance::{Instance, PASSWORD, client, cost, new_password},
    line::Disturbance,
    table::{MINUTE, NOW, scopes, username},
};

const HOME: &str = "192.0.2.1";

fn registration(instance: &Instance, per_address: u64) -> Registration {
    Registration {
        store: instance.store.clone(),
        cost: cost(4),
        scopes: scopes("profile"),
        reserved: "admin,root".parse().unwrap(),
        per_address,
        clock: instance.clock.clone(),
        random: random::system(),
    }
}

async fn register(registration: &Registration, name: &str, address: &str) -> Result<User, RegistrationError> {
    registration.register(username(name), new_password(PASSWORD), &client(address)).await
}

#[tokio::test]
async fn an_account_is_made_that_can_sign_in() {
    let instance = Instance::start();
    let made = register(&registration(&instance, 9), "JohnDoe", HOME).await.unwrap();
    let found = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    let version = made.password_version;
    for user in [made, found] {
        assert_eq!((user.username.as_str(), &user.scopes), ("JohnDoe", &scopes("profile")));
        assert_eq!((user.status, user.password_version), (Status::Active, version));
        assert_eq!((user.created, user.updated), (NOW, NOW));
    }
}

#[tokio::test]
async fn a_name_is_taken_in_any_case() {
    let instance = Instance::start();
    let registration = registration(&instance, 9);
    let john = instance.add_user("JohnDoe").await;
    for name in ["JohnDoe", "johndoe", "JOHNDOE"] {
        // It makes no difference that the password is the account's.
        let error = register(&registration, name, HOME).await.unwrap_err();
        assert!(matches!(error, RegistrationError::Taken), "{name}: {error:?}");
    }
    let found = instance.find_user("johndoe").await;
    assert_eq!((found.username.as_str(), &found.scopes), ("JohnDoe", &john.scopes));
    assert_eq!(found.password_hash.as_str(), john.password_hash.as_str());
}

#[tokio::test]
async fn the_name_of_an_unreadable_account_is_taken() {
    let instance = Instance::start();
    instance.add_user("johndoe").await;
    let mut damaged = instance.table.row("USER#").await;
    damaged.remove("status");
    instance.table.put(damaged.clone()).await;
    let error = register(&registration(&instance, 9), "johndoe", HOME).await.unwrap_err();
    assert!(matches!(error, RegistrationError::Taken), "{error:?}");
    assert_eq!(instance.table.row("USER#").await, damaged);
}

#[tokio::test]
async fn a_lost_answer_makes_no_name_taken() {
    let (line, instance) = Instance::on_a_line().await;
    line.disturb("PutItem", Disturbance::AnswerLost);
    let made = register(&registration(&instance, 9), "johndoe", HOME).await.unwrap();
    assert!(!line.is_disturbed());
    assert_eq!(instance.find_user("johndoe").await.password_hash.as_str(), made.password_hash.as_str());
    // The same name and password of another registration are another account's.
    let error = register(&registration(&instance, 9), "johndoe", HOME).await.unwrap_err();
    assert!(matches!(error, RegistrationError::Taken), "{error:?}");
}

#[tokio::test]
async fn the_name_of_a_deleted_account_is_taken() {
    let instance = Instance::start();
    instance.add_user("johndoe").await;
    assert!(instance.store.remove_user(&username("johndoe"), NOW, MINUTE).await.unwrap());
    let error = register(&registration(&instance, 9), "JohnDoe", HOME).await.unwrap_err();
    assert!(matches!(error, RegistrationError::Taken), "{error:?}");
}

#[tokio::test]
async fn an_outage_is_no_taken_name() {
    let (line, instance) = Instance::on_a_line().await;
    for operation in ["UpdateItem", "PutItem"] {
        line.disturb(operation, Disturbance::Refused);
        let error = register(&registration(&instance, 9), "johndoe", HOME).await.unwrap_err();
        assert!(matches!(error, RegistrationError::Unavailable(_)), "{operation}: {error:?}");
    }
    line.heal();
    // The name may be claimed by what broke off.
    instance.pass(11);
    register(&registration(&instance, 9), "johndoe", HOME).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_counted_makes_no_account() {
    let (line, instance) = Instance::on_a_line().await;
    line.disturb("UpdateItem", Disturbance::Refused);
    assert!(register(&registration(&instance, 9), "johndoe", HOME).await.is_err());
    assert_eq!((instance.table.rows().await, instance.table.counts().await), (vec![], vec![]));
}

#[tokio::test]
async fn an_address_gets_so_many_accounts_an_hour() {
    let instance = Instance::start();
    let registration = registration(&instance, 2);
    register(&registration, "ann", HOME).await.unwrap();
    // A name that is taken counts as well: asking is what is bounded.
    register(&registration, "ann", HOME).await.unwrap_err();
    let wait = async |name, address| match register(&registration, name, address).await {
        Err(RegistrationError::TooMany(wait)) => Some(wait.as_secs()),
        Err(other) => panic!("{other:?}"),
        Ok(_) => None,
    };
    // The answer says nothing of the name.
    assert_eq!((wait("bob", HOME).await, wait("ann", HOME).await), (Some(3600), Some(3600)));
    assert!(instance.store.find_user(&username("bob")).await.unwrap().is_none());
    assert_eq!(wait("carol", "192.0.2.2").await, None);

    instance.pass(3599);
    assert_eq!(wait("bob", HOME).await, Some(1));
    instance.pass(1);
    assert_eq!((wait("bob", HOME).await, wait("dan", HOME).await), (None, None));
    assert_eq!(wait("eve", HOME).await, Some(3600));
}
