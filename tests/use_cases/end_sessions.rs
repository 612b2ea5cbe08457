//! An account's own sessions: those that go on, and ending them.

use shared::{
    session::{Session, SessionId},
    use_cases::end_sessions::{SessionsToEnd, end_sessions, live_sessions},
};

use crate::{
    instance::{Instance, POLICY, request},
    line::Disturbance,
    table::{NOW, username},
};

async fn with_johndoe() -> Instance {
    let instance = Instance::start().await;
    instance.add_user("johndoe").await;
    instance
}

async fn live(instance: &Instance, name: &str) -> Vec<Session> {
    live_sessions(&instance.store, &username(name), instance.clock.now()).await.unwrap()
}

async fn end(instance: &Instance, this: &SessionId, which: SessionsToEnd) -> usize {
    end_sessions(&instance.store, (&username("johndoe"), this), which, instance.clock.now()).await.unwrap()
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
    let failed = end_sessions(&instance.store, (&john, &this.session.id), SessionsToEnd::All, now).await;
    assert!(failed.is_err());
    line.heal();
    assert_eq!(instance.sessions("johndoe").await.len(), 2);
    assert_eq!(end(&instance, &this.session.id, SessionsToEnd::All).await, 2);
    for pair in [this, other] {
        assert!(instance.refresh(pair.refresh.expose(), None).await.is_err());
    }
}
