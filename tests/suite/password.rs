//! `POST /password`

use reqwest::Method;
use serde_json::{Value, json};
use shared::user::Status;

use crate::{
    api::{Answer, Api, FORM, JSON, PASSWORD, Setup, form, hash},
    proxy::{Cut, Proxy},
    token::claims,
};

const NEW: &str = "another long password";

async fn change(api: &Api, access_token: &str, current: &str, new: &str) -> Answer {
    api.keep_secret(current);
    api.keep_secret(new);
    let authorization = format!("Bearer {access_token}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", FORM)];
    api.send(Method::POST, "/password", &headers, form(&[("current_password", current), ("new_password", new)])).await
}

async fn sign_in_with(api: &Api, password: &str) -> Answer {
    api.login(&[("username", "johndoe"), ("password", password)]).await
}

#[tokio::test]
async fn the_new_password_alone_opens_and_ends_all_sessions() {
    let api = Api::with(Setup { parameters: vec![("LiveRevocation", "0")], ..Setup::default() }).await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let stranger = api.login(&[("username", "jane"), ("password", PASSWORD)]).await;
    let sessions = [api.sign_in().await, api.sign_in().await, api.sign_in().await];
    let before = api.user("johndoe").await;
    let answer = change(&api, &sessions[0].access_token(), PASSWORD, NEW).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ended": 3 })));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.cookies().iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["", ""]);

    sign_in_with(&api, PASSWORD).await.error(401, "invalid_grant");
    // The session that it came from as well.
    for session in &sessions {
        api.refresh(&session.refresh_token()).await.error(400, "invalid_grant");
        api.protected(&format!("Bearer {}", session.access_token())).await.error(401, "invalid_token");
    }
    assert_eq!(api.refresh(&stranger.refresh_token()).await.status, 200);
    let after = api.user("johndoe").await;
    assert_eq!((after.password_version, &after.scopes), (before.password_version + 1, &before.scopes));
    // Whoever signs in with it can change it again, to the one of before too.
    let again = sign_in_with(&api, NEW).await;
    assert_eq!(change(&api, &again.access_token(), NEW, PASSWORD).await.status, 200);
    assert_eq!(sign_in_with(&api, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn json_will_do_and_any_text_may_be_a_password() {
    let api = Api::start().await;
    let mut token = api.token().await;
    let mut current = PASSWORD.to_owned();
    for new in ["pass\0word with a NUL", "🔑🔑🔑🔑🔑🔑🔑🔑", " spaces around ", "pass\0word"] {
        api.keep_secret(new);
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", JSON)];
        let body = json!({ "current_password": current, "new_password": new }).to_string();
        assert_eq!(api.send(Method::POST, "/password", &headers, body).await.status, 200, "{new:?}");
        token = sign_in_with(&api, new).await.access_token();
        new.clone_into(&mut current);
    }
    sign_in_with(&api, "pass").await.error(401, "invalid_grant");
}

#[tokio::test]
async fn an_imported_hash_is_verified_and_replaced() {
    let api = Api::start().await;
    // passlib 1.7.4: bcrypt.using(rounds=4, ident="2y").hash("test")
    let imported = "$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm";
    api.add_user("jane", shared::password::PasswordHash::parse(imported).unwrap(), "", Status::Active).await;
    let token = api.login(&[("username", "jane"), ("password", "test")]).await.access_token();
    // The sign-in has renewed the hash; the version is that of before.
    assert_eq!(change(&api, &token, "test", NEW).await.status, 200);
    assert!(api.user("jane").await.password_hash.as_str().starts_with("$bcrypt-sha256$"));
    assert_eq!(api.login(&[("username", "jane"), ("password", NEW)]).await.status, 200);
}

#[tokio::test]
async fn a_wrong_current_password_is_400_so_clients_keep_their_token() {
    let api = Api::start().await;
    let this = api.sign_in().await;
    let answer = change(&api, &this.access_token(), "wrong password", NEW).await;
    assert_eq!(answer.error(400, "invalid_grant"), "current_password is not the account's password");
    assert_eq!(api.protected(&format!("Bearer {}", this.access_token())).await.status, 200);
    assert_eq!(sign_in_with(&api, PASSWORD).await.status, 200);
    assert_eq!(api.refresh(&this.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn an_unusable_account_gets_the_answer_of_a_wrong_password() {
    // Their access tokens pass until they expire.
    let api = Api::with(Setup { parameters: vec![("LiveRevocation", "off")], ..Setup::default() }).await;
    for (name, harm) in [("disabled", 0), ("deleted", 1), ("damaged", 2)] {
        api.add_user(name, hash(PASSWORD), "", Status::Active).await;
        let token = api.login(&[("username", name), ("password", PASSWORD)]).await.access_token();
        let username = name.parse().unwrap();
        match harm {
            0 => assert!(api.store.set_status(&username, Status::Disabled, crate::api::now()).await.unwrap()),
            1 => assert!(
                api.store.remove_user(&username, crate::api::now(), std::time::Duration::from_mins(1)).await.unwrap()
            ),
            _ => api.damage_hash(name).await,
        }
        let answer = change(&api, &token, PASSWORD, NEW).await;
        assert_eq!(answer.error(400, "invalid_grant"), "current_password is not the account's password", "{name}");
    }
}

#[tokio::test]
async fn a_session_that_has_ended_changes_nothing() {
    let api = Api::with(Setup { parameters: vec![("LiveRevocation", "0")], ..Setup::default() }).await;
    let this = api.sign_in().await;
    let authorization = format!("Bearer {}", this.access_token());
    api.send(Method::POST, "/logout", &[("Authorization", &authorization)], "").await;
    change(&api, &this.access_token(), PASSWORD, NEW).await.error(401, "invalid_token");
    assert_eq!(sign_in_with(&api, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn what_is_missing_malformed_or_against_a_rule_is_named() {
    let api = Api::with(Setup { johndoe: (PASSWORD, ""), ..Setup::default() }).await;
    api.add_user("janet.doe", hash(PASSWORD), "", Status::Active).await;
    let token = api.login(&[("username", "janet.doe"), ("password", PASSWORD)]).await.access_token();
    let long = "🔑".repeat(129);
    for (current, new, message) in [
        ("", NEW, "current_password is missing"),
        (PASSWORD, "", "new_password is missing"),
        (PASSWORD, "seven77", "new_password must have at least 8 characters"),
        (PASSWORD, long.as_str(), "new_password must have at most 128 characters"),
        (PASSWORD, "Janet.Doe", "new_password must not be the username"),
    ] {
        assert_eq!(change(&api, &token, current, new).await.error(400, "invalid_request"), message);
    }
    // Nothing of this was a guess.
    assert_eq!(api.login(&[("username", "janet.doe"), ("password", PASSWORD)]).await.status, 200);
}

#[tokio::test]
async fn guesses_with_a_stolen_token_wait_as_those_of_sign_ins_do() {
    let api = Api::start().await;
    let token = api.token().await;
    let mut statuses = Vec::new();
    for number in 0..12 {
        let answer = change(&api, &token, &format!("wrong password {number}"), NEW).await;
        statuses.push(answer.status);
        if answer.status == 429 {
            answer.error(429, "slow_down");
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        } else {
            answer.error(400, "invalid_grant");
        }
    }
    assert_eq!(statuses[..5], [400; 5]);
    assert!(statuses[6..].contains(&429), "{statuses:?}");
    // They count together: the next sign-in from here waits too, unless the second has passed.
    for number in 0..8 {
        change(&api, &token, &format!("wrong again {number}"), NEW).await;
    }
    assert!([429, 200].contains(&sign_in_with(&api, PASSWORD).await.status));
}

#[tokio::test]
async fn of_changes_at_once_on_the_same_password_exactly_one_wins() {
    let api = Api::start().await;
    let mut current = PASSWORD.to_owned();
    for round in 0..10 {
        let (one, two) = (sign_in_with(&api, &current).await, sign_in_with(&api, &current).await);
        let passwords: Vec<String> = (0..4).map(|number| format!("password {number} of round {round}")).collect();
        let (one_token, two_token) = (one.access_token(), two.access_token());
        let answers = tokio::join!(
            change(&api, &one_token, &current, &passwords[0]),
            change(&api, &two_token, &current, &passwords[1]),
            change(&api, &one_token, &current, &passwords[2]),
            change(&api, &two_token, &current, &passwords[3]),
        );
        let answers = [answers.0, answers.1, answers.2, answers.3];
        let winners: Vec<usize> = (0..4).filter(|&number| answers[number].status == 200).collect();
        assert_eq!(winners.len(), 1, "round {round}: {:?}", answers.each_ref().map(|answer| answer.status));
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            // 401: the winner has ended the session meanwhile.
            assert!([400, 401].contains(&answer.status), "{} {}", answer.status, answer.text);
        }
        for session in [&one, &two] {
            api.refresh(&session.refresh_token()).await.error(400, "invalid_grant");
        }
        passwords[winners[0]].clone_into(&mut current);
        assert_eq!(sign_in_with(&api, &current).await.status, 200);
    }
}

#[tokio::test]
async fn a_failed_change_leaves_the_old_password_or_says_it_is_done() {
    let api = Api::start().await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("account", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    let mut current = PASSWORD.to_owned();
    // The count of the guess (at a known address one write), the change beside the note that the guess was right, and
    // then two sessions.
    let hash = Some("CREDENTIAL#");
    for (row, at, cut, status, is_changed) in [
        (None, 0, Cut::Before, 503, false),
        (None, 1, Cut::Before, 503, false),
        (hash, 1, Cut::Before, 503, false),
        (hash, 1, Cut::After, 503, true),
        (hash, 1, Cut::AfterOnce, 200, true),
        (None, 3, Cut::Before, 503, true),
        (None, 3, Cut::AfterOnce, 200, true),
    ] {
        let sessions = [sign_in_with(&api, &current).await, sign_in_with(&api, &current).await];
        let new = format!("password {at} {cut:?} {row:?}");
        match row {
            Some(row) => proxy.cut_row(row, cut),
            None => proxy.cut(at, cut),
        }
        let answer = change(&api, &sessions[0].access_token(), &current, &new).await;
        assert!(proxy.was_cut(), "{new}");
        proxy.heal();
        assert_eq!(answer.status, status, "{new}: {}", answer.text);
        if status == 503 {
            let description = answer.error(503, "temporarily_unavailable");
            assert_eq!(description.starts_with("The password is changed"), at == 3, "{description}");
            let told = api.lines().iter().any(|line| line["outcome"] == "sessions_left");
            assert_eq!(told, at == 3, "{}", api.log());
            assert!(answer.header("retry-after").is_some());
        }
        if is_changed {
            sign_in_with(&api, &current).await.error(401, "invalid_grant");
            current = new;
        }
        for session in sessions {
            let answer = api.refresh(&session.refresh_token()).await;
            assert_eq!(answer.status, if is_changed { 400 } else { 200 }, "{}", answer.text);
        }
        assert_eq!(sign_in_with(&api, &current).await.status, 200);
    }
}

#[tokio::test]
async fn with_a_cookie_the_request_must_come_from_this_origin() {
    let api = Api::start().await;
    let cookies = api.login(&[("username", "johndoe"), ("password", PASSWORD), ("cookie", "true")]).await.cookies();
    let cookie = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let fields = form(&[("current_password", PASSWORD), ("new_password", NEW)]);
    let mut headers = vec![("Cookie", cookie.as_str()), ("Content-Type", FORM)];
    api.send(Method::POST, "/password", &headers, fields.clone()).await.error(401, "invalid_token");
    headers.push(("Sec-Fetch-Site", "same-origin"));
    assert_eq!(api.send(Method::POST, "/password", &headers, fields).await.status, 200);
}

#[tokio::test]
async fn past_the_gateway_the_handler_fails_closed() {
    let api = Api::start().await;
    let sample = std::fs::read_to_string(crate::api::root().join("events/account-password.json")).unwrap();
    let mut event: Value = serde_json::from_str(&sample).unwrap();
    for context in [Value::Null, json!({}), json!({ "username": "johndoe", "scope": "" })] {
        event["requestContext"]["authorizer"] = context;
        assert_eq!(api.invoke("account", &event).await.unwrap()["statusCode"], 401);
    }
    let token = api.token().await;
    let session = claims(&token)["sid"].as_str().unwrap().to_owned();
    assert!(api.session(&session).await.is_some());
    api.stack.stop_store().await;
    change(&api, &token, PASSWORD, NEW).await.error(503, "temporarily_unavailable");
}
