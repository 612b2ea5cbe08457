//! Which keys refresh tokens count by.

use std::time::Duration;

use shared::{
    key::{Algorithm, KeyStatus, Retention, SigningKeys},
    random,
    refresh_token::RefreshToken,
    session::SessionId,
    use_cases::refresh::{RefreshError, RefreshRefusal},
};

use super::{next, refused, with_johndoe};
use crate::{
    instance::{Instance, later, ring},
    secret::Secret,
    table::{NOW, username},
};

/// The ring with a new key in front, which signs at once; the older keys go on.
fn rotated(ring: &SigningKeys) -> SigningKeys {
    let retention =
        Retention { signs_from: NOW, verifies_until: later(100_000), sessions: Duration::from_secs(100_000) };
    ring.rotated(Algorithm::Es256, NOW, &retention, &|_| KeyStatus::Kept, &mut random::system()).unwrap()
}

/// The first refresh token of a session of johndoe's, made with the ring's signing key.
fn token_of(ring: &SigningKeys, session: &SessionId) -> RefreshToken {
    let key = ring.signing(NOW).unwrap().refresh_key();
    RefreshToken::issue(&username("johndoe"), session, 0, key)
}

async fn refusal(instance: &Instance, token: &str) -> RefreshRefusal {
    match instance.refresh(token, None).await.err().unwrap() {
        RefreshError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_of_another_ring_is_refused() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let forged = token_of(&ring(NOW), &first.session.id);
    for token in [forged.expose(), "", "x", first.access.expose()] {
        assert_eq!(refusal(&instance, token).await, RefreshRefusal::NotOurs, "{token}");
    }
    assert_eq!(instance.session().await, first.session);
}

#[tokio::test]
async fn for_an_unknown_key_the_ring_is_read_anew() {
    let old = ring(NOW);
    let secret = Secret::holding(&old).await;
    let instance = secret.instance();
    instance.add_user("johndoe").await;
    let first = instance.begin_session().await;
    let new = rotated(&old);
    secret.put(&new);
    let token = token_of(&new, &first.session.id);

    // Not before the ring has been at hand for five seconds: tokens of nobody's can't drive load.
    instance.pass(4);
    assert_eq!(refusal(&instance, token.expose()).await, RefreshRefusal::NotOurs);
    assert_eq!(secret.reads(), 1);
    instance.pass(1);
    let second = instance.refresh(token.expose(), None).await.unwrap();
    assert_eq!((secret.reads(), second.session.counter), (2, 1));
    instance.verify(second.access.expose()).await.unwrap();
}

#[tokio::test]
async fn a_text_of_another_form_has_no_ring_read_anew() {
    let secret = Secret::holding(&ring(NOW)).await;
    let instance = secret.instance();
    instance.add_user("johndoe").await;
    let first = instance.begin_session().await;
    instance.pass(60);
    for token in ["", "x", first.access.expose()] {
        assert_eq!(refusal(&instance, token).await, RefreshRefusal::NotOurs, "{token}");
    }
    assert_eq!(secret.reads(), 1);
}

#[tokio::test]
async fn a_session_outlives_the_key_that_it_began_with() {
    let old = ring(NOW);
    let secret = Secret::holding(&old).await;
    let instance = secret.instance();
    instance.add_user("johndoe").await;
    let first = instance.begin_session().await;
    secret.put(&rotated(&old));
    instance.pass(3600);
    let second = next(&instance, &first).await;
    assert_eq!(secret.reads(), 2);
    // The successor is the one that the old key makes, whatever key signs by now.
    let again = next(&instance, &first).await;
    assert_eq!(again.refresh.expose(), second.refresh.expose());
    next(&instance, &second).await;
}

#[tokio::test]
async fn a_key_that_is_gone_takes_its_sessions_along() {
    let secret = Secret::holding(&ring(NOW)).await;
    let instance = secret.instance();
    instance.add_user("johndoe").await;
    let first = instance.begin_session().await;
    secret.put(&ring(NOW));
    instance.pass(3600);
    assert_eq!(refused(&instance, &first).await, RefreshRefusal::NotOurs);
}

/// An empty ring made no token: that is a refusal, and no outage.
#[tokio::test]
async fn an_empty_ring_has_made_no_token() {
    let secret = Secret::holding(&SigningKeys::parse(r#"{"keys":[]}"#).unwrap()).await;
    let instance = secret.instance();
    let token = token_of(&ring(NOW), &SessionId::generate(&mut random::system()));
    for token in [token.expose(), "x"] {
        assert_eq!(refusal(&instance, token).await, RefreshRefusal::NotOurs, "{token}");
    }
}
