//! How often an address may fail, over all accounts.

use shared::{
    guessing::{Limit, Network},
    use_cases::authenticate::AuthenticationError,
    user::Status,
};

use super::{ELSEWHERE, HOME, assert_waits, guess, throttled, with_johndoe};
use crate::{
    instance::{FAILURES_PER_ADDRESS as BUDGET, Instance, PASSWORD},
    line::Disturbance,
    table::username,
};

/// Fails at an account of which nobody has heard, and gives the network whose last failure it was.
async fn fail(instance: &Instance, number: u64, address: &str) -> Option<Network> {
    match instance.authenticate(&format!("name{number}"), "wrong", address).await.unwrap_err() {
        AuthenticationError::Rejected { spent, .. } => spent,
        other => panic!("{number} from {address}: {other:?}"),
    }
}

/// Uses up what this address may fail, at as many names.
async fn spend(instance: &Instance, address: &str) {
    for number in 1..=BUDGET {
        let spent = fail(instance, number, address).await;
        assert_eq!(spent.map(|network| network.to_string()), (number == BUDGET).then(|| address.to_owned()));
    }
}

/// How many failures the rows of addresses and sites count, in all.
async fn failures(instance: &Instance) -> u64 {
    let rows = instance.table.counts().await;
    let rows = rows.iter().filter(|row| !row.contains_key("last_guess"));
    rows.filter_map(|row| row.get("failures")).map(|count| count.as_n().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn an_address_fails_so_often_over_all_accounts() {
    let instance = with_johndoe().await;
    spend(&instance, HOME).await;
    let counted = instance.guesses().await;
    for name in ["johndoe", "name1", "another"] {
        assert_waits(&instance, name, HOME, Limit::Client, 1800).await;
    }
    // What is refused is counted nowhere.
    assert_eq!((instance.guesses().await, failures(&instance).await), (counted, BUDGET));
    instance.authenticate("johndoe", PASSWORD, ELSEWHERE).await.unwrap();
}

#[tokio::test]
async fn the_next_window_begins_anew() {
    let instance = with_johndoe().await;
    spend(&instance, HOME).await;
    instance.pass(1799);
    assert_waits(&instance, "johndoe", HOME, Limit::Client, 1).await;
    instance.pass(1);
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    spend(&instance, HOME).await;
}

#[tokio::test]
async fn right_passwords_count_nothing() {
    let instance = with_johndoe().await;
    for _ in 0..BUDGET + 5 {
        instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    }
    assert_eq!(failures(&instance).await, 0);
    spend(&instance, HOME).await;
}

#[tokio::test]
async fn whatever_is_wrong_with_credentials_counts() {
    let instance = with_johndoe().await;
    instance.add_user("disabled").await;
    let now = instance.clock.now();
    assert!(instance.store.set_status(&username("disabled"), Status::Disabled, now).await.unwrap());
    for (name, password) in [("johndoe", "wrong"), ("nobody", PASSWORD), ("disabled", PASSWORD), ("disabled", "wrong")]
    {
        assert!(instance.authenticate(name, password, HOME).await.is_err());
    }
    assert_eq!(failures(&instance).await, 4);
}

#[tokio::test]
async fn a_known_address_signs_in_beyond_its_budget() {
    let instance = with_johndoe().await;
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    spend(&instance, HOME).await;
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();

    // With delays of its own, of which nobody is told.
    for _ in 0..6 {
        let wrong = throttled(&instance.authenticate("johndoe", "wrong", HOME).await.unwrap_err());
        assert_eq!((wrong.limit, wrong.wait.as_secs()), (Limit::Client, 1800));
    }
    assert_waits(&instance, "johndoe", HOME, Limit::Client, 1800).await;
    instance.pass(1);
    instance.authenticate("johndoe", PASSWORD, HOME).await.unwrap();
    assert_eq!(failures(&instance).await, BUDGET);
}

#[tokio::test]
async fn ipv6_counts_by_64_and_four_times_as_much_by_48_bits() {
    let instance = with_johndoe().await;
    let mut number = 0;
    for network in 1..=4 {
        for failures in 1..=BUDGET {
            number += 1;
            // Another address of the /64 each time.
            let spent = fail(&instance, number, &format!("2001:db8:1:{network}::{failures:x}")).await;
            let expected = match (network, failures) {
                (4, BUDGET) => Some("2001:db8:1::/48".to_owned()),
                (_, BUDGET) => Some(format!("2001:db8:1:{network}::/64")),
                _ => None,
            };
            assert_eq!(spent.map(|network| network.to_string()), expected, "{network} {failures}");
        }
        assert_waits(&instance, "johndoe", &format!("2001:db8:1:{network}::ffff"), Limit::Client, 1800).await;
    }
    // A /64 that nobody has guessed from, of that site and of another.
    assert_waits(&instance, "johndoe", "2001:db8:1:5::1", Limit::Client, 1800).await;
    instance.authenticate("johndoe", PASSWORD, "2001:db8:2:5::1").await.unwrap();
}

#[tokio::test]
async fn what_is_no_address_has_one_budget() {
    let instance = with_johndoe().await;
    for number in 1..=BUDGET {
        let spent = fail(&instance, number, &format!("no address {number}")).await;
        assert_eq!(spent.is_some(), number == BUDGET);
    }
    assert_waits(&instance, "johndoe", "another text", Limit::Client, 1800).await;
}

#[tokio::test]
async fn a_failure_that_cannot_be_counted_is_an_outage() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    for name in ["johndoe", "nobody"] {
        // After the two that count the guess.
        line.disturb_after(2, "UpdateItem", Disturbance::Refused);
        let error = instance.authenticate(name, "wrong", HOME).await.unwrap_err();
        assert!(matches!(error, AuthenticationError::Unavailable(_)), "{name}: {error:?}");
    }
    line.heal();
    guess(&instance, "johndoe", HOME).await;
}

#[tokio::test]
async fn the_row_of_failures_names_no_address_and_expires() {
    let instance = with_johndoe().await;
    guess(&instance, "johndoe", "2001:db8:1:2::3").await;
    let rows = instance.table.counts().await;
    let rows: Vec<_> =
        rows.iter().filter(|row| row.contains_key("failures") && !row.contains_key("last_guess")).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in rows {
        assert!(row["pk"].as_s().unwrap().starts_with("ATTEMPT#") && row["sk"].as_s().unwrap() == "ATTEMPT");
        assert_eq!(row["expires_at"].as_n().unwrap(), &(instance.clock.now().0 + 1800).to_string());
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(!format!("{row:?}").contains("2001"));
    }
}
