//! From a name and a password to a session and its tokens.

use std::time::Duration;

use shared::{
    access_token::Refusal,
    key::SigningKeys,
    key_setting::KeySetting,
    password::{PasswordHash, Scheme},
    refresh_token,
    scope::Scopes,
    session::{Policy, Session},
    use_cases::{
        authenticate::{AuthenticationError, Rejection},
        sign_in::{SignInError, SignInRequest},
    },
    user::User,
};

use crate::{
    instance::{Instance, LIFETIME, POLICY, client, later, password, request, ring},
    line::Disturbance,
    secret::Secret,
    table::{NOW, Table, scopes, user},
};

async fn with_johndoe() -> Instance {
    let instance = Instance::start();
    instance.add_user("JohnDoe").await;
    instance
}

fn asking_for(list: &str) -> SignInRequest {
    SignInRequest { scopes: Some(scopes(list)), ..request("johndoe") }
}

#[tokio::test]
async fn a_sign_in_begins_a_session() {
    let instance = with_johndoe().await;
    let user = instance.find_user("johndoe").await;
    let pair = instance.sign_in(request("johndoe")).await.unwrap();
    assert_eq!(pair.username.as_str(), "JohnDoe");
    let expected = Session {
        id: pair.session.id.clone(),
        counter: 0,
        scopes: scopes("read write"),
        client_id: "web".to_owned(),
        password_version: user.password_version,
        created: NOW,
        last_used: NOW,
        expires: NOW.after(POLICY.idle),
        ends: NOW.after(POLICY.lifetime),
        ended: None,
        client: client("192.0.2.1"),
    };
    assert_eq!((&pair.session, instance.session().await), (&expected, expected.clone()));
}

#[tokio::test]
async fn each_sign_in_has_a_session_of_its_own() {
    let instance = with_johndoe().await;
    let (one, other) = (instance.begin_session().await, instance.begin_session().await);
    assert_ne!(one.session.id, other.session.id);
    assert_eq!(instance.sessions("johndoe").await.len(), 2);
}

#[tokio::test]
async fn the_tokens_are_those_of_the_session() {
    let instance = with_johndoe().await;
    let pair = instance.begin_session().await;
    let access = instance.verify(pair.access.expose()).await.unwrap();
    assert_eq!((access.subject.as_str(), &access.scopes), ("JohnDoe", &scopes("read write")));
    assert_eq!((&access.session, access.expires), (&pair.session.id, NOW.after(LIFETIME)));
    assert_eq!((pair.issued, pair.access.expires()), (NOW, NOW.after(LIFETIME)));

    let ring = instance.tokens.keys.keys().await.unwrap();
    let refresh = refresh_token::verify(pair.refresh.expose(), &ring).unwrap();
    assert_eq!((refresh.username.as_str(), &refresh.session, refresh.counter), ("JohnDoe", &pair.session.id, 0));

    instance.pass(LIFETIME.as_secs() - 1);
    instance.verify(pair.access.expose()).await.unwrap();
    instance.pass(1);
    assert_eq!(instance.verify(pair.access.expose()).await, Err(Refusal::Expired));
}

#[tokio::test]
async fn fewer_scopes_are_granted_where_they_are_asked_for() {
    let instance = with_johndoe().await;
    for list in ["read", ""] {
        let asked = if list.is_empty() { Scopes::default() } else { scopes(list) };
        let pair = instance.sign_in(SignInRequest { scopes: Some(asked.clone()), ..request("johndoe") }).await.unwrap();
        assert_eq!((&pair.scopes, &instance.allowed(&pair).await), (&asked, &asked));
        let sessions = instance.sessions("johndoe").await;
        assert_eq!(sessions.iter().find(|session| session.id == pair.session.id).unwrap().scopes, asked);
    }
}

#[tokio::test]
async fn a_scope_that_the_user_lacks_begins_no_session() {
    let instance = with_johndoe().await;
    for list in ["admin", "read admin", "Read"] {
        let error = instance.sign_in(asking_for(list)).await.err().unwrap();
        assert!(matches!(error, SignInError::InvalidScope), "{list}: {error:?}");
    }
    assert_eq!(instance.sessions("johndoe").await, []);
    // The password was right.
    assert_eq!(instance.guesses().await, (0, 0));
}

#[tokio::test]
async fn a_rejected_sign_in_begins_no_session() {
    let instance = with_johndoe().await;
    let wrong = SignInRequest { password: password("wrong"), ..asking_for("admin") };
    let error = instance.sign_in(wrong).await.err().unwrap();
    // The scopes of an account are told to nobody but its owner.
    let SignInError::Authentication(AuthenticationError::Rejected { rejection, .. }) = error else {
        panic!("{error:?}")
    };
    assert!(matches!(rejection, Rejection::WrongPassword(_)), "{rejection:?}");
    assert_eq!(instance.sessions("johndoe").await, []);
}

#[tokio::test]
async fn the_access_token_ends_with_its_session() {
    let policy = Policy { lifetime: Duration::from_mins(20), ..POLICY };
    let instance = Instance { policy, ..with_johndoe().await };
    let pair = instance.begin_session().await;
    assert_eq!(pair.session.ends, later(1200));
    assert_eq!(instance.verify(pair.access.expose()).await.unwrap().expires, later(1200));
}

#[tokio::test]
async fn cookies_last_as_long_as_their_tokens() {
    let instance = with_johndoe().await;
    let pair = instance.sign_in(SignInRequest { in_cookies: true, ..request("johndoe") }).await.unwrap();
    let [access, refresh] = pair.cookies().unwrap();
    for (cookie, token, seconds) in
        [(access, pair.access.expose(), 1800), (refresh, pair.refresh.expose(), POLICY.idle.as_secs())]
    {
        assert!(cookie.expose().contains(token));
        assert!(cookie.expose().contains(&format!("Max-Age={seconds};")), "{seconds}");
    }
}

#[tokio::test]
async fn cookies_that_no_browser_keeps_begin_no_session() {
    let instance = with_johndoe().await;
    let long = |in_cookies| SignInRequest { client_id: "c".repeat(3000), in_cookies, ..request("johndoe") };
    let error = instance.sign_in(long(true)).await.err().unwrap();
    assert!(matches!(error, SignInError::TooLongForCookies(_)), "{error:?}");
    assert_eq!(instance.sessions("johndoe").await, []);
    instance.sign_in(long(false)).await.unwrap();
}

#[tokio::test]
async fn without_a_key_no_guess_is_counted() {
    let table = Table::create();
    let store = table.store.clone();
    let empty = KeySetting::Inline(r#"{"keys":[]}"#.to_owned().into());
    let instance = Instance::with_ring(table, store, empty, "http://127.0.0.1:9");
    instance.add_user("johndoe").await;
    for name in ["johndoe", "nobody"] {
        for password in [password("wrong"), request(name).password] {
            let error = instance.sign_in(SignInRequest { password, ..request(name) }).await.err().unwrap();
            assert!(matches!(error, SignInError::Unavailable(_)), "{name}: {error:?}");
        }
    }
    assert_eq!(instance.table.counts().await, []);
}

#[tokio::test]
async fn the_first_key_is_found_by_looking_again() {
    let secret = Secret::holding(&SigningKeys::parse(r#"{"keys":[]}"#).unwrap()).await;
    let instance = secret.instance();
    instance.add_user("johndoe").await;
    let error = instance.sign_in(request("johndoe")).await.err().unwrap();
    assert!(matches!(error, SignInError::Unavailable(_)), "{error:?}");
    secret.put(&ring(NOW));
    instance.pass(4);
    assert!(instance.sign_in(request("johndoe")).await.is_err());
    instance.pass(1);
    let pair = instance.begin_session().await;
    instance.verify(pair.access.expose()).await.unwrap();
}

#[tokio::test]
async fn a_key_signs_when_its_time_has_come() {
    let secret = Secret::holding(&ring(later(60))).await;
    let instance = secret.instance();
    instance.add_user("johndoe").await;
    instance.pass(59);
    assert!(instance.sign_in(request("johndoe")).await.is_err());
    instance.pass(1);
    let pair = instance.begin_session().await;
    assert_eq!(pair.key_made, Some(later(60)));
}

#[tokio::test]
async fn no_token_leaves_where_the_session_is_not_written() {
    let (line, instance) = Instance::on_a_line().await;
    instance.add_user("johndoe").await;
    line.disturb("PutItem", Disturbance::Refused);
    let error = instance.sign_in(request("johndoe")).await.err().unwrap();
    assert!(matches!(error, SignInError::Unavailable(_)), "{error:?}");
    line.disturb("PutItem", Disturbance::AnswerLost);
    let pair = instance.begin_session().await;
    assert!(!line.is_disturbed());
    assert_eq!(instance.session().await, pair.session);
}

#[tokio::test]
async fn an_older_hash_is_renewed_at_the_sign_in() {
    let instance = Instance::start();
    let text = "test";
    // passlib 1.7.4: bcrypt.using(rounds=4, ident="2y").hash("test")
    let plain = PasswordHash::parse("$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm").unwrap();
    assert!(instance.store.add_user(&User { password_hash: plain, ..user("johndoe") }, NOW).await.unwrap());
    let pair = instance.sign_in(SignInRequest { password: password(text), ..request("johndoe") }).await.unwrap();
    let renewed = instance.find_user("johndoe").await;
    assert_eq!(renewed.password_hash.scheme(), Scheme::BcryptSha256);
    // Its session is of the password that it still is.
    assert_eq!((pair.session.password_version, renewed.updated), (renewed.password_version, NOW));
}
