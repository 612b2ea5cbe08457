//! Ending a session with one of its tokens.

use shared::{
    session::SessionId,
    use_cases::{
        Unavailable,
        refresh::{RefreshError, RefreshRefusal},
        revoke::revoke,
    },
};

use crate::{
    instance::{ISSUER, Instance, LIFETIME, later, request, ring},
    line::Disturbance,
    secret::Secret,
    table::NOW,
};

async fn with_johndoe() -> Instance {
    let instance = Instance::start();
    instance.add_user("JohnDoe").await;
    instance
}

/// Revokes, and gives the session that has ended and whose it was.
async fn ended(
    instance: &Instance,
    token: &str,
    issuer: Option<&str>,
) -> Result<Option<(String, SessionId)>, Unavailable> {
    let ended = revoke(&instance.store, &instance.tokens, token, issuer).await?;
    Ok(ended.map(|(username, session)| (username.as_str().to_owned(), session)))
}

#[tokio::test]
async fn either_token_of_a_session_ends_it() {
    let instance = with_johndoe().await;
    for revoked in ["refresh", "access"] {
        let pair = instance.begin_session().await;
        let token = if revoked == "refresh" { pair.refresh.expose() } else { pair.access.expose() };
        let expected = ("JohnDoe".to_owned(), pair.session.id.clone());
        assert_eq!(ended(&instance, token, Some(ISSUER)).await.unwrap(), Some(expected));
        let error = instance.refresh(pair.refresh.expose(), None).await.err().unwrap();
        assert!(matches!(error, RefreshError::Refused(RefreshRefusal::SessionOver)), "{revoked}: {error:?}");
    }
    assert!(instance.sessions("johndoe").await.iter().all(|session| session.ended == Some(NOW)));
}

#[tokio::test]
async fn a_used_refresh_token_ends_its_session_too() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let second = instance.refresh(first.refresh.expose(), None).await.unwrap();
    instance.pass(60);
    ended(&instance, first.refresh.expose(), Some(ISSUER)).await.unwrap().unwrap();
    assert_eq!(instance.session().await.ended, Some(later(60)));
    assert!(instance.refresh(second.refresh.expose(), None).await.is_err());
}

#[tokio::test]
async fn the_other_sessions_go_on() {
    let instance = with_johndoe().await;
    instance.add_user("ann").await;
    let (gone, stays) = (instance.begin_session().await, instance.begin_session().await);
    let anns = instance.sign_in(request("ann")).await.unwrap();
    ended(&instance, gone.refresh.expose(), Some(ISSUER)).await.unwrap().unwrap();
    for pair in [stays, anns] {
        instance.refresh(pair.refresh.expose(), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_ends_once() {
    let instance = with_johndoe().await;
    let pair = instance.begin_session().await;
    for _ in 0..2 {
        assert!(ended(&instance, pair.refresh.expose(), Some(ISSUER)).await.unwrap().is_some());
        instance.pass(1);
    }
    assert_eq!(instance.session().await.ended, Some(NOW));
}

#[tokio::test]
async fn an_unknown_token_ends_nothing() {
    let (instance, other) = (with_johndoe().await, with_johndoe().await);
    let (own, theirs) = (instance.begin_session().await, other.begin_session().await);
    for token in ["", "x", "a.b.c", theirs.refresh.expose(), theirs.access.expose()] {
        assert_eq!(ended(&instance, token, Some(ISSUER)).await.unwrap(), None, "{token}");
    }
    assert_eq!(instance.session().await, own.session);
}

#[tokio::test]
async fn an_access_token_of_another_issuer_is_unknown() {
    let instance = with_johndoe().await;
    let pair = instance.begin_session().await;
    assert_eq!(ended(&instance, pair.access.expose(), Some("https://other.example")).await.unwrap(), None);
    assert_eq!(instance.session().await, pair.session);
}

#[tokio::test]
async fn an_expired_access_token_is_unknown() {
    let instance = with_johndoe().await;
    let pair = instance.begin_session().await;
    instance.pass(LIFETIME.as_secs());
    assert_eq!(ended(&instance, pair.access.expose(), Some(ISSUER)).await.unwrap(), None);
    assert_eq!(instance.session().await, pair.session);
}

#[tokio::test]
async fn without_an_issuer_refresh_tokens_are_known_alone() {
    let instance = with_johndoe().await;
    let pair = instance.begin_session().await;
    for token in [pair.access.expose(), "x"] {
        assert!(ended(&instance, token, None).await.is_err(), "{token}");
    }
    assert_eq!(instance.session().await, pair.session);
    ended(&instance, pair.refresh.expose(), None).await.unwrap().unwrap();
    assert_eq!(instance.session().await.ended, Some(NOW));
}

#[tokio::test]
async fn for_an_unknown_token_the_ring_is_read_anew() {
    let secret = Secret::holding(&ring(NOW)).await;
    let instance = secret.instance();
    instance.add_user("johndoe").await;
    let old = instance.begin_session().await;
    secret.put(&ring(NOW));
    let newer = secret.beside(&instance);
    for pair in [newer.begin_session().await, newer.begin_session().await] {
        assert_eq!(ended(&instance, pair.access.expose(), Some(ISSUER)).await.unwrap(), None);
    }
    instance.pass(5);
    let pair = newer.begin_session().await;
    assert!(ended(&instance, pair.access.expose(), Some(ISSUER)).await.unwrap().is_some());
    // The old key is gone from the ring.
    assert_eq!(ended(&instance, old.access.expose(), Some(ISSUER)).await.unwrap(), None);
}

#[tokio::test]
async fn an_outage_is_no_success() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    let pair = instance.begin_session().await;
    line.disturb("UpdateItem", Disturbance::Refused);
    assert!(ended(&instance, pair.refresh.expose(), Some(ISSUER)).await.is_err());
    assert_eq!(instance.session().await, pair.session);
}
