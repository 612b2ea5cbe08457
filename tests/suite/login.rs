//! `POST /login`

use reqwest::Method;
use serde_json::json;
use shared::{
    password::{Cost, PasswordHash},
    user::Status,
};

use crate::api::{Answer, Api, FORM, JSON, PASSWORD, hash};

async fn post(api: &Api, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    api.send(Method::POST, "/login", &[("Content-Type", content_type)], body).await
}

fn assert_invalid_credentials(answer: &Answer) {
    assert_eq!(answer.status, 401);
    assert_eq!(answer.text, r#"{"error":"invalid_grant","error_description":"Invalid credentials"}"#);
    // The gateway renames the header that a function sends.
    assert_eq!(answer.header("x-amzn-remapped-www-authenticate"), Some("Bearer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_form_with_the_right_password_gives_a_token() {
    let api = Api::start().await;
    let answer = api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["expires_in"], 1800);
    assert_eq!(body["scope"], "read write");
    assert!(body["access_token"].is_string());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn json_does_the_same() {
    let api = Api::start().await;
    let body = json!({ "username": "johndoe", "password": PASSWORD, "grant_type": "password", "client_id": "web" });
    let answer = post(&api, JSON, body.to_string()).await;
    let greeting = api.protected(&format!("Bearer {}", answer.access_token())).await;
    assert_eq!(greeting.json(), json!({ "message": "Hello johndoe, you are authenticated!" }));
}

#[tokio::test]
async fn the_username_is_read_in_any_case_and_kept_as_registered() {
    let api = Api::start().await;
    let token = api.login(&[("username", "JOHNDOE"), ("password", PASSWORD)]).await.access_token();
    let greeting = api.protected(&format!("Bearer {token}")).await;
    assert_eq!(greeting.json()["message"], "Hello johndoe, you are authenticated!");
}

#[tokio::test]
async fn the_spelling_of_headers_and_bodies_does_not_matter() {
    let api = Api::start().await;
    let body = format!("password={}&username=johndoe&other=1&other=2", PASSWORD.replace(' ', "+"));
    for content_type in ["Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded;charset=UTF-8"] {
        assert_eq!(post(&api, content_type, body.clone()).await.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn unknown_user_wrong_password_and_disabled_user_look_the_same() {
    let api = Api::start().await;
    api.add_user("jane", hash("another password"), "", Status::Disabled).await;
    let answers = [
        api.login(&[("username", "nobody"), ("password", PASSWORD)]).await,
        api.login(&[("username", "johndoe"), ("password", "wrong password")]).await,
        api.login(&[("username", "jane"), ("password", "another password")]).await,
        api.login(&[("username", "jane"), ("password", "wrong password")]).await,
    ];
    let names = |answer: &Answer| {
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    for answer in &answers {
        assert_invalid_credentials(answer);
        assert_eq!(names(answer), names(&answers[0]));
    }
}

#[tokio::test]
async fn a_damaged_row_gets_the_same_answer_and_a_logged_error() {
    let api = Api::start().await;
    api.damage_hash("johndoe").await;
    assert_invalid_credentials(&api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await);
    let log = api.log();
    assert!(log.contains("ERROR") && log.contains("has no usable password_hash"), "{log}");
}

#[tokio::test]
async fn scope_narrows_what_the_user_has() {
    let api = Api::start().await;
    let credentials = [("username", "johndoe"), ("password", PASSWORD)];
    for (asked, granted) in [("read", "read"), ("write read", "read write"), ("", "read write")] {
        let answer = api.login(&[&credentials[..], &[("scope", asked)]].concat()).await;
        assert_eq!(answer.json()["scope"], granted);
    }
    for asked in ["admin", "read admin", "READ"] {
        let answer = api.login(&[&credentials[..], &[("scope", asked)]].concat()).await;
        answer.error(400, "invalid_scope");
    }
    let malformed = api.login(&[&credentials[..], &[("scope", "read  write")]].concat()).await;
    assert!(malformed.error(400, "invalid_scope").starts_with("scope must be a list"));
    // A wrong password learns nothing of the scopes that a user has.
    let wrong = api.login(&[("username", "johndoe"), ("password", "wrong password"), ("scope", "admin")]).await;
    assert_invalid_credentials(&wrong);
}

#[tokio::test]
async fn a_user_without_scopes_gets_a_token_without_any() {
    let api = Api::start().await;
    api.add_user("jane", hash(PASSWORD), "", Status::Active).await;
    let answer = api.login(&[("username", "jane"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json().get("scope").is_none(), "{}", answer.text);
    assert_eq!(api.protected(&format!("Bearer {}", answer.access_token())).await.status, 200);
}

#[tokio::test]
async fn a_malformed_request_is_told_which_field_is_wrong() {
    let api = Api::start().await;
    for (content_type, body, description) in [
        (FORM, "", "username is missing"),
        (FORM, "password=x", "username is missing"),
        (FORM, "username=&password=x", "username is missing"),
        (FORM, "username=johndoe", "password is missing"),
        (FORM, "username=johndoe&password=", "password is missing"),
        (FORM, "username=johndoe&username=johndoe&password=x", "username is repeated"),
        (FORM, "username=johndoe&password=x&password=y", "password is repeated"),
        (FORM, "username=johndoe&password=x&scope=a&scope=b", "scope is repeated"),
        (FORM, "username=johndoe&password=x&grant_type=password&grant_type=password", "grant_type is repeated"),
        (FORM, "username=johndoe&password=%FF", "password is not UTF-8"),
        (FORM, "username=john+doe&password=x", "username must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -"),
        (
            FORM,
            "username=johndoe&password=x&client_id=%00",
            "client_id must be at most 128 characters of printable ASCII",
        ),
        (JSON, "{}", "username is missing"),
        (JSON, r#"{"username":"johndoe","password":null}"#, "password is missing"),
        (JSON, r#"{"username":"johndoe","password":12345678}"#, "password must be a string"),
        (JSON, r#"{"username":"johndoe","password":"x","password":"y"}"#, "password is repeated"),
        (JSON, "username=johndoe&password=x", "The body is not a JSON object (line 1, column 1)"),
        (JSON, "", "The body is not a JSON object (line 1, column 0)"),
        (JSON, "[]", "The body is not a JSON object (line 1, column 0)"),
        (
            "text/plain",
            "username=johndoe&password=x",
            "Content-Type must be application/x-www-form-urlencoded or application/json, in UTF-8",
        ),
    ] {
        assert_eq!(post(&api, content_type, body).await.error(400, "invalid_request"), description, "{body}");
    }
    let without_type = api.send(Method::POST, "/login", &[], "username=johndoe&password=x").await;
    assert!(without_type.error(400, "invalid_request").starts_with("Content-Type must be"));
}

#[tokio::test]
async fn a_body_over_8_kib_is_refused() {
    let api = Api::start().await;
    let body = format!("username=johndoe&password={}", "x".repeat(8192 - 26));
    assert_eq!(body.len(), 8192);
    assert_invalid_credentials(&post(&api, FORM, body.clone()).await);
    let answer = post(&api, FORM, body + "x").await;
    assert_eq!(answer.error(400, "invalid_request"), "The body is larger than 8192 bytes");
}

#[tokio::test]
async fn other_grants_are_unsupported() {
    let api = Api::start().await;
    for grant in ["client_credentials", "authorization_code", "Password", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    {
        let answer = api.login(&[("username", "johndoe"), ("password", PASSWORD), ("grant_type", grant)]).await;
        answer.error(400, "unsupported_grant_type");
    }
}

#[tokio::test]
async fn any_password_signs_in_as_it_was_set_and_no_other_does() {
    let api = Api::start().await;
    let long = "x".repeat(72);
    let passwords = [
        "pässwörd 🔑".to_owned(),
        "a\0b".to_owned(),
        "a\0c".to_owned(),
        format!("{long}a"),
        format!("{long}b"),
        " leading and trailing ".to_owned(),
        "&=%+#?".to_owned(),
        "a\u{308}".to_owned(),
        "ä".to_owned(),
    ];
    for (number, password) in passwords.iter().enumerate() {
        api.add_user(&format!("user{number}"), hash(password), "", Status::Active).await;
    }
    for (number, right) in passwords.iter().enumerate() {
        for password in &passwords {
            let sign_in =
                async |password| api.login(&[("username", &*format!("user{number}")), ("password", password)]).await;
            let expected = if password == right { 200 } else { 401 };
            assert_eq!(sign_in(password).await.status, expected, "{password:?} for {right:?}");
            // So that the wrong ones don't add up to a delay.
            assert_eq!(sign_in(right).await.status, 200, "{right:?}");
        }
    }
}

#[tokio::test]
async fn an_imported_hash_signs_in_and_is_renewed() {
    let api = Api::start().await;
    // passlib 1.7.4: bcrypt.using(rounds=4, ident="2y").hash("test"), and 71 bytes with "2b".
    for (name, password, imported) in [
        ("passlib", "test", "$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm"),
        ("django", "test", "bcrypt$$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm"),
        ("long", &("y".repeat(70) + "z"), "$2b$04$pykal28CRmZKPzEJJzhg/ed.pD.BSXEPPY966mxO73D1DVcuzHRhW"),
    ] {
        api.add_user(name, PasswordHash::parse(imported).unwrap(), "", Status::Active).await;
        assert_invalid_credentials(&api.login(&[("username", name), ("password", "wrong password")]).await);
        assert_eq!(api.user(name).await.password_hash.as_str(), imported);

        for _ in 0..2 {
            assert_eq!(api.login(&[("username", name), ("password", password)]).await.status, 200, "{name}");
            let renewed = api.user(name).await.password_hash;
            assert!(renewed.as_str().starts_with("$bcrypt-sha256$v=2,t=2b,r=4$"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_typo_that_plain_bcrypt_does_not_see_locks_nobody_out() {
    let api = Api::start().await;
    // passlib 1.7.4: bcrypt.using(rounds=4, ident="2b").hash("y" * 71 + "z" + "right end"), and without the end.
    let seen = "y".repeat(71) + "z";
    for (name, owners, imported) in [
        ("longer", format!("{seen}right end"), "$2b$04$AWAJIlAiCRTMFWtB6UI1v.IAHQpsGwfuW8r1Dmt83zGKIPwYh6oFC"),
        ("full", seen.clone(), "$2b$04$jh3wVFH1GjA9Cu0D0uEJE.PUTBPlJd5nktGCfxU/jc8l.NkGwnhA6"),
    ] {
        api.add_user(name, PasswordHash::parse(imported).unwrap(), "", Status::Active).await;
        for typed in [&format!("{seen}wrong end"), &seen, &owners] {
            assert_eq!(api.login(&[("username", name), ("password", typed)]).await.status, 200, "{name}");
            assert_eq!(api.user(name).await.password_hash.as_str(), imported, "{name}");
        }
        assert_invalid_credentials(&api.login(&[("username", name), ("password", &seen[1..])]).await);
    }
}

#[tokio::test]
async fn only_a_hash_of_another_cost_is_renewed() {
    let api = Api::start().await;
    let before = api.user("johndoe").await.password_hash;
    api.token().await;
    assert_eq!(api.user("johndoe").await.password_hash.as_str(), before.as_str());

    let mut rng = rand::rand_core::UnwrapErr(rand::rngs::SysRng);
    let password = shared::password::Password::new(PASSWORD.to_owned()).unwrap();
    let costly = PasswordHash::renew(&password, Cost::new(5).unwrap(), &mut rng);
    api.add_user("jane", costly, "", Status::Active).await;
    assert_eq!(api.login(&[("username", "jane"), ("password", PASSWORD)]).await.status, 200);
    assert!(!api.user("jane").await.password_hash.needs_renewal(Cost::new(4).unwrap(), &password));
}

#[tokio::test]
async fn every_sign_in_is_a_session_of_its_own() {
    let api = Api::start().await;
    let (one, two) = (crate::token::claims(&api.token().await), crate::token::claims(&api.token().await));
    assert_ne!(one["sid"], two["sid"]);
    assert_ne!(one["jti"], two["jti"]);
}

#[tokio::test]
async fn sign_ins_that_overlap_all_succeed() {
    let api = Api::start().await;
    let one = || api.login(&[("username", "johndoe"), ("password", PASSWORD)]);
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    assert_eq!([a.status, b.status, c.status, d.status], [200; 4]);
}
