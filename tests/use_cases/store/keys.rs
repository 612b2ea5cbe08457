//! The rows of keys.

use std::time::Duration;

use shared::{store::KeyRow, time::Timestamp};

use super::{assert_names_what_is_unusable, row, s, time};
use crate::table::{NOW, Table};

const JWK: &str = r#"{"kty":"EC","alg":"ES256"}"#;

fn key(id: &str) -> KeyRow {
    KeyRow { id: id.to_owned(), jwk: Some(JWK.to_owned()), created: NOW, retired: false, expires: None }
}

#[tokio::test]
async fn a_key_is_published_once_and_expires() {
    let table = Table::create();
    let later = Timestamp(NOW.0 + 60);
    assert!(table.store.publish_key("one", JWK, NOW).await.unwrap());
    assert!(!table.store.publish_key("one", "{}", later).await.unwrap());
    let published = [("pk", s("KEYS")), ("sk", s("one")), ("jwk", s(JWK)), ("created_at", time(NOW))];
    assert_eq!(table.row("KEYS").await, row(published));
    assert_eq!(table.store.keys().await.unwrap(), [key("one")]);

    assert!(table.store.expire_key("one", later).await.unwrap());
    assert_eq!(table.row("KEYS").await["expires_at"], time(later));
    assert_eq!(table.store.keys().await.unwrap(), [KeyRow { expires: Some(later), ..key("one") }]);
    assert!(!table.store.expire_key("another", later).await.unwrap());
    assert_eq!(table.rows().await.len(), 1);
}

#[tokio::test]
async fn a_retired_key_stays_retired() {
    let table = Table::create();
    let (later, kept) = (Timestamp(NOW.0 + 60), Duration::from_hours(30 * 24));
    table.store.publish_key("one", JWK, NOW).await.unwrap();
    table.store.retire_key("one", later).await.unwrap();
    assert!(!table.store.expire_key("one", later).await.unwrap());
    assert!(!table.store.publish_key("one", JWK, later).await.unwrap());
    let retired = KeyRow { retired: true, expires: Some(later.after(kept)), ..key("one") };
    assert_eq!(table.store.keys().await.unwrap(), std::slice::from_ref(&retired));
    assert!(!retired.verifies(NOW));
    // Once more: since when it is retired stays.
    table.store.retire_key("one", Timestamp(later.0 + 1)).await.unwrap();
    assert_eq!(table.row("KEYS").await["retired_at"], time(later));
}

#[tokio::test]
async fn a_key_without_a_public_half_gets_a_row_when_it_is_retired() {
    let table = Table::create();
    table.store.retire_key("hmac", NOW).await.unwrap();
    let expires = NOW.after(Duration::from_hours(30 * 24));
    let expected = [
        ("pk", s("KEYS")),
        ("sk", s("hmac")),
        ("retired_at", time(NOW)),
        ("created_at", time(NOW)),
        ("expires_at", time(expires)),
    ];
    assert_eq!(table.row("KEYS").await, row(expected));
    let retired = KeyRow { jwk: None, retired: true, expires: Some(expires), ..key("hmac") };
    assert_eq!(table.store.keys().await.unwrap(), [retired]);
}

#[tokio::test]
async fn an_unusable_attribute_is_named_and_not_quoted() {
    let table = Table::create();
    table.store.publish_key("one", JWK, NOW).await.unwrap();
    table.store.retire_key("one", NOW).await.unwrap();
    let intact = table.row("KEYS").await;
    let read = async || table.store.keys().await.map(drop);
    assert_names_what_is_unusable(&table, &intact, &["created_at"], &["jwk", "retired_at", "expires_at"], read).await;
}
