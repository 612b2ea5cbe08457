//! The patterns of `FilterCriteria`, which events have to match: the part of `EventBridge`'s language that is emulated.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A pattern, which a JSON value matches or doesn't.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// An object in which each of these members matches.
    Members(BTreeMap<String, Pattern>),
    /// A value that one of these tests holds for; of a list, one of its items.
    AnyOf(Vec<Test>),
}

/// One of the tests that a pattern's list offers.
#[derive(Debug)]
pub(crate) enum Test {
    /// Is this very string, number, truth value or null.
    Equals(Value),
    /// Is a string that begins so.
    Prefix(String),
}

impl Pattern {
    /// Reads a pattern as a template writes it, a string of JSON.
    ///
    /// # Errors
    /// Says what is wrong, or not emulated.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Self::of_members(members),
            Ok(_) => Err("a pattern is an object".to_owned()),
            Err(error) => Err(format!("this has to be JSON: {error}")),
        }
    }

    fn of_members(members: Map<String, Value>) -> Result<Self, String> {
        let pattern = |(name, value)| {
            let pattern = match value {
                Value::Object(members) => Self::of_members(members)?,
                Value::Array(tests) => Self::AnyOf(tests.into_iter().map(Test::of).collect::<Result<_, _>>()?),
                other => return Err(format!("`{other}` has to be a list or an object")),
            };
            Ok((name, pattern))
        };
        members.into_iter().map(pattern).collect::<Result<_, _>>().map(Self::Members)
    }

    /// Whether the value is as the pattern wants it.
    pub(crate) fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Members(members), _) => {
                members.iter().all(|(name, pattern)| value.get(name).is_some_and(|value| pattern.matches(value)))
            }
            (Self::AnyOf(tests), Value::Array(items)) => {
                items.iter().any(|item| tests.iter().any(|test| test.holds_for(item)))
            }
            (Self::AnyOf(tests), _) => tests.iter().any(|test| test.holds_for(value)),
        }
    }
}

impl Test {
    fn of(test: Value) -> Result<Self, String> {
        match &test {
            Value::Array(_) => Err("a list within a list is not emulated".to_owned()),
            Value::Object(members) => match (members.len(), members.get("prefix")) {
                (1, Some(Value::String(prefix))) => Ok(Self::Prefix(prefix.clone())),
                _ => Err(format!("`{test}` is not emulated: of a pattern's tests, only values and `prefix` are")),
            },
            _ => Ok(Self::Equals(test)),
        }
    }

    fn holds_for(&self, value: &Value) -> bool {
        match self {
            Self::Equals(wanted) => value == wanted,
            Self::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_member_and_one_of_its_tests_has_to_match() {
        let pattern = r#"{"eventName":["INSERT","REMOVE"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"USER#"}]}}}}"#;
        let pattern = Pattern::parse(pattern).unwrap();
        let record = |name: &str, pk: Value| json!({"eventName": name, "dynamodb": {"Keys": {"pk": pk}}, "more": 1});
        assert!(pattern.matches(&record("INSERT", json!({"S": "USER#a"}))));
        assert!(pattern.matches(&record("REMOVE", json!({"S": "USER#"}))));
        for (name, pk) in [
            ("MODIFY", json!({"S": "USER#a"})),
            ("INSERT", json!({"S": "SESSION#a"})),
            ("INSERT", json!({"N": "1"})),
            ("INSERT", json!({"S": null})),
        ] {
            assert!(!pattern.matches(&record(name, pk.clone())), "{name} {pk}");
        }
        assert!(!pattern.matches(&json!({"eventName": "INSERT"})));
    }

    #[test]
    fn values_are_compared_whole_and_lists_by_their_items() {
        let pattern = Pattern::parse(r#"{"a":[1,true,null,{"prefix":"x"}]}"#).unwrap();
        for value in [json!(1), json!(true), json!(null), json!("xy"), json!(["no", "xy"])] {
            assert!(pattern.matches(&json!({ "a": value })), "{value}");
        }
        for value in [json!("1"), json!(false), json!("y"), json!([]), json!({"prefix": "x"})] {
            assert!(!pattern.matches(&json!({ "a": value })), "{value}");
        }
        assert!(!pattern.matches(&json!({})));
    }

    #[test]
    fn what_is_not_emulated_is_named() {
        for (pattern, problem) in [
            ("[]", "a pattern is an object"),
            ("{", "this has to be JSON"),
            (r#"{"a":"b"}"#, r#"`"b"` has to be a list or an object"#),
            (r#"{"a":[{"exists":true}]}"#, r#"`{"exists":true}` is not emulated"#),
            (r#"{"a":[["b"]]}"#, "a list within a list"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err();
            assert!(error.contains(problem), "{pattern}: {error}");
        }
    }
}
