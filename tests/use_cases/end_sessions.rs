//! An account's own sessions: those that go on, and ending them.

use std::time::Duration;

use shared::{
    session::{Session, SessionId},
    store::SessionsPage,
    use_cases::end_sessions::{REMOVAL_TIME, SessionsToEnd, end_sessions, live_sessions},
};

use crate::{
    instance::{Instance, POLICY, request},
    line::Disturbance,
    table::{NOW, username},
};

async fn with_johndoe() -> Instance {
    let instance = Instance::start();
    instance.add_user("johndoe").await;
    instance
}

async fn live(instance: &Instance, name: &str) -> Vec<Session> {
    let page = page(instance, name, (None, 100)).await;
    assert_eq!(page.next, None);
    page.sessions
}

async fn page(instance: &Instance, name: &str, page: (Option<SessionId>, usize)) -> SessionsPage {
    live_sessions(&instance.store, &username(name), page, instance.clock.now()).await.unwrap()
}

async fn end(instance: &Instance, this: &SessionId, which: SessionsToEnd) -> usize {
    let whose = (&username("johndoe"), this);
    let removal = end_sessions(&instance.store, whose, which, instance.clock.now(), REMOVAL_TIME).await.unwrap();
    assert!(removal.is_complete);
    removal.ended
}

#[tokio::test]
async fn the_session_used_last_comes_first() {
    let instance = with_johndoe().await;
    instance.add_user("ann").await;
    instance.sign_in(request("ann")).await.unwrap();
    let mut pairs = Vec::new();
    for _ in 0..3 {
        pairs.push(instance.begin_session().await);
        instance.pass(1);
    }
    instance.refresh(pairs[1].refresh.expose(), None).await.unwrap();
    let listed: Vec<SessionId> = live(&instance, "johndoe").await.into_iter().map(|session| session.id).collect();
    assert_eq!(listed, [1, 2, 0].map(|number: usize| pairs[number].session.id.clone()));
    assert_eq!(live(&instance, "ann").await.len(), 1);
    assert_eq!(live(&instance, "nobody").await, []);
}

#[tokio::test]
async fn sessions_that_are_over_are_not_listed() {
    let instance = with_johndoe().await;
    let (ended, idle) = (instance.begin_session().await, instance.begin_session().await);
    assert!(instance.store.end_session(&username("johndoe"), &ended.session.id, NOW).await.unwrap());
    assert_eq!(live(&instance, "johndoe").await, std::slice::from_ref(&idle.session));
    instance.pass(POLICY.idle.as_secs() - 1);
    assert_eq!(live(&instance, "johndoe").await.len(), 1);
    instance.pass(1);
    assert_eq!(live(&instance, "johndoe").await, []);
}

#[tokio::test]
async fn this_the_others_or_all_end() {
    for (which, count, is_this_left, are_others_left) in [
        (SessionsToEnd::This, 1, false, true),
        (SessionsToEnd::Others, 2, true, false),
        (SessionsToEnd::All, 3, false, false),
    ] {
        let instance = with_johndoe().await;
        instance.add_user("ann").await;
        instance.sign_in(request("ann")).await.unwrap();
        let this = instance.begin_session().await;
        let others = [instance.begin_session().await, instance.begin_session().await];
        assert_eq!(end(&instance, &this.session.id, which).await, count, "{which:?}");
        assert_eq!(instance.refresh(this.refresh.expose(), None).await.is_ok(), is_this_left, "{which:?}");
        for other in others {
            assert_eq!(instance.refresh(other.refresh.expose(), None).await.is_ok(), are_others_left, "{which:?}");
        }
        assert_eq!(live(&instance, "ann").await.len(), 1);
    }
}

#[tokio::test]
async fn sessions_that_are_over_are_not_counted() {
    let instance = with_johndoe().await;
    let (this, ended) = (instance.begin_session().await, instance.begin_session().await);
    assert!(instance.store.end_session(&username("johndoe"), &ended.session.id, NOW).await.unwrap());
    assert_eq!(end(&instance, &this.session.id, SessionsToEnd::All).await, 1);
    assert_eq!(end(&instance, &this.session.id, SessionsToEnd::All).await, 0);
    assert_eq!(end(&instance, &this.session.id, SessionsToEnd::This).await, 0);
}

#[tokio::test]
async fn the_session_that_it_comes_from_ends_last() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    let (this, other) = (instance.begin_session().await, instance.begin_session().await);
    // The others can't be found, though each could be removed.
    line.disturb("Query", Disturbance::Refused);
    let (john, now) = (username("johndoe"), instance.clock.now());
    let failed = end_sessions(&instance.store, (&john, &this.session.id), SessionsToEnd::All, now, REMOVAL_TIME).await;
    assert!(failed.is_err());
    line.heal();
    assert_eq!(instance.sessions("johndoe").await.len(), 2);
    assert_eq!(end(&instance, &this.session.id, SessionsToEnd::All).await, 2);
    for pair in [this, other] {
        assert!(instance.refresh(pair.refresh.expose(), None).await.is_err());
    }
}

/// Adds as many copies of a session of johndoe's.
async fn add_copies(instance: &Instance, of: &Session, count: usize) {
    for _ in 0..count {
        let copy = Session { id: SessionId::generate(&mut { instance.tokens.random }), ..of.clone() };
        instance.store.add_session(&username("johndoe"), &copy).await.unwrap();
    }
}

#[tokio::test]
async fn each_session_is_on_exactly_one_page() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await.session;
    for used in 1..=3 {
        let later = Session { last_used: first.last_used.after(Duration::from_secs(used)), ..first.clone() };
        add_copies(&instance, &later, 3).await;
    }
    // Rows of sessions that are over lie between.
    add_copies(&instance, &Session { ended: Some(NOW), ..first.clone() }, 6).await;
    for size in [1, 3, 4, 9, 10, 11, 100] {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = page(&instance, "johndoe", (after, size)).await;
            assert!(page.sessions.is_sorted_by(|one, next| one.last_used >= next.last_used));
            pages.push(page.sessions.into_iter().map(|session| session.id.as_str().to_owned()).collect::<Vec<_>>());
            match page.next {
                None => break,
                next => after = next,
            }
        }
        // Full but for the last, which is not empty.
        assert_eq!(pages.len(), 10_usize.div_ceil(size), "{size}: {pages:?}");
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == size));
        let mut all = pages.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10, "{size}");
    }
}

#[tokio::test]
async fn a_page_goes_on_after_a_session_that_has_gone() {
    let instance = with_johndoe().await;
    let first = instance.begin_session().await.session;
    add_copies(&instance, &first, 4).await;
    let one = page(&instance, "johndoe", (None, 2)).await;
    let next = one.next.unwrap();
    assert!(instance.store.remove_session(&username("johndoe"), &next, NOW).await.unwrap());
    let rest = page(&instance, "johndoe", (Some(next), 3)).await;
    assert_eq!((rest.sessions.len(), rest.next), (3, None));
}

#[tokio::test]
async fn what_there_was_no_time_for_ends_with_the_next_call() {
    let instance = with_johndoe().await;
    let this = instance.begin_session().await;
    add_copies(&instance, &this.session, 40).await;
    let (john, now, id) = (username("johndoe"), instance.clock.now(), &this.session.id);
    let mut ended = 0;
    loop {
        let removal =
            end_sessions(&instance.store, (&john, id), SessionsToEnd::All, now, Duration::ZERO).await.unwrap();
        ended += removal.ended;
        // One's own session, which the next call comes from, goes last.
        assert_eq!(instance.store.is_session_live(&john, id, true, now).await.unwrap(), !removal.is_complete);
        if removal.is_complete {
            break;
        }
        assert!((1..=40).contains(&removal.ended));
    }
    assert_eq!(ended, 41);
}
