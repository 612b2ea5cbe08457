//! `admin keys`.

use super::{admin, assert_refused, text};
use crate::{
    api::{Api, Ring, Setup},
    token::header,
};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_rotated_and_retired() {
    let refresh = |function: &'static str| (function, "KEY_REFRESH", "1".to_owned());
    let environment = vec![refresh("login"), refresh("authorizer")];
    let api = Api::with(Setup { ring: Ring::Rotated, environment, ..Setup::default() }).await;
    let rotated = admin(&api, &["keys", "rotate"], "");
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    let leaked = api.token().await;
    let kid = header(&leaked)["kid"].as_str().unwrap().to_owned();
    let list = || text(&admin(&api, &["keys", "list"], "").stdout);
    let row = |list: &str, kid: &str| {
        let line =
            list.lines().find(|line| line.starts_with(kid)).unwrap_or_else(|| panic!("{kid}: {list}")).to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(&list(), &kid)[1], "ES256");
    assert_eq!(row(&list(), &kid)[3..], ["verifies"]);

    for unknown in ["unknown", "-unknown", "--unknown"] {
        let message = format!("no key {unknown} is published");
        assert_refused(&admin(&api, &["keys", "retire", unknown], ""), &message);
    }
    let retired = admin(&api, &["keys", "retire", &kid], "");
    assert!(retired.status.success(), "{}", text(&retired.stderr));
    assert_eq!(row(&list(), &kid)[3..], ["retired"]);
    api.until(async || api.protected(&format!("Bearer {leaked}")).await.status == 401).await;
    api.until(async || header(&api.token().await)["kid"] != kid.as_str()).await;
    assert_eq!(api.protected(&format!("Bearer {}", api.token().await)).await.status, 200);
}
