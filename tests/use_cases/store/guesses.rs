//! The rows that count guesses.

use std::time::Duration;

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    guessing::{
        Address, FORGOTTEN_AFTER, FREE_FAILURES, FailuresPerAddress, GUESSES_PER_WINDOW, KNOWN_FOR, Limit, Pair, Tally,
        Throttled, Window,
    },
    store::{Guess, GuessCounts, Store, StoreError},
    time::Timestamp,
};

use super::{assert_names_what_is_unusable, n, time};
use crate::table::{NOW, Row, Table, store, username};

async fn count(store: &Store, address: &str, now: Timestamp) -> Result<Result<Guess, Throttled>, StoreError> {
    let counts = look_up(store, address, now).await?;
    store.count_guess(counts, per_address()).await
}

async fn look_up(store: &Store, address: &str, now: Timestamp) -> Result<GuessCounts, StoreError> {
    let address = Address::of(Some(address));
    Ok(store.look_up(&username("JohnDoe"), address, now, &mut UnwrapErr(SysRng)).await?.counts)
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
    let table = Table::create();
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
    let table = Table::create();
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

/// One call counts it, which knows the law without having read the pair.
#[tokio::test]
async fn a_known_address_is_counted_as_the_law_says() {
    let table = Table::create();
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    table.store.guess_was_right(&guess, NOW).await.unwrap();
    let (known, _) = rows(&table).await;
    let day = FORGOTTEN_AFTER.as_secs();
    let times = [NOW.0 - day - 1, NOW.0 - day, NOW.0 - day + 1, NOW.0, NOW.0 + 1, NOW.0 + 60];
    let mut counted = 0;
    for failures in [0, 1, FREE_FAILURES - 1, FREE_FAILURES, FREE_FAILURES + 1] {
        for blocked_until in times.map(Timestamp) {
            for known_until in times.map(Timestamp) {
                let changes = [
                    ("failures", n(failures)),
                    ("blocked_until", time(blocked_until)),
                    ("known_until", time(known_until)),
                ];
                table
                    .put(
                        known
                            .clone()
                            .into_iter()
                            .chain(changes.map(|(name, value)| (name.to_owned(), value)))
                            .collect(),
                    )
                    .await;
                let pair =
                    Pair { tally: Tally { failures, blocked_until }, known_until: Some(known_until), ..Pair::NEW };
                let counts = look_up(&table.store, "192.0.2.1", NOW).await.unwrap();
                let (row, _) = rows(&table).await;
                let is_counted = row["last_guess"] != known["last_guess"];
                let is_free = failures == 0 || failures < FREE_FAILURES && blocked_until.after(FORGOTTEN_AFTER) > NOW;
                assert_eq!(is_counted, pair.is_known(NOW) && is_free, "{pair:?}");
                if is_counted {
                    counted += 1;
                    let lawful = pair.guess(None, NOW).unwrap();
                    assert_eq!(
                        (&row["failures"], &row["blocked_until"]),
                        (&n(lawful.tally.failures), &time(lawful.tally.blocked_until))
                    );
                    assert_eq!((&row["known_until"], &row["expires_at"]), (&time(known_until), &known["expires_at"]));
                    table.store.count_guess(counts, per_address()).await.unwrap().unwrap();
                    assert_eq!(rows(&table).await.0, row);
                }
            }
        }
    }
    assert!(counted > 10, "{counted}");
}

#[tokio::test]
async fn beyond_a_limit_a_count_in_advance_is_taken_back() {
    let table = Table::create();
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    table.store.guess_was_right(&guess, NOW).await.unwrap();
    let (known, _) = rows(&table).await;
    let now = NOW.after(Duration::from_secs(1));
    for number in 0..GUESSES_PER_WINDOW {
        count(&table.store, &format!("198.51.100.{number}"), now).await.unwrap().unwrap();
    }
    let pair = async || {
        let counts = table.counts().await;
        counts.into_iter().find(|row| row["pk"] == known["pk"]).unwrap()
    };
    for guesses in 1..=FREE_FAILURES + 1 {
        count(&table.store, "192.0.2.1", now).await.unwrap().unwrap();
        let row = pair().await;
        assert_eq!((&row["failures"], &row["blocked_until"]), (&known["failures"], &known["blocked_until"]));
        assert_eq!(row["past_limits"], n(guesses));
    }
    let before = pair().await;
    let refused = count(&table.store, "192.0.2.1", now).await.unwrap().unwrap_err();
    assert_eq!(refused.limit, Limit::Account);
    let after = pair().await;
    for name in ["failures", "blocked_until", "past_limits", "past_limits_until"] {
        assert_eq!(after[name], before[name], "{name}");
    }
}

#[tokio::test]
async fn who_finds_the_window_just_filled_is_counted_nowhere() {
    let table = Table::create();
    for number in 1..GUESSES_PER_WINDOW {
        count(&table.store, &format!("192.0.2.{number}"), NOW).await.unwrap().unwrap();
    }
    let late = look_up(&table.store, "198.51.100.7", NOW).await.unwrap();
    count(&table.store, "192.0.2.200", NOW).await.unwrap().unwrap();
    let rows_before = table.counts().await;
    let refused = table.store.count_guess(late, per_address()).await.unwrap().unwrap_err();
    assert_eq!(refused.limit, Limit::Account);
    // Its row says what no row would.
    let rows = table.counts().await;
    let new: Vec<&Row> = rows.iter().filter(|row| rows_before.iter().all(|before| before["pk"] != row["pk"])).collect();
    assert_eq!(new.len(), 1);
    assert_eq!((&new[0]["failures"], &new[0]["blocked_until"]), (&n(0), &n(0)));
    assert!(!new[0].contains_key("known_until"));
}

/// A function that counts nothing names no table for it.
#[tokio::test]
async fn a_store_without_a_table_of_counts_takes_no_guess() {
    let table = Table::create();
    let error = count(&table.store_without_counts(), "192.0.2.1", NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!((table.rows().await, table.counts().await), (vec![], vec![]));
}

#[tokio::test]
async fn counts_are_in_a_table_of_their_own() {
    let table = Table::create();
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    table.store.guess_was_right(&guess, NOW).await.unwrap();
    table.store.count_registration(Address::of(Some("192.0.2.1")), 1, NOW).await.unwrap();
    assert_eq!((table.rows().await.len(), table.counts().await.len()), (0, 3));
}

#[tokio::test]
async fn an_unusable_attribute_is_named_and_not_quoted() {
    let table = Table::create();
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
    let table = Table::create();
    let guess = count(&table.store, "192.0.2.1", NOW).await.unwrap().unwrap();
    assert_eq!(table.store.guess_was_wrong(&guess, per_address()).await.unwrap(), Ok(None));
    let read = async || look_up(&table.store, "192.0.2.1", NOW).await.map(drop);
    let (_, ceiling) = rows(&table).await;
    assert_names_what_is_unusable(&table, &ceiling, &["expires_at"], &["guesses"], read).await;
    let mut all = table.counts().await;
    all.retain(|row| row.contains_key("failures") && !row.contains_key("last_guess"));
    assert_eq!(all.len(), 1);
    assert_names_what_is_unusable(&table, &all[0], &["expires_at", "failures"], &[], read).await;
}
