//! A sign-in that is under way while its account loses its rights: whichever call comes between, no token works afterwards.

use shared::{
    session_limit::SessionLimit,
    store::Store,
    use_cases::{
        authenticate::{AuthenticationError, Rejection},
        change_password::PasswordChange,
        issue_tokens::TokenPair,
        sign_in::SignInError,
    },
    user::Status,
};

use crate::{
    instance::{Instance, PASSWORD, client, cost, hash_of, new_password, password, request},
    line::{Disturbance, Line},
    table::{MINUTE, NOW, scopes, user, username},
};

/// How an account loses rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Disabled,
    Deleted,
    /// And the name freed, and given to another account.
    DeletedAndTaken,
    /// By the operator.
    NewPassword,
    OwnNewPassword,
    Demoted,
}

const ALL: [Loss; 6] =
    [Loss::Disabled, Loss::Deleted, Loss::DeletedAndTaken, Loss::NewPassword, Loss::OwnNewPassword, Loss::Demoted];

impl Loss {
    /// Takes the rights of johndoe away, past the line, where nothing is held.
    async fn happen(self, instance: &Instance) {
        let (store, john): (&Store, _) = (&instance.table.store, username("johndoe"));
        match self {
            Self::Disabled => {
                assert!(store.set_status(&john, Status::Disabled, NOW).await.unwrap());
                store.remove_sessions(&john, None, NOW, MINUTE).await.unwrap();
            }
            Self::Deleted => assert!(store.remove_user(&john, NOW, MINUTE).await.unwrap()),
            Self::DeletedAndTaken => {
                assert!(store.remove_user(&john, NOW, MINUTE).await.unwrap());
                assert!(store.free_name(&john, NOW, MINUTE).await.unwrap());
                assert!(store.add_user(&user("johndoe"), NOW).await.unwrap());
            }
            Self::NewPassword => {
                assert!(store.set_password(&john, &hash_of("another one", cost(4)), NOW).await.unwrap());
                store.remove_sessions(&john, None, NOW, MINUTE).await.unwrap();
            }
            Self::OwnNewPassword => {
                let change = PasswordChange {
                    store: store.clone(),
                    authenticator: instance.authenticator_of(store.clone()),
                    clock: instance.clock.clone(),
                };
                let (new, home) = (new_password("umlaut metal heavy"), client("198.51.100.7"));
                change.change(&john, &password(PASSWORD), new, &home).await.unwrap();
            }
            Self::Demoted => assert!(store.set_scopes(&john, &scopes("read"), NOW).await.unwrap()),
        }
    }
}

/// An instance that counts no sessions, which it would do at some sign-ins, by a call more.
async fn on_a_line() -> (Line, Instance) {
    let (line, instance) = Instance::on_a_line().await;
    (line, Instance { limit: SessionLimit(1_000_000_000), ..instance })
}

/// What came of a sign-in on whose way something happened.
struct InFlight {
    outcome: Result<TokenPair, SignInError>,
    instance: Instance,
    _line: Line,
}

/// Signs johndoe in by a line on which this call is disturbed, and lets the loss happen meanwhile. `None`: there is no such
/// call.
async fn sign_in(call: usize, how: Disturbance, loss: Loss) -> Option<InFlight> {
    let (line, instance) = on_a_line().await;
    instance.add_user("johndoe").await;
    line.disturb_call(call, how);
    let outcome = {
        let mut sign_in = std::pin::pin!(instance.sign_in(request("johndoe")));
        tokio::select! {
            done = &mut sign_in => {
                done.unwrap();
                return None;
            }
            () = line.arrived() => {}
        }
        loss.happen(&instance).await;
        line.release();
        sign_in.await
    };
    Some(InFlight { outcome, instance, _line: line })
}

/// Asserts that the tokens do nothing that the account may not do now.
async fn assert_dead(instance: &Instance, pair: &TokenPair, case: &str) {
    let live = instance.store.is_session_live(&pair.username, &pair.session.id, true, NOW).await.unwrap();
    assert!(!live, "{case}: the session lives");
    assert!(instance.refresh(pair.refresh.expose(), None).await.is_err(), "{case}: it refreshes");
}

#[tokio::test]
async fn no_token_works_after_the_account_lost_its_rights() {
    for loss in ALL {
        for how in [Disturbance::Held, Disturbance::AnswerHeld] {
            let mut call = 1;
            while let Some(InFlight { outcome, instance, _line }) = Box::pin(sign_in(call, how, loss)).await {
                let case = format!("{loss:?} at call {call}, {how:?}");
                match (outcome, loss) {
                    // The access token that has left says what it was granted until it expires; no refresh does.
                    (Ok(pair), Loss::Demoted) => {
                        let next = instance.refresh(pair.refresh.expose(), None).await.unwrap();
                        assert_eq!(next.scopes, scopes("read"), "{case}");
                    }
                    (Ok(pair), _) => assert_dead(&instance, &pair, &case).await,
                    (Err(SignInError::Authentication(AuthenticationError::Rejected { .. })), _) => {
                        let live = instance.sessions("johndoe").await;
                        assert!(live.iter().all(|session| !session.is_live(NOW)), "{case}: {live:?}");
                    }
                    (Err(other), _) => panic!("{case}: {other:?}"),
                }
                call += 1;
            }
            // The guess is counted, the account read, the session put beside the note, and the account read again.
            assert!(call > 5, "{call}");
        }
    }
}

#[tokio::test]
async fn a_change_before_the_second_look_gives_no_token() {
    for loss in ALL {
        let (line, instance) = on_a_line().await;
        instance.add_user("johndoe").await;
        instance.begin_session().await;
        line.disturb("PutItem", Disturbance::Held);
        let meanwhile = async {
            line.arrived().await;
            loss.happen(&instance).await;
            line.release();
        };
        let (outcome, ()) = tokio::join!(instance.sign_in(request("johndoe")), meanwhile);
        let error = outcome.err().unwrap_or_else(|| panic!("{loss:?}"));
        let SignInError::Authentication(AuthenticationError::Rejected { rejection, .. }) = error else {
            panic!("{loss:?}: {error:?}")
        };
        assert!(matches!(rejection, Rejection::ChangedUser(_)), "{loss:?}: {rejection:?}");
    }
}

#[tokio::test]
async fn no_token_leaves_where_the_second_look_fails() {
    let (line, instance) = on_a_line().await;
    instance.add_user("johndoe").await;
    instance.begin_session().await;
    line.disturb_call(5, Disturbance::Refused);
    let error = instance.sign_in(request("johndoe")).await.err().unwrap();
    assert!(matches!(error, SignInError::Unavailable(_)), "{error:?}");
}

/// Counts the calls of a sign-in.
async fn calls(line: &Line, instance: &Instance) -> usize {
    line.disturb_call(usize::MAX, Disturbance::Held);
    instance.begin_session().await;
    line.calls()
}

#[tokio::test]
async fn a_sign_in_from_a_known_address_takes_five_calls() {
    let (line, instance) = on_a_line().await;
    instance.add_user("johndoe").await;
    calls(&line, &instance).await;
    assert_eq!(calls(&line, &instance).await, 5);
}
