//! The rows that count registrations.

use std::time::Duration;

use shared::{guessing::Address, time::Timestamp};

use super::{n, row, s, time};
use crate::table::{NOW, Table};

#[tokio::test]
async fn an_address_is_counted_by_the_hour() {
    let table = Table::create();
    let (limit, address) = (2, Address::of(Some("192.0.2.1")));
    let count = async |now| table.store.count_registration(address, limit, now).await.unwrap();
    let end = Timestamp((NOW.0 / 3600 + 1) * 3600);
    let wait = Duration::from_secs(end.0 - NOW.0);
    assert_eq!((count(NOW).await, count(NOW).await), (None, None));
    assert_eq!((count(NOW).await, count(NOW).await), (Some(wait), Some(wait)));
    let counted = table.counts().await.remove(0);
    let expected =
        [("pk", counted["pk"].clone()), ("sk", s("ATTEMPT")), ("registrations", n(2)), ("expires_at", time(end))];
    assert_eq!(counted, row(expected));
    assert!(!format!("{counted:?}").contains("192.0.2.1"));

    let other = Address::of(Some("192.0.2.2"));
    assert_eq!(table.store.count_registration(other, limit, NOW).await.unwrap(), None);
    assert_eq!(count(end).await, None);
}
