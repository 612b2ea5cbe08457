//! What the authorizer takes for a credential, with a good token in each of the places where it could be.

use serde_json::{Value, json};
use shared::key::Algorithm;

use crate::forge::{Decision, Forger, Gate, all, bearer, http, ours, rest, with};

fn decide(event: &Value) -> Decision {
    Gate::ours().decide(&event.to_string())
}

fn token() -> String {
    ours(Algorithm::Es256).token()
}

#[test]
fn two_credentials_are_refused_also_two_good_ones() {
    let (one, other) = (token(), ours(Algorithm::Rs256).token());
    let (a, b) = (format!("Bearer {one}"), format!("Bearer {other}"));
    for value in [
        format!("{a},{b}"),
        format!("{a}, {b}"),
        format!("{a} {b}"),
        format!("{a};{b}"),
        format!("{a}\n{b}"),
        format!("{a},{a}"),
        format!("{a},"),
        format!(",{a}"),
        format!("Bearer {one} {other}"),
        format!("Basic YTpi, {a}"),
        format!("{a}, Basic YTpi"),
    ] {
        for event in [rest, http] {
            assert_eq!(decide(&event(&json!({ "authorization": value }))), Decision::Refused, "{value}");
        }
    }
    for headers in
        [json!({ "Authorization": a, "authorization": b }), json!({ "authorization": a, "AUTHORIZATION": a })]
    {
        assert_eq!(decide(&rest(&headers)), Decision::Refused);
        assert_eq!(decide(&http(&headers)), Decision::Refused);
    }
    for list in [json!([a, b]), json!([a, a]), json!([b, a]), json!([b]), json!([a, ""]), json!(["", a])] {
        let mut event = rest(&json!({ "authorization": a }));
        event["multiValueHeaders"] = json!({ "Authorization": list });
        assert_eq!(decide(&event), Decision::Refused, "{list}");
    }
}

#[test]
fn a_cookie_beside_a_header_must_be_the_same_token() {
    let (one, other) = (token(), ours(Algorithm::Rs256).token());
    for event in [rest, http] {
        let with = |cookie: &str| {
            let cookie = cookie.replace("{one}", &one).replace("{other}", &other);
            decide(&event(&json!({ "authorization": format!("Bearer {one}"), "cookie": cookie })))
        };
        assert_eq!(with("__Host-access_token={one}"), Decision::Allowed);
        assert_eq!(with("__host-access_token={other}; access_token={other}"), Decision::Allowed);
        for cookie in [
            "__Host-access_token={other}",
            "__Host-access_token={one}; __Host-access_token={one}",
            "__Host-access_token={one}; __Host-access_token={other}",
            "__Host-access_token={one}x",
            "__Host-access_token=\"{one}\"",
        ] {
            assert_eq!(with(cookie), Decision::Refused, "{cookie}");
        }
    }
}

#[test]
fn a_cookie_alone_changes_nothing_unless_the_page_is_ours() {
    let (token, own) = (token(), json!("https://api.example.com"));
    for event in [rest, http] {
        let decide = |method: &str, headers: Value| {
            let mut event = event(&headers);
            event["httpMethod"] = json!(method);
            event["requestContext"]["http"] = json!({ "method": method });
            decide(&event)
        };
        let cookie = json!({ "cookie": format!("__Host-access_token={token}") });
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert_eq!(decide(method, cookie.clone()), Decision::Allowed, "{method}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "get", ""] {
            assert_eq!(decide(method, cookie.clone()), Decision::Refused, "{method}");
            assert_eq!(decide(method, with(cookie.clone(), "origin", own.clone())), Decision::Allowed, "{method}");
            let fetched = |site: &str| with(cookie.clone(), "sec-fetch-site", json!(site));
            assert_eq!(decide(method, fetched("same-origin")), Decision::Allowed, "{method}");
            for site in ["cross-site", "same-site", "none", ""] {
                assert_eq!(decide(method, fetched(site)), Decision::Refused, "{method} {site}");
            }
            for origin in [
                "null",
                "https://attacker.example",
                "https://api.example.com.attacker.example",
                "http://api.example.com",
            ] {
                let headers = with(cookie.clone(), "origin", json!(origin));
                assert_eq!(decide(method, headers), Decision::Refused, "{method} {origin}");
            }
            // A header is put there by a script, which no page of others has of ours.
            assert_eq!(decide(method, bearer(&token)), Decision::Allowed, "{method}");
        }
    }
}

#[test]
fn a_token_is_read_from_its_header_or_cookie_only() {
    let token = token();
    let value = format!("Bearer {token}");
    for event in [rest, http] {
        for name in [
            "X-Authorization",
            "Proxy-Authorization",
            "X-Amzn-Remapped-Authorization",
            "Authorization ",
            " authorization",
            "X-Forwarded-Authorization",
            "Access-Token",
            "X-Access-Token",
            "Token",
            "WWW-Authenticate",
            "authorization:",
        ] {
            assert_eq!(decide(&event(&json!({ name: value }))), Decision::Refused, "{name}");
        }
        for cookie in [
            "access_token",
            "__Secure-access_token",
            "__host-access_token",
            "__Host-Access_Token",
            "__Host-refresh_token",
        ] {
            assert_eq!(
                decide(&event(&json!({ "cookie": format!("{cookie}={token}") }))),
                Decision::Refused,
                "{cookie}"
            );
        }
        // RFC 6750 sections 2.2 and 2.3 have it in a body and in the address too; RFC 9700 section 4.3.2 says why not.
        let mut elsewhere = event(&json!({}));
        elsewhere["queryStringParameters"] = json!({ "access_token": token });
        elsewhere["multiValueQueryStringParameters"] = json!({ "access_token": [token] });
        elsewhere["rawQueryString"] = json!(format!("access_token={token}"));
        elsewhere["body"] = json!(format!("access_token={token}"));
        elsewhere["authorizationToken"] = json!(value);
        elsewhere["identitySource"] = json!([value]);
        elsewhere["stageVariables"] = json!({ "authorization": value });
        elsewhere["pathParameters"] = json!({ "authorization": value });
        elsewhere["requestContext"]["authorizer"] = json!({ "username": "johndoe", "principalId": "johndoe" });
        assert_eq!(decide(&elsewhere), Decision::Refused);
    }
}

#[test]
fn the_scheme_is_bearer_and_one_space_or_more() {
    let token = token();
    for event in [rest, http] {
        for value in ["Bearer {}", "bearer {}", "BEARER   {}"] {
            assert_eq!(
                decide(&event(&json!({ "authorization": value.replace("{}", &token) }))),
                Decision::Allowed,
                "{value}"
            );
        }
        for value in [
            "{}",
            "Bearer{}",
            "Bearer\t{}",
            "Bearer\u{a0}{}",
            "Bearer\n{}",
            " Bearer {}",
            "Bearer {} ",
            "Bearer {}\n",
            "Bearer {}\0",
            "Bearer: {}",
            "Bearer={}",
            "Bearer \"{}\"",
            "Bearer token={}",
            "Token {}",
            "JWT {}",
            "DPoP {}",
            "Basic {}",
            "Bearer Bearer {}",
            "Веаrer {}",
        ] {
            assert_eq!(
                decide(&event(&json!({ "authorization": value.replace("{}", &token) }))),
                Decision::Refused,
                "{value}"
            );
        }
    }
}

#[test]
fn a_good_token_does_not_let_a_bad_one_beside_it_through() {
    for forger in all() {
        let (good, bad) = (forger.token(), Forger::stranger(forger.algorithm).token());
        for (header, cookie) in [(&good, &bad), (&bad, &good), (&bad, &bad)] {
            let headers = json!({
                "authorization": format!("Bearer {header}"), "cookie": format!("__Host-access_token={cookie}"),
            });
            assert_eq!(decide(&rest(&headers)), Decision::Refused);
            assert_eq!(decide(&http(&headers)), Decision::Refused);
        }
    }
}

#[test]
fn members_of_the_event_that_stand_twice_are_an_outage() {
    let event = rest(&bearer(&token())).to_string();
    assert_eq!(Gate::ours().decide(&event), Decision::Allowed);
    for member in ["headers", "multiValueHeaders", "requestContext", "methodArn"] {
        let twice =
            event.replacen('{', &format!("{{\"{member}\":{},", if member == "methodArn" { "\"x\"" } else { "{}" }), 1);
        assert_eq!(Gate::ours().decide(&twice), Decision::Outage, "{member}");
    }
}
