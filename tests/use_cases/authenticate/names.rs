//! That nobody learns which names exist, in whatever state the counts are: the whole table.

use aws_sdk_dynamodb::types::AttributeValue;
use shared::{store::StoreError, use_cases::authenticate::AuthenticationError, user::Status};

use super::{ELSEWHERE, HOME, fill_ceiling};
use crate::{
    instance::{FAILURES_PER_ADDRESS, Instance, PASSWORD},
    table::{Row, username},
};

/// What there is of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    Existing,
    Disabled,
    Unreadable,
    Unknown,
}

/// The state of the counts, before anybody asks from [`HOME`].
#[derive(Clone, Copy, Debug)]
struct Counts {
    ceiling_is_full: bool,
    budget_is_spent: bool,
    /// Failures at the account from there.
    failures: u64,
}

const NAME: &str = "johndoe";

/// An instance in that state; its account's owner has signed in from [`HOME`], where the address is to be known.
async fn instance(account: Account, is_known: bool, counts: Counts) -> Instance {
    let instance = Instance::start();
    if account != Account::Unknown {
        instance.add_user(NAME).await;
    }
    if is_known {
        instance.authenticate(NAME, PASSWORD, HOME).await.unwrap();
    }
    match account {
        Account::Existing | Account::Unknown => {}
        Account::Disabled => {
            let now = instance.clock.now();
            assert!(instance.store.set_status(&username(NAME), Status::Disabled, now).await.unwrap());
        }
        Account::Unreadable => {
            let mut damaged = instance.table.row("CREDENTIAL#").await;
            damaged.remove("password_hash");
            instance.table.put(damaged).await;
            let found = instance.table.store.find_user(&username(NAME)).await;
            assert!(matches!(found, Err(StoreError::Unreadable(_))));
        }
    }
    for _ in 0..counts.failures {
        assert_eq!(answer(&instance, "wrong", HOME).await, "rejected");
    }
    // As if there had been more guesses from elsewhere, and more failures at other names.
    if counts.ceiling_is_full {
        assert_eq!(answer(&instance, "wrong", ELSEWHERE).await, "rejected");
        let guesses = (0..33).map(|number| number.to_string()).collect();
        change(&instance, |row| row.contains_key("guesses"), "guesses", &AttributeValue::Ss(guesses)).await;
    }
    if counts.budget_is_spent {
        let failed = instance.authenticate("another", "wrong", HOME).await;
        assert!(matches!(failed, Err(AuthenticationError::Rejected { .. })), "{failed:?}");
        let spent = AttributeValue::N(FAILURES_PER_ADDRESS.to_string());
        change(&instance, is_of_failures, "failures", &spent).await;
    }
    instance
}

/// Puts another value into the rows of this kind.
async fn change(instance: &Instance, kind: impl Fn(&Row) -> bool, attribute: &str, value: &AttributeValue) {
    let mut rows = instance.table.counts().await;
    rows.retain(kind);
    assert!(!rows.is_empty());
    for mut row in rows {
        row.insert(attribute.to_owned(), value.clone());
        instance.table.put(row).await;
    }
}

fn is_of_failures(row: &Row) -> bool {
    row.contains_key("failures") && !row.contains_key("last_guess")
}

/// What a client is told, its `Retry-After` included, and what the log says of the limit.
async fn answer(instance: &Instance, password: &str, address: &str) -> String {
    match instance.authenticate(NAME, password, address).await {
        Ok(_) => "signed in".to_owned(),
        Err(AuthenticationError::Rejected { .. }) => "rejected".to_owned(),
        Err(AuthenticationError::Throttled(refused)) => format!("{} {}", refused.limit, refused.wait.as_secs()),
        Err(AuthenticationError::Unavailable(error)) => panic!("{error:?}"),
    }
}

/// What wrong passwords from [`HOME`] are answered until delays begin and one has passed, and the same in the next
/// window; and what has been counted then, which the answers to others depend on: guesses and failures, window by window.
async fn answers(instance: &Instance) -> (Vec<String>, Vec<usize>, Vec<String>) {
    let mut answers = Vec::new();
    for pause in [0, 0, 0, 0, 0, 0, 0, 1, 1799, 0, 0] {
        instance.pass(pause);
        answers.push(answer(instance, "wrong", HOME).await);
    }
    let rows = instance.table.counts().await;
    let mut guesses: Vec<usize> =
        rows.iter().filter_map(|row| Some(row.get("guesses")?.as_ss().unwrap().len())).collect();
    guesses.sort_unstable();
    let failures = rows.iter().filter(|row| is_of_failures(row)).map(|row| row["failures"].as_n().unwrap().clone());
    let mut failures: Vec<String> = failures.collect();
    failures.sort_unstable();
    (answers, guesses, failures)
}

fn all_counts() -> impl Iterator<Item = Counts> {
    let states = [(false, false), (false, true), (true, false), (true, true)];
    states.into_iter().flat_map(|(ceiling_is_full, budget_is_spent)| {
        [0, 6].map(|failures| Counts { ceiling_is_full, budget_is_spent, failures })
    })
}

#[tokio::test]
async fn wrong_passwords_get_the_same_answers_for_every_name() {
    for counts in all_counts() {
        let expected = answers(&instance(Account::Unknown, false, counts).await).await;
        for account in [Account::Existing, Account::Disabled, Account::Unreadable] {
            for is_known in [false, true] {
                let found = answers(&instance(account, is_known, counts).await).await;
                assert_eq!(found, expected, "{account:?}, known: {is_known}, {counts:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_right_password_shows_only_where_it_signs_in() {
    for counts in all_counts() {
        let expected = answer(&instance(Account::Unknown, false, counts).await, PASSWORD, HOME).await;
        let is_closed = counts.ceiling_is_full || counts.budget_is_spent;
        let waits = counts.failures > 5;
        for account in [Account::Existing, Account::Disabled, Account::Unreadable] {
            for is_known in [false, true] {
                let signs_in = account == Account::Existing && !waits && (is_known || !is_closed);
                let found = answer(&instance(account, is_known, counts).await, PASSWORD, HOME).await;
                let expected = if signs_in { "signed in" } else { &expected };
                assert_eq!(found, expected, "{account:?}, known: {is_known}, {counts:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_states_of_the_table_are_what_they_are_called() {
    let counts = |ceiling_is_full, budget_is_spent, failures| Counts { ceiling_is_full, budget_is_spent, failures };
    for (counts, expected) in [
        (counts(false, false, 0), "rejected"),
        (counts(false, false, 6), "address 1"),
        (counts(true, false, 0), "account 1800"),
        (counts(false, true, 0), "client 1800"),
        (counts(true, true, 6), "client 1800"),
    ] {
        let found = answer(&instance(Account::Existing, false, counts).await, "wrong", HOME).await;
        assert_eq!(found, expected, "{counts:?}");
    }
}

/// The account's last guess of a window, by a known address whose password is looked at before it is counted there.
#[tokio::test]
async fn of_guesses_that_meet_at_the_ceiling_one_is_rejected() {
    for is_known in [true, false] {
        let account = if is_known { Account::Existing } else { Account::Unknown };
        let counts = Counts { ceiling_is_full: false, budget_is_spent: false, failures: 0 };
        let instance = instance(account, is_known, counts).await;
        assert_eq!(answer(&instance, "wrong", "203.0.113.1").await, "rejected");
        let guesses = (0..32).map(|number| number.to_string()).collect();
        change(&instance, |row| row.contains_key("guesses"), "guesses", &AttributeValue::Ss(guesses)).await;
        let (one, other) = tokio::join!(answer(&instance, "wrong", HOME), answer(&instance, "wrong", ELSEWHERE));
        let mut both = [one, other];
        both.sort();
        assert_eq!(both, ["account 1800", "rejected"], "known: {is_known}");
    }
}

#[tokio::test]
async fn a_full_ceiling_is_one_for_names_without_an_account() {
    let instance = Instance::start();
    fill_ceiling(&instance, NAME).await;
    assert_eq!(answer(&instance, PASSWORD, HOME).await, "account 1800");
}
