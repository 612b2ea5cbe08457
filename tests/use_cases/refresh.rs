//! From a session's refresh token to its next.

mod ends;
mod keys;

use std::time::Duration;

use shared::{
    refresh_token,
    session::{Policy, Session, SessionId},
    use_cases::{
        issue_tokens::TokenPair,
        refresh::{RefreshError, RefreshRefusal, Reuse},
        sign_in::SignInRequest,
    },
};

use crate::{
    instance::{Instance, POLICY, client, later, request},
    table::{NOW, scopes, username},
};

async fn with_johndoe() -> Instance {
    let instance = Instance::start();
    instance.add_user("JohnDoe").await;
    instance
}

/// Refreshes for all that the session allows.
async fn next(instance: &Instance, pair: &TokenPair) -> TokenPair {
    instance.refresh(pair.refresh.expose(), None).await.unwrap()
}

async fn refused(instance: &Instance, pair: &TokenPair) -> RefreshRefusal {
    match instance.refresh(pair.refresh.expose(), None).await.err().unwrap() {
        RefreshError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

async fn reused(instance: &Instance, pair: &TokenPair) -> Reuse {
    match instance.refresh(pair.refresh.expose(), None).await.err().unwrap() {
        RefreshError::Reused(reuse) => *reuse,
        other => panic!("{other:?}"),
    }
}

async fn session(instance: &Instance, id: &SessionId) -> Session {
    instance.sessions("johndoe").await.into_iter().find(|session| session.id == *id).unwrap()
}

#[tokio::test]
async fn the_next_token_moves_the_session_on() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    instance.pass(3600);
    let second = next(&instance, &first).await;
    let expected = Session {
        counter: 1,
        last_used: later(3600),
        expires: later(3600).after(POLICY.idle),
        client: client("198.51.100.7"),
        ..first.session.clone()
    };
    assert_eq!((&second.session, instance.session().await), (&expected, expected.clone()));
    assert_eq!((second.username.as_str(), second.issued), ("JohnDoe", later(3600)));

    let access = instance.verify(second.access.expose()).await.unwrap();
    assert_eq!((access.session, access.expires), (first.session.id.clone(), later(3600 + 1800)));
    let ring = instance.tokens.keys.keys().await.unwrap();
    let token = refresh_token::verify(second.refresh.expose(), &ring).unwrap();
    assert_eq!((token.username.as_str(), token.session, token.counter), ("JohnDoe", first.session.id, 1));
}

#[tokio::test]
async fn the_token_before_gives_the_same_successor_in_the_window() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let second = next(&instance, &first).await;
    let moved = instance.session().await;
    for _ in 0..=10 {
        let again = next(&instance, &first).await;
        assert_eq!(again.refresh.expose(), second.refresh.expose());
        assert_eq!(instance.verify(again.access.expose()).await.unwrap().session, first.session.id);
        instance.pass(1);
    }
    assert_eq!(instance.session().await, moved);
}

#[tokio::test]
async fn the_token_before_is_reuse_after_the_window() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    instance.pass(3600);
    let second = next(&instance, &first).await;
    // The window begins with the token's use; it is let pass to within a second.
    instance.pass(10);
    next(&instance, &first).await;
    instance.pass(1);
    let reuse = reused(&instance, &first).await;
    assert_eq!((reuse.user.as_str(), &reuse.session), ("JohnDoe", &first.session.id));
    assert_eq!(reuse.other_address.as_deref(), Some("198.51.100.7"));
    assert_eq!(instance.session().await.ended, Some(later(3611)));
    for pair in [&first, &second] {
        assert_eq!(refused(&instance, pair).await, RefreshRefusal::SessionOver);
    }
}

#[tokio::test]
async fn an_older_token_is_reuse_in_the_window_too() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let second = next(&instance, &first).await;
    let third = next(&instance, &second).await;
    reused(&instance, &first).await;
    assert_eq!(refused(&instance, &third).await, RefreshRefusal::SessionOver);
}

#[tokio::test]
async fn without_a_window_the_second_use_is_reuse() {
    let policy = Policy { grace: Duration::ZERO, ..POLICY };
    let instance = Instance { policy, ..with_johndoe().await };
    let first = instance.begin_session().await;
    let second = next(&instance, &first).await;
    next(&instance, &second).await;
    reused(&instance, &second).await;
}

#[tokio::test]
async fn reuse_ends_that_session_alone() {
    let instance = with_johndoe().await;
    let (stolen, own) = (instance.begin_session().await, instance.begin_session().await);
    instance.add_user("ann").await;
    let anns = instance.sign_in(request("ann")).await.unwrap();
    next(&instance, &stolen).await;
    instance.pass(11);
    reused(&instance, &stolen).await;
    assert_eq!(session(&instance, &own.session.id).await, own.session);
    assert_eq!(instance.sessions("ann").await, std::slice::from_ref(&anns.session));
    next(&instance, &own).await;
    next(&instance, &anns).await;
}

#[tokio::test]
async fn refreshes_at_once_get_one_successor() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let (one, two, three, four) = tokio::join!(
        next(&instance, &first),
        next(&instance, &first),
        next(&instance, &first),
        next(&instance, &first)
    );
    for other in [two, three, four] {
        assert_eq!(other.refresh.expose(), one.refresh.expose());
    }
    assert_eq!(instance.session().await.counter, 1);
}

#[tokio::test]
async fn a_narrower_scope_is_for_one_access_token() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let narrow = instance.refresh(first.refresh.expose(), Some("read")).await.unwrap();
    assert_eq!((&narrow.scopes, &instance.allowed(&narrow).await), (&scopes("read"), &scopes("read")));
    assert_eq!(instance.session().await.scopes, scopes("read write"));
    let wide = next(&instance, &narrow).await;
    assert_eq!(instance.allowed(&wide).await, scopes("read write"));
}

#[tokio::test]
async fn more_than_the_session_or_the_user_may_is_refused() {
    let instance = with_johndoe().await;
    let asked = SignInRequest { scopes: Some(scopes("read")), ..request("johndoe") };
    let first = instance.sign_in(asked).await.unwrap();
    for list in ["write", "read write", "admin"] {
        let error = instance.refresh(first.refresh.expose(), Some(list)).await.err().unwrap();
        assert!(matches!(error, RefreshError::InvalidScope), "{list}: {error:?}");
    }
    assert_eq!(instance.session().await, first.session);

    // And where the token was used a moment ago.
    let second = next(&instance, &first).await;
    for list in ["write", "admin"] {
        let error = instance.refresh(first.refresh.expose(), Some(list)).await.err().unwrap();
        assert!(matches!(error, RefreshError::InvalidScope), "{list}: {error:?}");
    }
    assert_eq!(instance.session().await, second.session);
}

#[tokio::test]
async fn a_scope_that_the_user_lost_is_left_out() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await;
    let john = username("johndoe");
    assert!(instance.store.set_scopes(&john, &scopes("read admin"), NOW).await.unwrap());
    let error = instance.refresh(first.refresh.expose(), Some("write")).await.err().unwrap();
    assert!(matches!(error, RefreshError::InvalidScope), "{error:?}");
    let second = next(&instance, &first).await;
    assert_eq!((&second.scopes, &instance.allowed(&second).await), (&scopes("read"), &scopes("read")));
    // What the sign-in granted stays, should the user get it back.
    assert!(instance.store.set_scopes(&john, &scopes("read write"), NOW).await.unwrap());
    assert_eq!(instance.allowed(&next(&instance, &second).await).await, scopes("read write"));
}
