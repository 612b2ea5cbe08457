//! The rows that count guesses.

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    guessing::{Address, FORGOTTEN_AFTER, GUESSES_PER_WINDOW, KNOWN_FOR, Limit, Throttled, Window},
    store::{Guess, Store, StoreError},
    time::Timestamp,
};

use super::{assert_names_what_is_unusable, n, time};
use crate::table::{NOW, Row, Table, store, username};

async fn count(store: &Store, address: &str, now: Timestamp) -> Result<Result<Guess, Throttled>, StoreError> {
    let address = Address::of(Some(address));
    store.count_guess(&username("JohnDoe"), address, now, &mut UnwrapErr(SysRng)).await
}

/// The rows of the pair and of the ceiling.
async fn rows(table: &Table) -> (Row, Row) {
    let (mut pairs, mut ceilings): (Vec<Row>, Vec<Row>) =
        table.rows().await.into_iter().partition(|row| row.contains_key("failures"));
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
    assert_eq!(names(&pair), ["blocked_until", "expires_at", "failures", "last_guess", "pk", "sk"]);
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
    assert_eq!(names(&pair), ["blocked_until", "expires_at", "failures", "known_until", "last_guess", "pk", "sk"]);
    assert_eq!((&pair["failures"], &pair["known_until"]), (&n(0), &time(NOW.after(KNOWN_FOR))));
    assert_eq!(pair["expires_at"], time(NOW.after(KNOWN_FOR).after(FORGOTTEN_AFTER)));
    // The guess was given back, and a set can't be empty.
    assert_eq!(names(&ceiling), ["expires_at", "pk", "sk"]);
}

#[tokio::test]
async fn a_known_address_counts_for_itself_alone() {
    let table = Table::create().await;
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    table.store.guess_was_right(&guess, NOW).await.unwrap();
    for failures in 1..=3 {
        count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
        let (pair, ceiling) = rows(&table).await;
        assert_eq!((&pair["failures"], ceiling.contains_key("guesses")), (&n(failures), false));
        assert_eq!(pair["known_until"], time(NOW.after(KNOWN_FOR)));
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
    assert_names_what_is_unusable(&table, &intact, &required, &["known_until"], read).await;
}
