//! How often the use-cases wait for the table and the secret, one call after another: what stands in one list is waited
//! for at the same time.

use shared::{
    key_setting::KeySetting,
    session_limit::SessionLimit,
    use_cases::{change_password::PasswordChange, sign_in::SignInRequest},
};

use crate::{
    instance::{Instance, PASSWORD, client, later, new_password, password, request, ring},
    line::Line,
    secret::Secret,
    table::{NOW, Table, endpoint, username},
};

/// An instance that counts no sessions, with johndoe.
async fn on_a_line() -> (Line, Instance) {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    (line, Instance { limit: SessionLimit(1_000_000_000), ..instance })
}

fn wrong() -> SignInRequest {
    SignInRequest { password: password("wrong"), ..request("johndoe") }
}

#[tokio::test]
async fn a_sign_in_from_a_known_address_waits_three_times() {
    let (line, instance) = on_a_line().await;
    instance.begin_session().await;
    let usual = [&["BatchGetItem", "UpdateItem"][..], &["PutItem", "UpdateItem"], &["BatchGetItem"]];
    assert_eq!(line.waits(instance.begin_session()).await.1, usual);
    instance.sign_in(wrong()).await.err().unwrap();
    assert_eq!(line.waits(instance.begin_session()).await.1, usual);
}

#[tokio::test]
async fn a_sign_in_from_a_new_address_waits_four_times() {
    let (line, instance) = on_a_line().await;
    let new = [
        &["BatchGetItem", "UpdateItem"][..],
        &["UpdateItem", "UpdateItem"],
        &["PutItem", "UpdateItem", "UpdateItem"],
        &["BatchGetItem"],
    ];
    assert_eq!(line.waits(instance.begin_session()).await.1, new);
}

#[tokio::test]
async fn a_wrong_password_waits_as_often_for_every_name() {
    let (line, instance) = on_a_line().await;
    let wrong = [&["BatchGetItem", "UpdateItem"][..], &["UpdateItem", "UpdateItem"], &["UpdateItem"]];
    for name in ["johndoe", "nobody"] {
        let request = SignInRequest { password: password("wrong"), ..request(name) };
        let (outcome, waits) = line.waits(instance.sign_in(request)).await;
        assert!(outcome.is_err());
        assert_eq!(waits, wrong, "{name}");
    }
}

#[tokio::test]
async fn a_refresh_waits_once() {
    let (line, instance) = on_a_line().await;
    let first = instance.begin_session().await;
    let (second, waits) = line.waits(instance.refresh(first.refresh.expose(), None)).await;
    assert_eq!(waits, [["BatchGetItem", "UpdateItem"]]);
    // Whether the account has the scope is known before the token is used.
    let second = second.unwrap();
    let (third, waits) = line.waits(instance.refresh(second.refresh.expose(), Some("read"))).await;
    assert_eq!(waits, [["BatchGetItem"], ["UpdateItem"]]);
    third.unwrap();
}

#[tokio::test]
async fn a_new_password_waits_four_times() {
    let (line, instance) = on_a_line().await;
    instance.begin_session().await;
    let change = PasswordChange {
        store: instance.store.clone(),
        authenticator: instance.authenticator.clone(),
        clock: instance.clock.clone(),
    };
    let (john, current) = (username("johndoe"), password(PASSWORD));
    let home = client("192.0.2.1");
    let (ended, waits) = line.waits(change.change(&john, &current, new_password("umlaut metal heavy"), &home)).await;
    assert_eq!(ended.unwrap().ended, 1);
    let expected = [&["BatchGetItem", "UpdateItem"][..], &["UpdateItem", "UpdateItem"], &["Query"], &["DeleteItem"]];
    assert_eq!(waits, expected);
}

/// The ring of an instance that was idle is too old.
#[tokio::test]
async fn nobody_waits_for_a_newer_ring_alone() {
    let (line, secret) = (Line::start(endpoint()).await, Secret::holding(&ring(NOW)).await);
    line.lead_to_secrets(&secret.url);
    let table = Table::create();
    let store = table.store_at(&line.url);
    let instance = Instance::with_ring(table, store, KeySetting::Secret("ring".to_owned()), &line.url);
    let instance = Instance { limit: SessionLimit(1_000_000_000), ..instance };
    instance.add_user("johndoe").await;
    instance.begin_session().await;
    instance.pass(3600);
    let (first, waits) = line.waits(instance.begin_session()).await;
    let sign_in =
        [&["BatchGetItem", "GetSecretValue", "UpdateItem"][..], &["PutItem", "UpdateItem"], &["BatchGetItem"]];
    assert_eq!(
        (waits, first.issued),
        (sign_in.map(|calls| calls.iter().map(|&call| call.to_owned()).collect()).into(), later(3600))
    );
    instance.pass(3600);
    let (second, waits) = line.waits(instance.refresh(first.refresh.expose(), None)).await;
    assert_eq!(waits, [["BatchGetItem", "GetSecretValue", "UpdateItem"]]);
    second.unwrap();
    assert_eq!(secret.reads(), 3);
}
