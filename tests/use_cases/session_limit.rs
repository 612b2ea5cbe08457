//! Sessions make room for another where an account has as many as it may.

use shared::{
    session::SessionId, session_limit::SessionLimit, store::RefreshAttempt, use_cases::issue_tokens::TokenPair,
};

use crate::{
    instance::{Instance, POLICY, client, request},
    line::{Disturbance, Line},
    table::username,
};

async fn limited_to(sessions: usize) -> Instance {
    let instance = Instance { limit: SessionLimit(sessions), ..Instance::start() };
    instance.add_user("johndoe").await;
    instance
}

async fn on_a_line_limited_to(sessions: usize) -> (Line, Instance) {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    (line, Instance { limit: SessionLimit(sessions), ..instance })
}

/// Sessions of johndoe's, begun a second after each other.
async fn begin<const N: usize>(instance: &Instance) -> [TokenPair; N] {
    let mut pairs = Vec::new();
    for _ in 0..N {
        pairs.push(instance.begin_session().await);
        instance.pass(1);
    }
    pairs.try_into().unwrap_or_else(|_| panic!("there are as many"))
}

/// Asserts that these are all that johndoe has.
async fn assert_left<const N: usize>(instance: &Instance, pairs: [&TokenPair; N]) {
    let sorted = |mut ids: Vec<String>| {
        ids.sort_unstable();
        ids
    };
    let text = |id: &SessionId| id.as_str().to_owned();
    let left = instance.sessions("johndoe").await.iter().map(|session| text(&session.id)).collect();
    assert_eq!(sorted(left), sorted(pairs.iter().map(|pair| text(&pair.session.id)).collect()));
}

#[tokio::test]
async fn the_session_used_longest_ago_makes_room() {
    let instance = limited_to(3).await;
    instance.add_user("ann").await;
    instance.sign_in(request("ann")).await.unwrap();
    let [one, two, three] = begin(&instance).await;
    assert_left(&instance, [&one, &two, &three]).await;
    instance.refresh(one.refresh.expose(), None).await.unwrap();
    instance.pass(1);
    let [four] = begin(&instance).await;
    assert_left(&instance, [&one, &three, &four]).await;
    let [five] = begin(&instance).await;
    assert_left(&instance, [&one, &four, &five]).await;
    assert!(instance.refresh(two.refresh.expose(), None).await.is_err());
    assert_eq!(instance.sessions("ann").await.len(), 1);
}

#[tokio::test]
async fn the_session_that_has_just_begun_stays() {
    let instance = limited_to(1).await;
    let [_, _, last] = begin(&instance).await;
    assert_left(&instance, [&last]).await;
    // Its clock is behind that of the others.
    let newer = instance.begin_session().await;
    instance.pass(1);
    assert_left(&instance, [&newer]).await;
    instance.refresh(newer.refresh.expose(), None).await.unwrap();
}

#[tokio::test]
async fn what_has_ended_makes_room_first() {
    let instance = limited_to(3).await;
    let [one, two, three] = begin(&instance).await;
    let now = instance.clock.now();
    assert!(instance.store.end_session(&username("johndoe"), &two.session.id, now).await.unwrap());
    let [four] = begin(&instance).await;
    assert_left(&instance, [&one, &three, &four]).await;
}

#[tokio::test]
async fn a_lower_limit_is_reached_by_the_next_sign_in() {
    let mut instance = limited_to(19).await;
    let [.., last] = begin::<19>(&instance).await;
    assert_eq!(instance.sessions("johndoe").await.len(), 19);
    instance.limit = SessionLimit(2);
    let [next] = begin(&instance).await;
    assert_left(&instance, [&last, &next]).await;
}

#[tokio::test]
async fn a_large_limit_is_held_to_before_long() {
    let mut instance = limited_to(1000).await;
    let [..] = begin::<40>(&instance).await;
    assert_eq!(instance.sessions("johndoe").await.len(), 40);
    // Counted at one sign-in of two.
    instance.limit = SessionLimit(20);
    for _ in 0..100 {
        let [last] = begin(&instance).await;
        let sessions = instance.sessions("johndoe").await;
        assert!(sessions.iter().any(|session| session.id == last.session.id));
        if sessions.len() <= 20 {
            assert_eq!(sessions.len(), 20);
            return;
        }
    }
    panic!("the limit is not held to");
}

#[tokio::test]
async fn a_session_that_is_used_meanwhile_stays() {
    let (line, instance) = on_a_line_limited_to(1).await;
    let [old] = begin(&instance).await;
    line.disturb("DeleteItem", Disturbance::Held);
    let meanwhile = async {
        line.arrived().await;
        let client = client("192.0.2.1");
        let attempt = RefreshAttempt { counter: 0, scopes: None, idle: POLICY.idle, client: &client };
        let (john, now) = (username("johndoe"), instance.clock.now());
        instance.table.store.advance_session(&john, &old.session.id, &attempt, now).await.unwrap();
        line.release();
    };
    let (new, ()) = tokio::join!(instance.begin_session(), meanwhile);
    assert_left(&instance, [&old, &new]).await;
}

#[tokio::test]
async fn sessions_that_cannot_be_counted_hold_up_no_sign_in() {
    let (line, instance) = on_a_line_limited_to(1).await;
    begin::<1>(&instance).await;
    for operation in ["Query", "DeleteItem"] {
        line.disturb(operation, Disturbance::Refused);
        begin::<1>(&instance).await;
    }
    line.disturb("Query", Disturbance::Held);
    begin::<1>(&instance).await;
    assert_eq!(instance.sessions("johndoe").await.len(), 4);
    line.release();
    let [last] = begin(&instance).await;
    assert_left(&instance, [&last]).await;
}
