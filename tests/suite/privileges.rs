//! What each function may do, read back from template.yaml.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value as Yaml;

use crate::api::root;

type Privileges = BTreeMap<String, BTreeSet<String>>;

fn template() -> String {
    std::fs::read_to_string(root().join("template.yaml")).unwrap()
}

/// The privileges of each function as lines: the action, what it is for, and the condition it is under.
fn privileges(template: &str) -> Privileges {
    let template: Yaml = serde_yaml_ng::from_str(template).unwrap();
    let mut all = Privileges::new();
    for resource in template["Resources"].as_mapping().unwrap().values() {
        if resource["Type"] != "AWS::Serverless::Function" {
            continue;
        }
        let properties = &resource["Properties"];
        let name = properties["CodeUri"].as_str().unwrap().rsplit('/').next().unwrap();
        let rows = all.entry(name.to_owned()).or_default();
        // SAM makes the role; nothing else may give it anything.
        for property in ["Role", "Connectors", "AssumeRolePolicyDocument"] {
            if properties.get(property).is_some() {
                rows.insert(format!("has {property}"));
            }
        }
        for policy in properties["Policies"].as_sequence().into_iter().flatten() {
            let Some(statements) = policy["Statement"].as_sequence() else {
                rows.insert(format!("has the policy {policy:?}"));
                continue;
            };
            for statement in statements {
                match statement {
                    Yaml::Tagged(tagged) if tagged.tag == "If" => {
                        let branches = tagged.value.as_sequence().unwrap();
                        let condition = branches[0].as_str().unwrap();
                        rows.extend(rows_of(&branches[1]).map(|row| format!("{row} if {condition}")));
                        assert_eq!(text(&branches[2]), "!Ref AWS::NoValue");
                    }
                    statement => rows.extend(rows_of(statement)),
                }
            }
        }
    }
    all
}

fn rows_of(statement: &Yaml) -> impl Iterator<Item = String> {
    let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
    let strange: Vec<String> = statement
        .as_mapping()
        .unwrap()
        .keys()
        .map(|key| key.as_str().unwrap().to_owned())
        .filter(|key| !known.contains(&key.as_str()))
        .collect();
    let actions = match &statement["Action"] {
        Yaml::Sequence(actions) => actions.iter().map(text).collect(),
        action => vec![text(action)],
    };
    let (effect, resource) = (text(&statement["Effect"]), text(&statement["Resource"]));
    let condition = statement.get("Condition").map(|condition| {
        let mut tests: Vec<String> = condition
            .as_mapping()
            .unwrap()
            .iter()
            .flat_map(|(test, keys)| {
                keys.as_mapping()
                    .unwrap()
                    .iter()
                    .map(move |(key, value)| format!("{} {} {}", text(test), text(key), text(value)))
            })
            .collect();
        tests.sort();
        tests.join(", ")
    });
    actions.into_iter().map(move |action| {
        format!("{effect} {action} on {resource} where {}{}", condition.as_deref().unwrap_or("-"), strange.join(","))
    })
}

fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => text.clone(),
        Yaml::Sequence(items) => items.iter().map(text).collect::<Vec<_>>().join("|"),
        Yaml::Tagged(tagged) => format!("{} {}", tagged.tag, text(&tagged.value)),
        other => format!("{other:?}"),
    }
}

/// DESIGN: who may touch what, row by row. `users`, `sessions` and `keys` bind a call to rows whose key begins so; the
/// table of counts holds nothing else.
fn allowed() -> Privileges {
    let users = "ForAllValues:StringLike dynamodb:LeadingKeys USER#*, Null dynamodb:LeadingKeys false";
    let sessions = "ForAllValues:StringLike dynamodb:LeadingKeys SESSION#*, Null dynamodb:LeadingKeys false";
    let users_and_hashes =
        "ForAllValues:StringLike dynamodb:LeadingKeys USER#*|CREDENTIAL#*, Null dynamodb:LeadingKeys false";
    let hashes = "ForAllValues:StringLike dynamodb:LeadingKeys CREDENTIAL#*, Null dynamodb:LeadingKeys false";
    let keys = "ForAllValues:StringEquals dynamodb:LeadingKeys KEYS, Null dynamodb:LeadingKeys false";
    let nothing_back = "StringEqualsIfExists dynamodb:ReturnValues NONE";
    let all = |conditions: &[&str]| {
        let mut all: Vec<&str> = conditions.iter().flat_map(|conditions| conditions.split(", ")).collect();
        all.sort_unstable();
        all.join(", ")
    };
    let table = |action: &str, rows: &str| format!("Allow dynamodb:{action} on !GetAtt Table.Arn where {rows}");
    let count = "Allow dynamodb:UpdateItem on !GetAtt CountsTable.Arn where -".to_owned();
    let see_counts = "Allow dynamodb:BatchGetItem on !GetAtt CountsTable.Arn where -".to_owned();
    let secret = |action: &str| format!("Allow secretsmanager:{action} on !Ref SigningSecret where -");
    let rows = |rows: &[String]| rows.iter().cloned().collect::<BTreeSet<_>>();
    BTreeMap::from([
        (
            "login".to_owned(),
            rows(&[
                table("BatchGetItem", users_and_hashes),
                table("UpdateItem", hashes),
                table("PutItem", sessions),
                table("UpdateItem", sessions),
                table("Query", sessions),
                table("DeleteItem", sessions),
                count.clone(),
                see_counts.clone(),
                secret("GetSecretValue"),
            ]),
        ),
        (
            "authorizer".to_owned(),
            rows(&[
                table("Query", keys),
                format!("{} if HasLiveRevocation", table("GetItem", sessions)),
                format!("{} if ReadsSecret", secret("GetSecretValue")),
            ]),
        ),
        ("sessions".to_owned(), rows(&[table("Query", sessions), table("DeleteItem", sessions)])),
        (
            "account".to_owned(),
            rows(&[
                table("BatchGetItem", users_and_hashes),
                table("UpdateItem", hashes),
                table("Query", sessions),
                table("DeleteItem", sessions),
                count.clone(),
                see_counts,
            ]),
        ),
        ("register".to_owned(), rows(&[table("PutItem", &all(&[users_and_hashes, nothing_back])), count])),
        (
            "users".to_owned(),
            rows(&[
                table("GetItem", users),
                table("UpdateItem", users),
                "Allow dynamodb:Query on !Sub ${Table.Arn}/index/users where -".to_owned(),
                table("Query", sessions),
                table("DeleteItem", sessions),
            ]),
        ),
        (
            "erase".to_owned(),
            rows(&[
                table("BatchGetItem", users),
                table("GetItem", users),
                table("DeleteItem", &all(&[hashes, nothing_back])),
                table("Query", sessions),
                table("DeleteItem", sessions),
            ]),
        ),
        ("discovery".to_owned(), rows(&[table("Query", keys)])),
        (
            "rotate-keys".to_owned(),
            rows(&[
                table("Query", keys),
                table("PutItem", keys),
                table("UpdateItem", keys),
                secret("DescribeSecret"),
                secret("GetSecretValue"),
                secret("PutSecretValue"),
                secret("UpdateSecretVersionStage"),
            ]),
        ),
    ])
}

/// The same with the other functions of the template, which may do nothing: a handler of your own that needs the table
/// or another service gets a line above.
fn allowed_in(template: &str) -> Privileges {
    let mut all: Privileges = privileges(template).into_keys().map(|name| (name, BTreeSet::new())).collect();
    all.extend(allowed());
    all
}

#[test]
fn each_function_may_do_what_it_needs_and_no_more() {
    assert_eq!(privileges(&template()), allowed_in(&template()));
}

/// Neither a statement that names hashes, nor one that names no rows, but for the index, where no hash is.
#[test]
fn who_administers_users_reaches_no_hash_by_any_call() {
    let privileges = privileges(&template());
    for privilege in &privileges["users"] {
        let is_bound = privilege.contains("LeadingKeys USER#*,") || privilege.contains("LeadingKeys SESSION#*,");
        assert!(is_bound || privilege.contains("on !Sub ${Table.Arn}/index/users "), "{privilege}");
    }
}

#[test]
fn the_authorizer_reads_the_secret_only_where_it_must() {
    let template: Yaml = serde_yaml_ng::from_str(&template()).unwrap();
    assert_eq!(
        text(&template["Conditions"]["ReadsSecret"]),
        "!Or !Equals !Ref SigningAlgorithm|HS256|!Equals !Ref AuthorizerReadsSecret|true"
    );
    assert_eq!(template["Parameters"]["AuthorizerReadsSecret"]["Default"], "false");
    assert_eq!(template["Parameters"]["SigningAlgorithm"]["Default"], "ES256");
}

#[test]
fn the_authorizer_reads_sessions_only_with_live_revocation() {
    let template: Yaml = serde_yaml_ng::from_str(&template()).unwrap();
    let condition = text(&template["Conditions"]["HasLiveRevocation"]);
    assert_eq!(condition, "!Not !Equals !Ref LiveRevocation|off");
    assert_eq!(template["Parameters"]["LiveRevocation"]["Default"], "60");
}

#[test]
fn a_policy_that_is_widened_is_noticed() {
    let template = template();
    for (narrow, wide) in [
        ("dynamodb:LeadingKeys: [\"KEYS\"]", "dynamodb:LeadingKeys: [\"*\"]"),
        ("dynamodb:LeadingKeys: [\"SESSION#*\"]", "dynamodb:LeadingKeys: [\"*\"]"),
        ("              - HasLiveRevocation\n              - Sid", "              - HasTracing\n              - Sid"),
        ("dynamodb:LeadingKeys: [\"USER#*\"]", "dynamodb:LeadingKeys: [\"*\"]"),
        ("Resource: !GetAtt CountsTable.Arn", "Resource: [!GetAtt CountsTable.Arn, !GetAtt Table.Arn]"),
        (
            "Action: dynamodb:UpdateItem\n              Resource: !GetAtt CountsTable.Arn",
            "Action: [dynamodb:UpdateItem, dynamodb:Scan]\n              Resource: !GetAtt CountsTable.Arn",
        ),
        ("Action: dynamodb:BatchGetItem", "Action: [dynamodb:BatchGetItem, dynamodb:Scan]"),
        ("Action: dynamodb:UpdateItem\n", "Action: [dynamodb:UpdateItem, dynamodb:DeleteItem]\n"),
        ("dynamodb:LeadingKeys: [\"CREDENTIAL#*\"]", "dynamodb:LeadingKeys: [\"*\"]"),
        ("dynamodb:LeadingKeys: [\"USER#*\", \"CREDENTIAL#*\"]", "dynamodb:LeadingKeys: [\"*\"]"),
        ("Action: [dynamodb:GetItem, dynamodb:UpdateItem]", "Action: [dynamodb:GetItem, dynamodb:PutItem]"),
        ("${Table.Arn}/index/users", "${Table.Arn}/index/*"),
        ("dynamodb:ReturnValues: NONE", "dynamodb:ReturnValues: ALL_OLD"),
        ("Action: dynamodb:Query", "Action: dynamodb:*"),
        ("Action: [dynamodb:PutItem, dynamodb:UpdateItem, ", "Action: [dynamodb:PutItem, dynamodb:Scan, "),
        ("Action: secretsmanager:GetSecretValue", "Action: secretsmanager:*"),
        ("Resource: !GetAtt Table.Arn", "Resource: \"*\""),
        ("Resource: !Ref SigningSecret", "Resource: \"*\""),
        ("\"Null\": { dynamodb:LeadingKeys: \"false\" }", "\"Null\": { dynamodb:LeadingKeys: \"true\" }"),
        ("              - ReadsSecret\n              - Sid", "              - HasTracing\n              - Sid"),
        (
            "CodeUri: functions/protected\n",
            "CodeUri: functions/protected\n      Policies: [AmazonDynamoDBFullAccess]\n",
        ),
        ("CodeUri: functions/protected\n", "CodeUri: functions/protected\n      Role: !Ref Other\n"),
    ] {
        let widened = template.replacen(narrow, wide, 1);
        assert_ne!(widened, template, "{narrow} isn't there");
        assert_ne!(privileges(&widened), allowed_in(&widened), "{wide}");
    }
}
