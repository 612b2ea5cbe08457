//! Sessions.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    client::Client,
    scope::Scopes,
    session::{Policy, Session, SessionId},
    store::{RefreshAttempt, RefreshOutcome, Removal, SessionsPage, Store, StoreError},
    time::Timestamp,
    username::Username,
};
use tokio::task::JoinSet;

use super::{assert_names_what_is_unusable, n, row, s, ss, time};
use crate::table::{MINUTE, NOW, Row, Table, scopes, store, username};

/// Longer than any removal here takes.
const IDLE: Duration = Duration::from_secs(100);
const POLICY: Policy = Policy { lifetime: Duration::from_secs(1000), idle: IDLE, grace: Duration::from_secs(10) };

fn client(address: &str, user_agent: &str) -> Client {
    Client { address: Some(address.to_owned()), user_agent: Some(user_agent.to_owned()) }
}

fn session() -> Session {
    let id = SessionId::generate(&mut UnwrapErr(SysRng));
    Session::begin(id, scopes("read write"), "web".to_owned(), 7, client("192.0.2.1", "curl"), &POLICY, NOW)
}

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

async fn refresh(store: &Store, name: &Username, of: &Session, attempt: &RefreshAttempt<'_>) -> RefreshOutcome {
    store.advance_session(name, &of.id, attempt, later(50)).await.unwrap()
}

fn attempt(client: &Client) -> RefreshAttempt<'_> {
    RefreshAttempt { counter: 0, scopes: None, idle: IDLE, client }
}

#[tokio::test]
async fn a_row_has_these_attributes() {
    let table = Table::create();
    let session = Session { ended: Some(later(9)), counter: 3, ..session() };
    table.store.add_session(&username("JohnDoe"), &session).await.unwrap();
    let expected = row([
        ("pk", s("SESSION#johndoe")),
        ("sk", s(session.id.as_str())),
        ("counter", n(3)),
        ("scopes", ss(&["read", "write"])),
        ("client_id", s("web")),
        ("password_version", n(7)),
        ("created_at", time(NOW)),
        ("last_used_at", time(NOW)),
        ("expires_at", time(later(100))),
        ("ends_at", time(later(1000))),
        ("ended_at", time(later(9))),
        ("address", s("192.0.2.1")),
        ("user_agent", s("curl")),
    ]);
    assert_eq!(table.row("SESSION#").await, expected);
}

#[tokio::test]
async fn what_is_unknown_or_empty_is_no_attribute() {
    let table = Table::create();
    let bare = Session { scopes: Scopes::default(), client: Client::default(), ..session() };
    table.store.add_session(&username("johndoe"), &bare).await.unwrap();
    let row = table.row("SESSION#").await;
    assert!(["scopes", "address", "user_agent", "ended_at"].iter().all(|name| !row.contains_key(*name)), "{row:?}");
    assert_eq!(table.store.sessions(&username("johndoe")).await.unwrap(), [bare]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_again() {
    let store = store().await;
    let sessions = (
        any::<(u64, u64)>(),
        proptest::collection::vec("[!#-\\[\\]-~]{1,9}", 0..6),
        "\\PC{0,40}",
        any::<([u64; 4], Option<u64>)>(),
        proptest::option::of("[0-9a-f:.]{1,39}"),
        proptest::option::of("\\PC{1,40}"),
    );
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(Config::with_cases(48)).run(
            &sessions,
            |((counter, password_version), scopes, client_id, (times, ended), address, user_agent)| {
                let [created, last_used, expires, ends] = times.map(Timestamp);
                let session = Session {
                    id: session().id,
                    counter,
                    scopes: Scopes::from_tokens(scopes.iter().map(String::as_str)).unwrap(),
                    client_id,
                    password_version,
                    created,
                    last_used,
                    expires,
                    ends,
                    ended: ended.map(Timestamp),
                    client: Client { address, user_agent },
                };
                runtime.block_on(async {
                    let name = username(session.id.as_str());
                    store.add_session(&name, &session).await.unwrap();
                    assert_eq!(store.sessions(&name).await.unwrap(), std::slice::from_ref(&session));
                    let live = store.is_session_live(&name, &session.id, true, NOW).await.unwrap();
                    assert_eq!(live, session.is_live(NOW));
                });
                Ok(())
            },
        )
    })
    .unwrap();
}

#[tokio::test]
async fn an_unusable_attribute_is_named_and_not_quoted() {
    let table = Table::create();
    let john = username("johndoe");
    let session = Session { ended: Some(NOW), ..session() };
    table.store.add_session(&john, &session).await.unwrap();
    let intact = table.row("SESSION#").await;
    let required = ["counter", "client_id", "password_version", "created_at", "last_used_at", "expires_at", "ends_at"];
    let whole = async || table.store.sessions(&john).await.map(drop);
    assert_names_what_is_unusable(&table, &intact, &required, &["scopes", "ended_at", "address", "user_agent"], whole)
        .await;
    let lifespan = async || table.store.is_session_live(&john, &session.id, true, NOW).await.map(drop);
    assert_names_what_is_unusable(&table, &intact, &["expires_at", "ends_at"], &["ended_at"], lifespan).await;
}

#[tokio::test]
async fn a_refresh_moves_the_session_and_notes_its_client() {
    let table = Table::create();
    let (john, begun) = (username("johndoe"), session());
    table.store.add_session(&john, &begun).await.unwrap();
    let unknown = Client::default();
    let RefreshOutcome::Advanced(moved) = refresh(&table.store, &john, &begun, &attempt(&unknown)).await else {
        panic!("it has not moved")
    };
    let expected =
        Session { counter: 1, last_used: later(50), expires: later(150), client: unknown.clone(), ..begun.clone() };
    assert_eq!(moved, expected);
    let row = table.row("SESSION#").await;
    assert!(!row.contains_key("address") && !row.contains_key("user_agent"), "{row:?}");

    let known = client("198.51.100.7", "firefox");
    let next = RefreshAttempt { counter: 1, ..attempt(&known) };
    let RefreshOutcome::Advanced(moved) = refresh(&table.store, &john, &begun, &next).await else {
        panic!("it has not moved")
    };
    assert_eq!((moved.counter, moved.client), (2, known));
}

#[tokio::test]
async fn of_many_refreshes_at_once_one_moves_the_session() {
    const CLIENTS: usize = 24;
    let store = store().await;
    let (john, begun) = (username("johndoe"), session());
    store.add_session(&john, &begun).await.unwrap();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (store, john, begun) = (store.clone(), john.clone(), begun.clone());
        clients.spawn(async move {
            let client = client("192.0.2.1", &number.to_string());
            refresh(&store, &john, &begun, &attempt(&client)).await
        });
    }
    let (mut moved, mut unchanged) = (0, 0);
    for outcome in clients.join_all().await {
        match outcome {
            RefreshOutcome::Advanced(session) => {
                assert_eq!(session.counter, 1);
                moved += 1;
            }
            RefreshOutcome::Unchanged(session) => {
                assert_eq!(session.unwrap().counter, 1);
                unchanged += 1;
            }
        }
    }
    assert_eq!((moved, unchanged), (1, CLIENTS - 1));
}

#[tokio::test]
async fn a_refresh_that_does_not_fit_changes_nothing() {
    let store = store().await;
    let (john, begun) = (username("johndoe"), session());
    store.add_session(&john, &begun).await.unwrap();
    let client = client("198.51.100.7", "firefox");
    let (granted, more) = (scopes("read"), scopes("admin read"));
    for misfit in
        [RefreshAttempt { counter: 1, ..attempt(&client) }, RefreshAttempt { scopes: Some(&more), ..attempt(&client) }]
    {
        match refresh(&store, &john, &begun, &misfit).await {
            RefreshOutcome::Unchanged(Some(session)) => assert_eq!(session, begun),
            other => panic!("{misfit:?}: {other:?}"),
        }
    }
    for over in [later(100), later(1000)] {
        let outcome = store.advance_session(&john, &begun.id, &attempt(&client), over).await.unwrap();
        assert!(matches!(&outcome, RefreshOutcome::Unchanged(Some(session)) if *session == begun), "{outcome:?}");
    }
    let outcome = refresh(&store, &john, &session(), &attempt(&client)).await;
    assert!(matches!(outcome, RefreshOutcome::Unchanged(None)), "{outcome:?}");
    let outcome = refresh(&store, &john, &begun, &RefreshAttempt { scopes: Some(&granted), ..attempt(&client) }).await;
    assert!(matches!(outcome, RefreshOutcome::Advanced(_)), "{outcome:?}");
}

#[tokio::test]
async fn the_end_of_a_session_is_final() {
    let store = store().await;
    let (john, begun) = (username("johndoe"), session());
    store.add_session(&john, &begun).await.unwrap();
    assert!(store.is_session_live(&john, &begun.id, true, NOW).await.unwrap());
    assert!(store.end_session(&john, &begun.id, later(1)).await.unwrap());
    assert!(!store.end_session(&john, &begun.id, later(2)).await.unwrap());
    assert!(!store.is_session_live(&john, &begun.id, true, NOW).await.unwrap());
    assert!(!store.remove_session(&john, &begun.id, NOW).await.unwrap());
    let ended = Session { ended: Some(later(1)), expires: later(1), ..begun.clone() };
    // Not even by a clock that is behind, nor by the sign-in's own write, repeated.
    let client = Client::default();
    let outcome = store.advance_session(&john, &begun.id, &attempt(&client), NOW).await.unwrap();
    assert!(matches!(&outcome, RefreshOutcome::Unchanged(Some(session)) if *session == ended), "{outcome:?}");
    store.add_session(&john, &begun).await.unwrap();
    assert_eq!(store.sessions(&john).await.unwrap(), [ended]);
    assert!(!store.end_session(&john, &session().id, NOW).await.unwrap());
}

#[tokio::test]
async fn all_sessions_but_the_spared_one_go_and_live_ones_are_counted() {
    let store = store().await;
    let john = username("johndoe");
    let sessions: Vec<Session> = (0..40).map(|_| session()).collect();
    for session in &sessions {
        store.add_session(&john, session).await.unwrap();
    }
    let other = session();
    store.add_session(&username("ann"), &other).await.unwrap();
    store.end_session(&john, &sessions[1].id, NOW).await.unwrap();
    let removal = store.remove_sessions(&john, Some(&sessions[0].id), NOW, MINUTE).await.unwrap();
    assert_eq!(removal, Removal { ended: 38, is_complete: true });
    let left = store.sessions(&john).await.unwrap();
    assert!(left.iter().all(|left| left.id == sessions[0].id || left.ended.is_some()), "{left:?}");
    assert_eq!(left.len(), 2);
    assert_eq!(store.sessions(&username("ann")).await.unwrap(), [other]);
}

#[tokio::test]
async fn without_time_some_sessions_go_and_the_next_call_goes_on() {
    let store = store().await;
    let john = username("johndoe");
    for _ in 0..40 {
        store.add_session(&john, &session()).await.unwrap();
    }
    let mut ended = 0;
    loop {
        let removal = store.remove_sessions(&john, None, NOW, Duration::ZERO).await.unwrap();
        assert!(removal.is_complete || removal.ended > 0, "{removal:?}");
        assert!(removal.ended < 40, "it took its time");
        ended += removal.ended;
        assert_eq!(store.sessions(&john).await.unwrap().len(), 40 - ended);
        if removal.is_complete {
            break;
        }
        assert!(ended < 40, "a call more than there are sessions for");
    }
    assert_eq!(ended, 40);
}

#[tokio::test]
async fn a_removal_that_fails_halfway_says_what_it_did() {
    let table = Table::create();
    let john = username("johndoe");
    table.store.add_session(&john, &session()).await.unwrap();
    let row = table.row("SESSION#").await;
    let copy = |id: &str| {
        let mut copy = row.clone();
        copy.insert("sk".to_owned(), s(id));
        copy
    };
    let mut rows: Vec<Row> = (0..260).map(|_| copy(session().id.as_str())).collect();
    // The last, and so on the second of the pages of 250.
    let mut damaged = copy("zzzzzzzzzzzzzzzzzzzzzw");
    damaged.remove("ends_at");
    rows.push(damaged);
    table.put_all(rows).await;
    let removal = table.store.remove_sessions(&john, None, NOW, MINUTE).await.unwrap();
    assert_eq!(removal, Removal { ended: 250, is_complete: false });
    // Without it nothing could be told.
    let error = table.store.remove_sessions(&john, None, NOW, MINUTE).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(_)), "{error:?}");
}

#[tokio::test]
async fn pages_of_rows_follow_each_other() {
    let store = store().await;
    let john = username("johndoe");
    let mut ids = Vec::new();
    for _ in 0..5 {
        let session = session();
        store.add_session(&john, &session).await.unwrap();
        ids.push(session.id.as_str().to_owned());
    }
    ids.sort_unstable();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let SessionsPage { sessions, next } = store.session_page(&john, after.as_ref(), 2).await.unwrap();
        assert!(sessions.len() <= 2);
        found.extend(sessions.into_iter().map(|session| session.id.as_str().to_owned()));
        if next.is_none() {
            break;
        }
        after = next;
    }
    assert_eq!(found, ids);
}
