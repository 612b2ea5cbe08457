//! `POST /register`

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use shared::{password::Password, user::Status};

use crate::{
    api::{Answer, Api, FORM, JSON, PASSWORD, Setup, form, hash, root},
    proxy::{Cut, Proxy},
};

/// A stack that takes as many registrations from one address as the tests make.
async fn open() -> Api {
    Api::with(Setup {
        parameters: vec![("RegistrationsPerAddress", "100000"), ("FailuresPerAddress", "100000")],
        ..Setup::default()
    })
    .await
}

async fn register(api: &Api, username: &str, password: &str) -> Answer {
    api.keep_secret(password);
    let fields = form(&[("username", username), ("password", password)]);
    api.send(Method::POST, "/register", &[("Content-Type", FORM)], fields).await
}

async fn register_in_json(api: &Api, body: &Value) -> Answer {
    api.send(Method::POST, "/register", &[("Content-Type", JSON)], body.to_string()).await
}

async fn sign_in(api: &Api, username: &str, password: &str) -> Answer {
    api.login(&[("username", username), ("password", password)]).await
}

#[tokio::test]
async fn who_registers_can_sign_in_and_has_no_scopes() {
    let api = open().await;
    let answer = register(&api, "Jane.Doe+1@Example.com", PASSWORD).await;
    assert_eq!((answer.status, answer.json()), (201, json!({ "username": "Jane.Doe+1@Example.com" })));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let answer = register_in_json(&api, &json!({ "username": "joe", "password": PASSWORD, "scopes": ["admin"] })).await;
    assert_eq!((answer.status, answer.json()), (201, json!({ "username": "joe" })));
    for name in ["jane.doe+1@example.com", "joe"] {
        let answer = sign_in(&api, name, PASSWORD).await;
        assert_eq!((answer.status, answer.json().get("scope")), (200, None));
    }
    let user = api.user("jane.doe+1@example.com").await;
    assert_eq!((user.username.as_str(), user.status), ("Jane.Doe+1@Example.com", Status::Active));
    assert!(user.password_hash.as_str().starts_with("$bcrypt-sha256$v=2,t=2b,r=4$"));
}

#[tokio::test]
async fn new_accounts_get_the_scopes_of_the_setting() {
    let parameters = vec![("RegistrationScopes", "profile:write,profile:read")];
    let api = Api::with(Setup { parameters, ..Setup::default() }).await;
    register(&api, "jane", PASSWORD).await;
    assert_eq!(sign_in(&api, "jane", PASSWORD).await.json()["scope"], "profile:read profile:write");
}

#[tokio::test]
async fn a_taken_name_is_told_whatever_its_case_and_nothing_changes() {
    let api = open().await;
    api.add_user("jane", hash(PASSWORD), "read", Status::Disabled).await;
    for (name, taken) in [("johndoe", "johndoe"), ("JohnDoe", "johndoe"), ("JANE", "jane")] {
        let before = api.user(taken).await;
        let answer = register(&api, name, "another password").await;
        assert_eq!(answer.error(409, "username_taken"), "Another account has this username");
        let after = api.user(taken).await;
        assert_eq!(after.password_hash.as_str(), before.password_hash.as_str());
        assert_eq!((after.status, after.scopes), (before.status, before.scopes));
    }
}

#[tokio::test]
async fn a_reserved_name_is_as_if_it_were_taken_whether_or_not_it_is() {
    let api = open().await;
    api.add_user("support", hash(PASSWORD), "read", Status::Active).await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("register", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    let calls = || ["UpdateItem", "PutItem", "GetItem"].map(|operation| proxy.count(operation));
    let taken = register(&api, "johndoe", "another password").await;
    assert_eq!(calls(), [1, 1, 0]);
    for (number, name) in (2..).zip(["admin", "Administrator", "ROOT", "system", "support", "no-reply"]) {
        let answer = register(&api, name, "another password").await;
        answer.error(409, "username_taken");
        assert_eq!((&answer.text, calls()), (&taken.text, [number, number, 0]), "{name}");
    }
    assert_eq!(api.count_rows("USER#").await, 2);
    assert_eq!(sign_in(&api, "support", PASSWORD).await.status, 200);
    assert!(api.log().contains("username_reserved"), "{}", api.log());
    // A name is reserved as a whole.
    assert_eq!(register(&api, "admin1", "another password").await.status, 201);
    // In an outage it is no refusal.
    api.stack.stop_store().await;
    register(&api, "admin", "another password").await.error(503, "temporarily_unavailable");
}

#[tokio::test]
async fn the_reserved_names_are_those_of_the_setting() {
    let parameters = vec![("ReservedNames", "boss,Gatehouse")];
    let api = Api::with(Setup { parameters, ..Setup::default() }).await;
    for (name, status) in [("BOSS", 409), ("gatehouse", 409), ("admin", 201)] {
        assert_eq!(register(&api, name, "another password").await.status, status, "{name}");
    }
}

#[tokio::test]
async fn of_two_registrations_of_one_name_at_once_exactly_one_wins() {
    let api = open().await;
    for round in 0..100 {
        let (one, two) = (format!("first password {round}"), format!("second password {round}"));
        let (name, other) = (format!("user{round}"), format!("USER{round}"));
        let (first, second) = tokio::join!(register(&api, &name, &one), register(&api, &other, &two));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "round {round}");
        let (right, wrong, typed) = if first.status == 201 { (one, two, name) } else { (two, one, other) };
        let user = api.user(&typed).await;
        assert_eq!(user.username.as_str(), typed);
        let fits = |password: String| user.password_hash.verify(&Password::new(password).unwrap());
        assert!(fits(right) && !fits(wrong));
    }
    assert_eq!(api.count_rows("USER#").await, 101);
}

#[tokio::test]
async fn what_is_missing_malformed_or_against_a_rule_is_named() {
    let api = open().await;
    let long = "x".repeat(129);
    for (fields, message) in [
        (vec![("username", "jane")], "password is missing"),
        (vec![("username", "jane"), ("password", "")], "password is missing"),
        (vec![("password", PASSWORD)], "username is missing"),
        (vec![("username", "a b"), ("password", PASSWORD)], "username must be 1 to 64 characters"),
        (vec![("username", "jane"), ("username", "joe"), ("password", PASSWORD)], "username is repeated"),
        (vec![("username", "jane"), ("password", "seven77")], "password must have at least 8 characters"),
        (vec![("username", "jane"), ("password", &long)], "password must have at most 128 characters"),
        (vec![("username", "janet.doe"), ("password", "Janet.Doe")], "password must not be the username"),
    ] {
        let answer = api.send(Method::POST, "/register", &[("Content-Type", FORM)], form(&fields)).await;
        let description = answer.error(400, "invalid_request");
        assert!(description.starts_with(message), "{description}");
    }
    for body in [json!({ "username": 1, "password": PASSWORD }), json!(["jane"]), json!("jane")] {
        register_in_json(&api, &body).await.error(400, "invalid_request");
    }
    let answer = api.send(Method::POST, "/register", &[("Content-Type", "text/plain")], "username=jane").await;
    assert!(answer.error(400, "invalid_request").starts_with("Content-Type"));
    assert_eq!(api.count_rows("USER#").await, 1);
}

#[tokio::test]
async fn where_registration_is_off_the_route_is_not_there() {
    let api = Api::with(Setup { parameters: vec![("Registration", "off")], ..Setup::default() }).await;
    let nowhere = api.send(Method::POST, "/nowhere", &[("Content-Type", FORM)], "").await;
    for body in [form(&[("username", "jane"), ("password", PASSWORD)]), String::new()] {
        let answer = api.send(Method::POST, "/register", &[("Content-Type", FORM)], body).await;
        answer.error(404, "not_found");
        assert_eq!(answer.text, nowhere.text);
    }
    assert_eq!(api.count_rows("USER#").await, 1);
    assert_eq!(api.counts().await, []);
}

/// Registers from an address, past the gateway, which would put in its own client's.
async fn register_from(api: &Api, address: &str, username: &str) -> Value {
    let sample = std::fs::read_to_string(root().join("events/register.json")).unwrap();
    let mut event: Value = serde_json::from_str(&sample).unwrap();
    event["requestContext"]["identity"]["sourceIp"] = address.into();
    event["body"] = form(&[("username", username), ("password", PASSWORD)]).into();
    api.invoke("register", &event).await.unwrap()
}

#[tokio::test]
async fn an_address_makes_20_accounts_an_hour_and_is_told_to_wait() {
    let api = Api::start().await;
    let mut created = 0;
    // At the turn of the hour a second count begins.
    for number in 0..41 {
        let answer = register_from(&api, "198.51.100.7", &format!("user{number}")).await;
        match answer["statusCode"].as_u64().unwrap() {
            201 => created += 1,
            429 => {
                let wait: u64 = answer["multiValueHeaders"]["retry-after"][0].as_str().unwrap().parse().unwrap();
                assert!((1..=3600).contains(&wait), "{wait}");
                assert!(answer["body"].as_str().unwrap().contains("slow_down"));
                break;
            }
            other => panic!("{other}"),
        }
    }
    assert!((20..=40).contains(&created), "{created}");
    assert_eq!(api.count_rows("USER#").await, created + 1);
    // Another address, and a malformed request, are not held up.
    assert_eq!(register_from(&api, "198.51.100.8", "jane").await["statusCode"], 201);
    assert_eq!(register_from(&api, "198.51.100.7", "a b").await["statusCode"], 400);
}

#[tokio::test]
async fn in_an_outage_there_is_503_and_a_lost_answer_is_no_taken_name() {
    let api = open().await;
    let proxy = Proxy::start(api.stack.store_url()).await;
    assert!(api.stack.set_variable("register", "AWS_ENDPOINT_URL_DYNAMODB", &proxy.url).await);
    // The count, then the name, the hash and the account. The SDK repeats what failed with a server's error, and finds
    // its own row.
    for (at, cut, status) in [
        (0, Cut::Before, 503),
        (1, Cut::Before, 503),
        (1, Cut::After, 503),
        (2, Cut::After, 503),
        (3, Cut::Before, 503),
        (0, Cut::AfterOnce, 201),
        (1, Cut::AfterOnce, 201),
        (2, Cut::AfterOnce, 201),
        (3, Cut::AfterOnce, 201),
    ] {
        let name = format!("jane-{at}-{cut:?}");
        proxy.cut(at, cut);
        let answer = register(&api, &name, PASSWORD).await;
        assert!(proxy.was_cut());
        proxy.heal();
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        if status == 201 {
            assert_eq!(sign_in(&api, &name, PASSWORD).await.status, 200);
        }
    }
    api.stack.stop_store().await;
    register(&api, "joe", PASSWORD).await.error(503, "temporarily_unavailable");
}

/// Texts that have broken something somewhere: as usernames and as passwords.
const NASTY: &[&str] = &[
    "undefined",
    "null",
    "NULL",
    "nil",
    "None",
    "true",
    "false",
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-1",
    "1e100",
    "0x0",
    "١٢٣٤٥٦٧٨",
    "1/0",
    "$1.00",
    "1;DROP TABLE users",
    "' OR '1'='1",
    "' OR 1=1 -- 1",
    "\" or \"\"=\"",
    "admin'--",
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "${jndi:ldap://x/a}",
    "%s%s%s%n",
    "%d%x%p%",
    "%00%0a%0d",
    "\\0\\n\\x00",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "&lt;&amp;&quot;",
    "<!--",
    "]]>",
    "../../../../etc/passwd",
    "..\\..\\windows",
    "/dev/null; touch /tmp/x ; echo",
    "`touch /tmp/x`",
    "$(touch /tmp/x)",
    "$HOME",
    "%HOME%",
    "() { 0; }; touch /tmp/x",
    "C:\\CON\\PRN",
    "--help",
    "--version",
    "-rf",
    "\0",
    "\0\0\0\0\0\0\0\0",
    "password\0",
    "pass\0word",
    "\0password",
    "\u{7f}\u{1}\u{8}\u{1b}[31m",
    "\r\nSet-Cookie: a=b",
    "line\nbreak\rand\ttab",
    "        ",
    "\u{a0}\u{2003}\u{3000}\u{200b}\u{feff}",
    " leading space",
    "trailing space ",
    "田中さんにあげて下さい",
    "パーティーへ行かないか",
    "和製漢語部落格",
    "사회과학원어학연구소",
    "ЁЂЃЄЅІЇЈЉЊЋЌЍЎЏ",
    "טֶסְט טֶסְט",
    "هُوَ اَللّٰهُ",
    "ﷺﷺﷺﷺﷺﷺﷺﷺ",
    "\u{202e}gnitset\u{202c}\u{2066}x\u{2069}",
    "Ṱ̺̺̕o͞ ̷i̲̬͇̪͙n̝̗͕v̟̜̘̦͟o̶̙̰̠kè͚̮̺̪̹̱̤ ̖t̝͕̳̣̻̪͞h̼͓̲̦̳̘̲e͇̣̰̦̬͎",
    "⒯⒣⒠ ⒬⒰⒤⒞⒦",
    "𝓣𝓱𝓮 𝓺𝓾𝓲𝓬𝓴",
    "😀😃😄😁😆😅😂🤣",
    "👩‍👩‍👧‍👦👨‍🚀🏳️‍🌈",
    "🇺🇸🇷🇺🇸🇦🇫🇦🇲🇸",
    "\u{10ffff}\u{10fffe}",
    "\u{fffd}\u{fffe}\u{ffff}",
    "ﬀﬁﬂﬃﬄßẞ",
    "İıIi",
    "Å\u{41}\u{30a}\u{212b}",
    "ＡＢＣｄｅｆ１２３",
    "e\u{301}é",
    "ǅǆǄ",
    "ΑΑΆΆαά",
    "ñÑn\u{303}",
    "{\"a\":\"b\"}",
    "[1,2,3]",
    "a=b&c=d",
    "a+b+c+d+e",
    "100%25sure",
    "key:value",
    "user@example.com",
    "user+tag@example.co.uk",
    "a@b@c@d@e",
    "@@@@@@@@",
    "++++++++",
    "--------",
    "........",
    "________",
    "USER#johndoe",
    "SESSION#johndoe",
    "KEYS",
    "johndoe ",
    "johndoe\0",
    "JOHNDOE",
    "jоhndoe",
    "johndoe\u{200b}",
    "$2b$04$abcdefghijklmnopqrstuu",
    "$bcrypt-sha256$v=2,t=2b,r=4$",
    "eyJhbGciOiJub25lIn0.e30.",
    "Bearer abcdefgh",
    "ÿþýüûúùø",
    "\u{85}\u{2028}\u{2029}",
];

fn nasty() -> Vec<String> {
    NASTY.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn any_username_makes_a_working_account_or_is_refused_clearly() {
    let api = open().await;
    let lengths = (1..=200).flat_map(|length| ["a", "Z", "é", "🔑", "\0"].map(|text| text.repeat(length)));
    let (mut made, mut names) = (0, BTreeSet::from(["johndoe".to_owned()]));
    // Names stand in the log, where the harness would take one for a token.
    let texts = nasty().into_iter().filter(|text| !text.starts_with("eyJ"));
    for name in texts.chain(lengths) {
        let answer = register(&api, &name, PASSWORD).await;
        let is_username = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte));
        match answer.status {
            201 => {
                assert!(is_username && names.insert(name.to_lowercase()), "{name:?}");
                assert_eq!(answer.json(), json!({ "username": name }));
                assert_eq!(sign_in(&api, &name, PASSWORD).await.status, 200, "{name:?}");
                made += 1;
            }
            409 => assert!(is_username && names.contains(&name.to_lowercase()), "{name:?}"),
            _ => {
                assert!(answer.error(400, "invalid_request").starts_with("username "), "{name:?}");
                assert!(!is_username, "{name:?}");
            }
        }
    }
    assert!(made > 80, "{made}");
    assert_eq!(api.count_rows("USER#").await, made + 1);
}

/// Texts that some system or other would take for the same password.
fn near(password: &str) -> Vec<String> {
    let without_nul = password.split('\0').next().unwrap_or_default();
    let all = [
        format!("{password}\0"),
        format!("{password} "),
        password.trim().to_owned(),
        without_nul.to_owned(),
        password.to_uppercase(),
        password.to_lowercase(),
        password.chars().take(password.chars().count() - 1).collect(),
        password.replace('\0', ""),
    ];
    all.into_iter().filter(|near| near != password && !near.is_empty()).collect()
}

#[tokio::test]
async fn any_password_opens_only_as_typed_or_is_refused_clearly() {
    let api = open().await;
    let lengths = (1..=200).flat_map(|length| ["a", "é", "🔑"].map(|text| text.repeat(length)));
    let cut_at_72 = ["x".repeat(72) + "end", "x".repeat(71) + "é", "🔑".repeat(18) + "end"];
    let mut made = 0;
    for (number, password) in nasty().into_iter().chain(cut_at_72).chain(lengths).enumerate() {
        let name = format!("user{number}");
        let answer = if number % 2 == 0 {
            register(&api, &name, &password).await
        } else {
            api.keep_secret(&password);
            register_in_json(&api, &json!({ "username": name, "password": password })).await
        };
        if !(8..=128).contains(&password.chars().count()) {
            assert!(answer.error(400, "invalid_request").starts_with("password must have at "), "{password:?}");
            continue;
        }
        // The list of common passwords may refuse a few.
        if answer.status == 400 {
            assert!(answer.error(400, "invalid_request").starts_with("password must not be"), "{password:?}");
            continue;
        }
        assert_eq!(answer.status, 201, "{password:?}: {}", answer.text);
        made += 1;
        assert_eq!(sign_in(&api, &name, &password).await.status, 200, "{password:?}");
        let user = api.user(&name).await;
        for near in near(&password) {
            assert!(!user.password_hash.verify(&Password::new(near.clone()).unwrap()), "{password:?} {near:?}");
        }
        // And over HTTP, for one of them: the next failures would have to wait.
        if let Some(near) = near(&password).first() {
            sign_in(&api, &name, near).await.error(401, "invalid_grant");
        }
    }
    assert!(made > 400, "{made}");
}
