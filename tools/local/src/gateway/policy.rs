//! Evaluates the IAM policy that an authorizer returns, as API Gateway does: an explicit deny wins,
//! and what no statement allows is denied.

use serde_json::Value;

/// The IAM action of calling a REST API.
const ACTION: &str = "execute-api:Invoke";

/// The decision of a policy about one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    ExplicitDeny,
    ImplicitDeny,
}

/// A policy document that can't be evaluated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the policy document is malformed: {0}")]
pub(crate) struct MalformedPolicy(&'static str);

/// Decides whether `document` lets its holder call `method_arn`.
///
/// # Errors
/// A document of another shape than `Statement`, `Effect`, `Action`, `Resource`. `NotAction`,
/// `NotResource` and `Condition` count as such: to pass over them could allow too much.
pub(crate) fn evaluate(document: &Value, method_arn: &str) -> Result<Decision, MalformedPolicy> {
    let statements = one_or_more(&document["Statement"]);
    if statements.is_empty() {
        return Err(MalformedPolicy("it has no Statement"));
    }
    let mut decision = Decision::ImplicitDeny;
    for statement in statements {
        if ["NotAction", "NotResource", "Condition"].iter().any(|key| statement.get(key).is_some()) {
            return Err(MalformedPolicy("NotAction, NotResource and Condition are not supported"));
        }
        let applies =
            any(&statement["Action"], |action| glob(&action.to_ascii_lowercase(), &ACTION.to_ascii_lowercase()))?
                && any(&statement["Resource"], |resource| matches_arn(resource, method_arn))?;
        match statement["Effect"].as_str() {
            Some("Deny") if applies => return Ok(Decision::ExplicitDeny),
            Some("Allow") if applies => decision = Decision::Allow,
            Some("Allow" | "Deny") => {}
            _ => return Err(MalformedPolicy("Effect is neither Allow nor Deny")),
        }
    }
    Ok(decision)
}

fn one_or_more(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        single => std::slice::from_ref(single),
    }
}

fn any(patterns: &Value, matches: impl Fn(&str) -> bool) -> Result<bool, MalformedPolicy> {
    let patterns = one_or_more(patterns);
    if patterns.is_empty() {
        return Err(MalformedPolicy("a statement lacks Action or Resource"));
    }
    let mut found = false;
    for pattern in patterns {
        let pattern = pattern.as_str().ok_or(MalformedPolicy("an Action or Resource is no string"))?;
        found |= matches(pattern);
    }
    Ok(found)
}

/// Matches an ARN part by part: a wildcard doesn't reach over the first five colons.
fn matches_arn(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (patterns, parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    patterns.clone().count() == parts.clone().count() && patterns.zip(parts).all(|(pattern, part)| glob(pattern, part))
}

/// `*` stands for any number of characters, `?` for exactly one.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut reached) = (0, 0);
    // Where to go on when what follows the last `*` doesn't match: one more character under it.
    let mut retry: Option<(usize, usize)> = None;
    while reached < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, reached));
                at += 1;
            }
            Some(&expected) if expected == b'?' || expected == text[reached] => {
                at += 1;
                reached += 1;
            }
            _ => match retry {
                Some((after_star, covered)) => {
                    retry = Some((after_star, covered + 1));
                    at = after_star;
                    reached = covered + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const METHOD: &str = "arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/users/ann";

    fn statement(effect: &str, resource: &str) -> Value {
        json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource})
    }

    fn decide(statements: &[Value]) -> Result<Decision, MalformedPolicy> {
        evaluate(&json!({"Version": "2012-10-17", "Statement": statements}), METHOD)
    }

    #[test]
    fn wildcards_match_any_run_and_one_character() {
        for (pattern, allowed) in [
            (METHOD, true),
            ("*", true),
            ("arn:aws:execute-api:*:*:*", true),
            ("arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/*", true),
            ("arn:aws:execute-api:us-east-1:123456789012:local/*/users/*", true),
            ("arn:aws:execute-api:us-east-1:123456789012:local/prod/?ET/users/ann", true),
            ("arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/users", false),
            ("arn:aws:execute-api:us-east-1:123456789012:local/prod/POST/*", false),
            ("arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/users/ann?", false),
            ("arn:aws:execute-api:eu-west-1:123456789012:*", false),
            ("arn:*:local/prod/GET/users/ann", false),
            ("", false),
        ] {
            let expected = if allowed { Decision::Allow } else { Decision::ImplicitDeny };
            assert_eq!(decide(&[statement("Allow", pattern)]), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn deny_wins_whatever_the_order() {
        let (allow, deny) = (statement("Allow", "*"), statement("Deny", METHOD));
        assert_eq!(decide(&[allow.clone(), deny.clone()]), Ok(Decision::ExplicitDeny));
        assert_eq!(decide(&[deny, allow]), Ok(Decision::ExplicitDeny));
    }

    #[test]
    fn single_values_stand_for_lists_of_one() {
        let document = json!({"Statement": {"Effect": "Allow", "Action": ["EXECUTE-API:*"], "Resource": [METHOD]}});
        assert_eq!(evaluate(&document, METHOD), Ok(Decision::Allow));
    }

    #[test]
    fn other_actions_allow_nothing() {
        let document = json!({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}});
        assert_eq!(evaluate(&document, METHOD), Ok(Decision::ImplicitDeny));
    }

    #[test]
    fn documents_of_another_shape_are_refused() {
        for statement in [
            json!({"Effect": "Allow", "Action": "*"}),
            json!({"Effect": "allow", "Action": "*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": 7}),
            json!({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {}}),
            json!("Allow"),
        ] {
            assert!(decide(std::slice::from_ref(&statement)).is_err(), "{statement}");
        }
        assert!(evaluate(&json!({}), METHOD).is_err());
    }
}
