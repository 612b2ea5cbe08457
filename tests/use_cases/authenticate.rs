//! Whether a password is an account's, and how often anybody may ask.

mod budget;
mod names;

use shared::{
    guessing::{Limit, Throttled},
    password::{PasswordHash, Scheme},
    use_cases::authenticate::{AuthenticationError, Rejection},
    user::{Status, User},
};

use crate::{
    instance::{Instance, PASSWORD, cost, hash_of, password},
    line::Disturbance,
    table::{NOW, user, username},
};

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";
const DAY: u64 = 24 * 3600;

fn throttled(error: &AuthenticationError) -> Throttled {
    match error {
        AuthenticationError::Throttled(throttled) => *throttled,
        other => panic!("{other:?}"),
    }
}

fn rejected(error: AuthenticationError) -> Rejection {
    match error {
        AuthenticationError::Rejected { rejection, spent: None } => rejection,
        other => panic!("{other:?}"),
    }
}

/// Guesses wrong, and asserts that the guess was taken.
async fn guess(instance: &Instance, name: &str, address: &str) {
    let error = instance.authenticate(name, "wrong", address).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Rejected { spent: None, .. }), "{error:?}");
}

/// Guesses at the account from as many addresses as its ceiling takes in a window that has just begun.
async fn fill_ceiling(instance: &Instance, name: &str) {
    for number in 0..33 {
        guess(instance, name, &format!("203.0.113.{number}")).await;
    }
}

/// Asserts that the right password isn't looked at for so long.
async fn assert_waits(instance: &Instance, name: &str, address: &str, limit: Limit, seconds: u64) {
    let refused = throttled(&instance.authenticate(name, PASSWORD, address).await.unwrap_err());
    assert_eq!((refused.limit, refused.wait.as_secs()), (limit, seconds));
}

async fn with_johndoe() -> Instance {
    let instance = Instance::start();
    instance.add_user("JohnDoe").await;
    instance
}

#[tokio::test]
async fn the_right_password_gives_the_account() {
    let instance = with_johndoe().await;
    let found = instance.authenticate("johnDOE", PASSWORD, HOME).await.unwrap();
    let stored = instance.find_user("johndoe").await;
    assert_eq!((found.username.as_str(), &found.scopes), ("JohnDoe", &stored.scopes));
    assert_eq!(found.password_hash.as_str(), stored.password_hash.as_str());
    assert_eq!(instance.guesses().await, (0, 0));
}

#[tokio::test]
async fn a_wrong_password_is_rejected() {
    let instance = with_johndoe().await;
    let error = instance.authenticate("johndoe", "wrong", HOME).await.unwrap_err();
    let rejection = rejected(error);
    assert!(matches!(rejection, Rejection::WrongPassword(_)), "{rejection:?}");
    assert_eq!((rejection.code(), rejection.user().unwrap().as_str()), ("wrong_password", "JohnDoe"));
    assert_eq!(instance.guesses().await, (1, 1));
}

#[tokio::test]
async fn an_unknown_name_is_rejected_and_not_kept() {
    let instance = Instance::start();
    let error = instance.authenticate("nobody", PASSWORD, HOME).await.unwrap_err();
    let rejection = rejected(error);
    assert!(matches!(rejection, Rejection::UnknownUser), "{rejection:?}");
    assert!(rejection.user().is_none());
    assert_eq!(instance.guesses().await, (1, 1));
    assert!(!format!("{:?}", instance.table.counts().await).contains("nobody"));
}

#[tokio::test]
async fn a_disabled_account_is_rejected_with_any_password() {
    let instance = with_johndoe().await;
    let now = instance.clock.now();
    assert!(instance.store.set_status(&username("johndoe"), Status::Disabled, now).await.unwrap());
    let right = rejected(instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err());
    assert!(matches!(right, Rejection::DisabledUser(_)), "{right:?}");
    let wrong = rejected(instance.authenticate("johndoe", "wrong", HOME).await.unwrap_err());
    assert!(matches!(wrong, Rejection::WrongPassword(_)), "{wrong:?}");
    // The right password of an account that nobody may use is no success.
    assert_eq!(instance.guesses().await, (2, 2));
}

#[tokio::test]
async fn an_unreadable_row_is_a_rejection() {
    let instance = with_johndoe().await;
    let mut damaged = instance.table.row("CREDENTIAL#").await;
    damaged.remove("password_hash");
    instance.table.put(damaged).await;
    let rejection = rejected(instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap_err());
    assert!(matches!(rejection, Rejection::UnreadableUser), "{rejection:?}");
    assert_eq!(instance.guesses().await, (1, 1));
}

#[tokio::test]
async fn without_the_counts_no_guess_is_made() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    line.disturb("BatchGetItem", Disturbance::Refused);
    for (name, password) in [("johndoe", "wrong"), ("johndoe", PASSWORD), ("nobody", "wrong")] {
        let error = instance.authenticate(name, password, HOME).await.unwrap_err();
        assert!(matches!(error, AuthenticationError::Unavailable(_)), "{name} {password}: {error:?}");
    }
    assert_eq!(instance.guesses().await, (0, 0));
}

#[tokio::test]
async fn rows_that_are_put_off_are_read_again() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    for _ in 0..6 {
        guess(&instance, "johndoe", HOME).await;
    }
    // The account comes first, and the count of its failures after it.
    line.disturb("BatchGetItem", Disturbance::PutOff);
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 1).await;
    assert!(!line.is_disturbed());
    line.disturb("BatchGetItem", Disturbance::PutOff);
    instance.authenticate("johndoe", PASSWORD, ELSEWHERE).await.unwrap();

    line.disturb("BatchGetItem", Disturbance::PutOffForGood);
    let error = instance.authenticate("johndoe", PASSWORD, ELSEWHERE).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_guess_that_is_not_counted_is_not_made() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    line.disturb("UpdateItem", Disturbance::Refused);
    for (name, password) in [("johndoe", "wrong"), ("johndoe", PASSWORD), ("nobody", "wrong")] {
        let error = instance.authenticate(name, password, HOME).await.unwrap_err();
        assert!(matches!(error, AuthenticationError::Unavailable(_)), "{name} {password}: {error:?}");
    }
}

#[tokio::test]
async fn a_success_that_is_not_noted_is_one() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    // After the one that asks whether the address is known, and the two that count the guess.
    line.disturb_after(3, "UpdateItem", Disturbance::Refused);
    let found = instance.authenticate("johndoe", PASSWORD, HOME).await;
    assert_eq!(found.unwrap().username.as_str(), "johndoe");
    assert_eq!(instance.guesses().await, (1, 1));
}

#[tokio::test]
async fn after_five_failures_the_address_waits() {
    let instance = with_johndoe().await;
    for _ in 0..6 {
        guess(&instance, "johndoe", HOME).await;
    }
    // The right password is not looked at either, and asking again doesn't make it longer.
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 1).await;
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 1).await;
    assert_eq!(instance.guesses().await, (6, 6));

    instance.pass(1);
    guess(&instance, "johndoe", HOME).await;
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 2).await;
    instance.pass(1);
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 1).await;
    instance.authenticate("johndoe", PASSWORD, ELSEWHERE).await.unwrap();
    instance.pass(1);
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
}

#[tokio::test]
async fn an_unknown_name_waits_like_a_known_one() {
    let instance = with_johndoe().await;
    for (failures, seconds) in [(6, 1), (1, 2), (1, 4), (1, 8)] {
        for name in ["johndoe", "nobody"] {
            for _ in 0..failures {
                guess(&instance, name, HOME).await;
            }
            assert_waits(&instance, name, HOME, Limit::Address, seconds).await;
        }
        instance.pass(seconds);
    }
}

#[tokio::test]
async fn a_right_guess_resets_the_count() {
    let instance = with_johndoe().await;
    for _ in 0..5 {
        guess(&instance, "johndoe", HOME).await;
    }
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    // Its own guess leaves the ceiling, those before it stay.
    assert_eq!(instance.guesses().await, (0, 5));
    for _ in 0..6 {
        guess(&instance, "johndoe", HOME).await;
    }
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 1).await;
}

#[tokio::test]
async fn failures_are_forgotten_after_a_day() {
    let instance = with_johndoe().await;
    for _ in 0..6 {
        guess(&instance, "johndoe", HOME).await;
    }
    instance.pass(DAY);
    guess(&instance, "johndoe", HOME).await;
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 2).await;
    instance.pass(DAY + 2);
    for _ in 0..6 {
        guess(&instance, "johndoe", HOME).await;
    }
    assert_waits(&instance, "johndoe", HOME, Limit::Address, 1).await;
}

#[tokio::test]
async fn the_ceiling_holds_up_all_but_known_addresses() {
    let instance = with_johndoe().await;
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    for name in ["johndoe", "nobody"] {
        fill_ceiling(&instance, name).await;
        assert_waits(&instance, name, ELSEWHERE, Limit::Account, 1800).await;
    }
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();

    instance.pass(1799);
    assert_waits(&instance, "johndoe", ELSEWHERE, Limit::Account, 1).await;
    instance.pass(1);
    instance.authenticate("johndoe", PASSWORD, ELSEWHERE).await.unwrap();
}

#[tokio::test]
async fn an_address_is_known_for_ninety_days() {
    let instance = with_johndoe().await;
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    instance.pass(90 * DAY - 1800);
    fill_ceiling(&instance, "johndoe").await;
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();

    instance.pass(90 * DAY);
    fill_ceiling(&instance, "johndoe").await;
    assert_waits(&instance, "johndoe", HOME, Limit::Account, 1800).await;
}

#[tokio::test]
async fn failures_of_a_known_address_count_at_the_ceiling() {
    let instance = with_johndoe().await;
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    for failures in 1..=6 {
        guess(&instance, "johndoe", HOME).await;
        assert_eq!(instance.guesses().await, (failures, usize::try_from(failures).unwrap()));
    }
    for number in 6..33 {
        guess(&instance, "johndoe", &format!("203.0.113.{number}")).await;
    }
    assert_waits(&instance, "johndoe", ELSEWHERE, Limit::Account, 1800).await;
}

#[tokio::test]
async fn an_older_hash_is_renewed() {
    // passlib 1.7.4: bcrypt.using(rounds=4, ident="2y").hash("test")
    let plain = PasswordHash::parse("$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm").unwrap();
    let text = "test";
    for old in [plain, hash_of(text, cost(5))] {
        let instance = Instance::start();
        assert!(instance.store.add_user(&User { password_hash: old.clone(), ..user("johndoe") }, NOW).await.unwrap());
        let found = instance.authenticate("johndoe", text, HOME).await.unwrap();
        instance.authenticator.renew_hash(&found, &password(text)).await;
        let renewed = instance.find_user("johndoe").await;
        assert_eq!((renewed.password_hash.scheme(), renewed.password_hash.cost()), (Scheme::BcryptSha256, cost(4)));
        // It is the same password still, whose sessions go on.
        assert_eq!((renewed.password_version, renewed.updated), (found.password_version, found.updated));
        instance.authenticate("johndoe", text, HOME).await.unwrap();
    }
}

#[tokio::test]
async fn a_hash_of_this_cost_stays() {
    let instance = with_johndoe().await;
    let found = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    instance.authenticator.renew_hash(&found, &password(PASSWORD)).await;
    assert_eq!(instance.find_user("johndoe").await.password_hash.as_str(), found.password_hash.as_str());
}

#[tokio::test]
async fn a_hash_that_is_newer_than_the_verified_one_stays() {
    let instance = Instance::start();
    let old = User { password_hash: hash_of(PASSWORD, cost(5)), ..user("johndoe") };
    assert!(instance.store.add_user(&old, NOW).await.unwrap());
    let found = instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    let newer = hash_of("another password", cost(4));
    assert!(instance.store.set_password(&found.username, &newer, instance.clock.now()).await.unwrap());
    instance.authenticator.renew_hash(&found, &password(PASSWORD)).await;
    assert_eq!(instance.find_user("johndoe").await.password_hash.as_str(), newer.as_str());
}
