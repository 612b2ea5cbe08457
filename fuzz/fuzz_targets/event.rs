//! Events of either kind of gateway, as far as clients write them. `@1` to `@4` in one stand for good tokens.
#![no_main]

use authorizer::{Answer, AuthorizerError};
use fuzz::{GOOD, forge::Gate};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

thread_local! {
    static GATE: Gate = Gate::ours();
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut event = text.to_owned();
    for (mark, token) in ["@1", "@2", "@3", "@4"].iter().zip(GOOD) {
        event = event.replace(mark, token);
    }
    // The runtime hands over nothing but JSON.
    if serde_json::from_str::<serde::de::IgnoredAny>(&event).is_err() {
        return;
    }
    match GATE.with(|gate| gate.answer(&event)) {
        Err(AuthorizerError::Unauthorized | AuthorizerError::Unavailable)
        | Ok(Answer::Simple { is_authorized: false, .. }) => {}
        Ok(answer @ (Answer::Simple { is_authorized: true, .. } | Answer::Policy { .. })) => allowed(&event, &answer),
    }
});

/// Whoever is let in has one good token, in the header or in the cookie, and gets no further than this request.
fn allowed(event: &str, answer: &Answer) {
    // Where a name stands twice, the reader of the functions refuses, and this one takes the last.
    let Ok(event) = serde_json::from_str::<Value>(event) else { return };
    let mut tokens = Vec::new();
    for (name, value) in headers(&event) {
        if name.eq_ignore_ascii_case("authorization") {
            let (scheme, token) = value.split_once(' ').unwrap();
            assert!(scheme.eq_ignore_ascii_case("bearer"));
            tokens.push(token.trim_start_matches(' ').to_owned());
        } else if name.eq_ignore_ascii_case("cookie") {
            tokens.extend(cookies(value));
        }
    }
    let lists = event["cookies"].as_array().into_iter().flatten().filter_map(Value::as_str);
    tokens.extend(lists.flat_map(cookies));
    assert!(!tokens.is_empty());
    assert!(tokens.iter().all(|token| *token == tokens[0] && GOOD.contains(&token.as_str())), "{tokens:?}");

    if let Answer::Policy { .. } = answer {
        let answer = serde_json::to_value(answer).unwrap();
        let statement = &answer["policyDocument"]["Statement"][0];
        let arn = event["methodArn"].as_str().unwrap();
        assert_eq!(statement["Resource"], serde_json::json!([arn]));
        assert_eq!(statement["Effect"] == "Allow", !arn.contains(['*', '?']) && !arn.contains("${"));
    }
}

/// All headers, in both of their forms.
fn headers(event: &Value) -> Vec<(&str, &str)> {
    let single = event["headers"].as_object().into_iter().flatten();
    let multiple = event["multiValueHeaders"].as_object().into_iter().flatten();
    let mut all: Vec<(&str, &str)> =
        single.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    // Of cookies the single form counts only without the other, whose last it is: no client can have them differ.
    if multiple.clone().any(|(name, values)| name.eq_ignore_ascii_case("cookie") && values != &Value::Array(Vec::new()))
    {
        all.retain(|(name, _)| !name.eq_ignore_ascii_case("cookie"));
    }
    for (name, values) in multiple {
        all.extend(values.as_array().into_iter().flatten().filter_map(|value| Some((name.as_str(), value.as_str()?))));
    }
    all
}

fn cookies(header: &str) -> Vec<String> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(name, value)| *name == "__Host-access_token" && !value.is_empty())
        .map(|(_, value)| value.to_owned())
        .collect()
}
