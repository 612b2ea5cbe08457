//! The rows that count guesses.

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    guessing::{Address, FORGOTTEN_AFTER, FailuresPerAddress, GUESSES_PER_WINDOW, KNOWN_FOR, Limit, Throttled, Window},
    store::{Guess, Store, StoreError},
    time::Timestamp,
};

use super::{assert_names_what_is_unusable, n, time};
use crate::table::{NOW, Row, Table, store, username};

async fn count(store: &Store, address: &str, now: Timestamp) -> Result<Result<Guess, Throttled>, StoreError> {
    let counts = store.look_up(&username("JohnDoe"), Address::of(Some(address)), now).await?.counts;
    store.count_guess(counts, per_address(), &mut UnwrapErr(SysRng)).await
}

fn per_address() -> FailuresPerAddress {
    "100".parse().unwrap()
}

/// The rows of the pair and of the ceiling.
async fn rows(table: &Table) -> (Row, Row) {
    let rows = table.counts().await.into_iter();
    // Beside them are those of failures.
    let rows = rows.filter(|row| row.contains_key("last_guess") || !row.contains_key("failures"));
    let (mut pairs, mut ceilings): (Vec<Row>, Vec<Row>) = rows.partition(|row| row.contains_key("last_guess"));
    assert_eq!((pairs.len(), ceilings.len()), (1, 1), "{pairs:?} {ceilings:?}");
    (pairs.remove(0), ceilings.remove(0))
}

fn names(row: &Row) -> Vec<&str> {
    let mut names: Vec<&str> = row.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_rows_have_these_attributes_and_no_name() {
    let table = Table::create().await;
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    let (pair, ceiling) = rows(&table).await;
    let always =
        ["blocked_until", "expires_at", "failures", "last_guess", "past_limits", "past_limits_until", "pk", "sk"];
    assert_eq!(names(&pair), always);
    assert_eq!((&pair["failures"], &pair["blocked_until"]), (&n(1), &time(NOW)));
    assert_eq!(pair["expires_at"], time(NOW.after(FORGOTTEN_AFTER)));
    assert_eq!(names(&ceiling), ["expires_at", "guesses", "pk", "sk"]);
    assert_eq!(ceiling["guesses"].as_ss().unwrap(), &[pair["last_guess"].as_s().unwrap().clone()]);
    assert_eq!(ceiling["expires_at"], time(Window::of(NOW).ends()));
    for row in [&pair, &ceiling] {
        assert!(row["pk"].as_s().unwrap().starts_with("ATTEMPT#") && row["sk"].as_s().unwrap() == "ATTEMPT");
        assert!(!format!("{row:?}").to_lowercase().contains("johndoe"));
    }

    table.store.guess_was_right(&guess, NOW).await.unwrap();
    let (pair, ceiling) = rows(&table).await;
    let mut with_an_end = [&always[..], &["known_until"]].concat();
    with_an_end.sort_unstable();
    assert_eq!(names(&pair), with_an_end);
    assert_eq!((&pair["failures"], &pair["known_until"]), (&n(0), &time(NOW.after(KNOWN_FOR))));
    assert_eq!(pair["expires_at"], time(NOW.after(KNOWN_FOR).after(FORGOTTEN_AFTER)));
    // The guess was given back, and a set can't be empty.
    assert_eq!(names(&ceiling), ["expires_at", "pk", "sk"]);
}

#[tokio::test]
async fn a_known_address_joins_the_ceiling_where_it_was_wrong() {
    let table = Table::create().await;
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    table.store.guess_was_right(&guess, NOW).await.unwrap();
    let guesses = async || rows(&table).await.1.get("guesses").map_or(0, |guesses| guesses.as_ss().unwrap().len());
    for failures in 1..=3 {
        let before = guesses().await;
        let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
        let (pair, _) = rows(&table).await;
        assert_eq!((&pair["failures"], &pair["known_until"]), (&n(failures), &time(NOW.after(KNOWN_FOR))));
        assert_eq!(guesses().await, before);
        assert_eq!(table.store.guess_was_wrong(&guess, per_address()).await.unwrap(), Ok(None));
        assert_eq!(guesses().await, before + 1);
    }
}

#[tokio::test]
async fn the_account_takes_so_many_from_unknown_addresses() {
    let store = store().await;
    for number in 0..GUESSES_PER_WINDOW {
        count(&store, &format!("192.0.2.{number}"), NOW).await.unwrap().unwrap();
    }
    let refused = count(&store, "192.0.2.200", NOW).await.unwrap().unwrap_err();
    assert_eq!((refused.limit, refused.wait), (Limit::Account, Window::of(NOW).left(NOW)));
    count(&store, "192.0.2.200", Window::of(NOW).ends()).await.unwrap().unwrap();
}

/// A function that counts nothing names no table for it.
#[tokio::test]
async fn a_store_without_a_table_of_counts_takes_no_guess() {
    let table = Table::create().await;
    let error = count(&table.store_without_counts().await, "192.0.2.1", NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!((table.rows().await, table.counts().await), (vec![], vec![]));
}

#[tokio::test]
async fn counts_are_in_a_table_of_their_own() {
    let table = Table::create().await;
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    table.store.guess_was_right(&guess, NOW).await.unwrap();
    table.store.count_registration(Address::of(Some("192.0.2.1")), 1, NOW).await.unwrap();
    assert_eq!((table.rows().await.len(), table.counts().await.len()), (0, 3));
}

#[tokio::test]
async fn an_unusable_attribute_is_named_and_not_quoted() {
    let table = Table::create().await;
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    table.store.guess_was_right(&guess, NOW).await.unwrap();
    count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    let (intact, _) = rows(&table).await;
    // A delay ends the reading at the row, before it is written again.
    let later = Timestamp(NOW.0 - 1);
    let intact: Row =
        intact.into_iter().chain([("failures".to_owned(), n(9)), ("blocked_until".to_owned(), time(NOW))]).collect();
    let read = async || count(&table.store, "192.0.2.1", later).await.map(drop);
    let required = ["failures", "blocked_until", "last_guess", "expires_at"];
    let optional = ["known_until", "past_limits", "past_limits_until"];
    assert_names_what_is_unusable(&table, &intact, &required, &optional, read).await;
}

#[tokio::test]
async fn so_it_is_in_the_rows_of_ceilings_and_failures() {
    let table = Table::create().await;
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    assert_eq!(table.store.guess_was_wrong(&guess, per_address()).await.unwrap(), Ok(None));
    let read = async || table.store.look_up(&username("JohnDoe"), Address::of(Some("192.0.2.1")), NOW).await.map(drop);
    let (_, ceiling) = rows(&table).await;
    assert_names_what_is_unusable(&table, &ceiling, &["expires_at"], &["guesses"], read).await;
    let mut all = table.counts().await;
    all.retain(|row| row.contains_key("failures") && !row.contains_key("last_guess"));
    assert_eq!(all.len(), 1);
    assert_names_what_is_unusable(&table, &all[0], &["expires_at", "failures"], &[], read).await;
}
