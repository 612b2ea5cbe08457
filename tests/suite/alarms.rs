//! The alarms and the dashboard of template.yaml, against what the functions write to their logs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use crate::api::{Api, PASSWORD, Ring, Setup, root};

/// A metric and the names of its dimensions, in their order in the alphabet.
type Metric = (String, Vec<String>);

fn resources() -> Yaml {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    serde_yaml_ng::from_str::<Yaml>(&text).unwrap()["Resources"].clone()
}

fn metric<'a>(namespace: &str, name: &str, dimensions: impl Iterator<Item = &'a str>) -> (String, Metric) {
    let mut dimensions: Vec<_> = dimensions.map(str::to_owned).collect();
    dimensions.sort();
    (namespace.to_owned(), (name.to_owned(), dimensions))
}

/// The metrics that an alarm looks at, with their namespaces.
fn of_alarm(properties: &Yaml) -> Vec<(String, Metric)> {
    let single = [properties];
    let several = properties["Metrics"].as_sequence().into_iter().flatten();
    let looked_at = several.filter_map(|query| query["MetricStat"].get("Metric"));
    single
        .into_iter()
        .filter(|properties| properties.get("MetricName").is_some())
        .chain(looked_at)
        .map(|found| {
            let dimensions = found["Dimensions"].as_sequence().unwrap().iter();
            let names = dimensions.map(|dimension| dimension["Name"].as_str().unwrap());
            metric(found["Namespace"].as_str().unwrap(), found["MetricName"].as_str().unwrap(), names)
        })
        .collect()
}

/// The metrics of a dashboard, with their namespaces: those that it lists, and those that it searches for.
fn of_dashboard(body: &str) -> Vec<(String, Metric)> {
    let mut metrics = Vec::new();
    // What CloudFormation puts in where a number stands.
    let body: Value = serde_json::from_str(&body.replace("${KeyRotationDays}", "30")).unwrap();
    for widget in body["widgets"].as_array().unwrap() {
        for line in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let line = line.as_array().unwrap();
            if let [Value::String(namespace), Value::String(name), rest @ ..] = line.as_slice() {
                let names = rest.iter().filter_map(Value::as_str).step_by(2);
                metrics.push(metric(namespace, name, names));
            } else if let Some((_, search)) = line[0]["expression"].as_str().unwrap().split_once("SEARCH('{") {
                let (schema, rest) = search.split_once('}').unwrap();
                let mut words = schema.split(',');
                let name = rest.split("MetricName=\"").nth(1).unwrap().split('"').next().unwrap();
                metrics.push(metric(words.next().unwrap(), name, words));
            }
        }
    }
    metrics
}

/// What AWS's own services send, where we look at it. "Amazon API Gateway dimensions and metrics", "Viewing metrics for
/// Lambda functions" and "`DynamoDB` metrics and dimensions" in their guides.
fn of_aws(namespace: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    match namespace {
        "AWS/ApiGateway" => Some((&["5XXError", "4XXError", "Count", "Latency"], &["ApiName", "Stage"])),
        "AWS/Lambda" => Some((&["Errors", "Throttles", "Duration", "ConcurrentExecutions"], &["FunctionName"])),
        "AWS/SQS" => Some((&["ApproximateNumberOfMessagesVisible"], &["QueueName"])),
        "AWS/DynamoDB" => Some((&["ReadThrottleEvents", "WriteThrottleEvents"], &["TableName"])),
        _ => None,
    }
}

/// The metrics that a log line carries, as `CloudWatch` would make them of it.
fn emitted(line: &Value) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
        assert_eq!(directive["Namespace"], "Gatehouse");
        for set in directive["Dimensions"].as_array().unwrap() {
            let names: Vec<&str> = set.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            for name in &names {
                assert!(line[*name].is_string(), "{name} is a dimension and not in {line}");
            }
            for definition in directive["Metrics"].as_array().unwrap() {
                let name = definition["Name"].as_str().unwrap();
                assert!(line[name].is_number(), "{name} is a metric and not in {line}");
                metrics.push(metric("Gatehouse", name, names.iter().copied()).1);
            }
        }
    }
    metrics
}

/// Sign-ins and refreshes that go well, that are refused and that meet an outage, guesses that are throttled, and a
/// refresh token that is used again, on keys that say when they were made.
async fn everything_that_counts() -> Api {
    let parameters = vec![("RefreshGraceWindow", "0")];
    let api = Api::with(Setup { ring: Ring::Rotated, parameters, ..Setup::default() }).await;
    api.stack.rotate().await.unwrap();
    let answer = api.sign_in().await;
    let bearer = format!("Bearer {}", answer.access_token());
    let refresh = answer.refresh_token();
    assert_eq!(api.protected(&bearer).await.status, 200);
    assert_eq!(api.protected("Bearer x").await.status, 401);
    assert_eq!(api.refresh(&refresh).await.status, 200);
    assert_eq!(api.refresh(&refresh).await.status, 400);
    while api.login(&[("username", "jane"), ("password", "wrong password")]).await.status != 429 {}
    api.stack.stop_store().await;
    assert_eq!(api.login(&[("username", "johndoe"), ("password", PASSWORD)]).await.status, 503);
    api
}

#[tokio::test]
async fn every_metric_of_an_alarm_or_the_dashboard_is_emitted() {
    let api = everything_that_counts().await;
    let lines = api.lines();
    let emitted: BTreeSet<Metric> = lines.iter().flat_map(emitted).collect();
    let resources = resources();
    let mut looked_at = Vec::new();
    for (name, resource) in resources.as_mapping().unwrap() {
        let properties = &resource["Properties"];
        let found = match resource["Type"].as_str().unwrap() {
            "AWS::CloudWatch::Alarm" => of_alarm(properties),
            // `!Sub` is a tagged value.
            "AWS::CloudWatch::Dashboard" => of_dashboard(untagged(&properties["DashboardBody"])),
            _ => continue,
        };
        assert!(!found.is_empty(), "{name:?} looks at nothing");
        looked_at.extend(found);
    }
    let mut ours = BTreeSet::new();
    for (namespace, metric) in looked_at {
        if namespace == "Gatehouse" {
            assert!(emitted.contains(&metric), "nothing emits {metric:?}, but {emitted:?}");
            ours.insert(metric.0);
        } else {
            let (names, dimensions) = of_aws(&namespace).unwrap_or_else(|| panic!("an unknown namespace {namespace}"));
            assert!(names.contains(&metric.0.as_str()), "{namespace} has no {metric:?}");
            assert_eq!(metric.1, dimensions, "{namespace} {}", metric.0);
        }
    }
    // And what is emitted is looked at.
    assert_eq!(ours, emitted.into_iter().map(|metric| metric.0).collect());
}

/// `CloudWatch` compares dimensions by their values too: those of the alarms are the stack's name.
#[tokio::test]
async fn metrics_are_of_this_stack_by_the_name_that_the_alarms_use() {
    let api = everything_that_counts().await;
    let counted: Vec<_> = api.lines().into_iter().filter(|line| !line["_aws"].is_null()).collect();
    assert!(counted.iter().all(|line| line["stack"] == "gatehouse"), "{counted:?}");
    let resources = resources();
    let mut dimensions = 0;
    for resource in resources.as_mapping().unwrap().values() {
        let properties = &resource["Properties"];
        let queries = properties["Metrics"].as_sequence().into_iter().flatten();
        let metrics = queries.map(|query| &query["MetricStat"]["Metric"]).chain([properties]);
        for metric in metrics.filter(|metric| metric.get("Namespace").is_some_and(|name| name == "Gatehouse")) {
            for dimension in metric["Dimensions"].as_sequence().unwrap() {
                assert_eq!(untagged(&dimension["Value"]), "AWS::StackName");
                dimensions += 1;
            }
        }
    }
    assert!(dimensions > 0);
    let by_outcome = |name: &str| -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for line in counted.iter().filter(|line| line[name].is_number()) {
            *sums.entry(line["outcome"].as_str().unwrap().to_owned()).or_default() += line[name].as_u64().unwrap();
        }
        sums
    };
    let (sign_ins, refreshes) = (by_outcome("SignIns"), by_outcome("Refreshes"));
    assert_eq!((sign_ins["signed_in"], sign_ins["unavailable"]), (1, 1), "{sign_ins:?}");
    assert!(sign_ins["refused"] > 1, "{sign_ins:?}");
    // Each guess at jane's password before the one that was throttled.
    assert_eq!(by_outcome("FailedSignIns"), [("refused".to_owned(), sign_ins["refused"] - 1)].into());
    assert_eq!(refreshes, [("refreshed".to_owned(), 1), ("refused".to_owned(), 1)].into());
    assert_eq!(by_outcome("RefreshTokenReuse"), [("refused".to_owned(), 1)].into());
    assert_eq!(by_outcome("Outages"), [("unavailable".to_owned(), 1)].into());
    assert_eq!(by_outcome("Throttles"), [("refused".to_owned(), 1)].into());
    let ages: Vec<u64> = counted.iter().filter_map(|line| line["KeyAge"].as_u64()).collect();
    assert!(ages.len() == 2 && ages.iter().all(|age| *age < 600), "{ages:?}");
}

#[test]
fn every_alarm_is_told_to_the_topic_and_on_the_dashboard() {
    let resources = resources();
    let dashboard = untagged(&resources["Dashboard"]["Properties"]["DashboardBody"]).to_owned();
    let mut alarms = 0;
    for (name, resource) in resources.as_mapping().unwrap() {
        let (name, properties) = (name.as_str().unwrap(), &resource["Properties"]);
        if resource["Type"] != "AWS::CloudWatch::Alarm" {
            continue;
        }
        for actions in ["AlarmActions", "OKActions"] {
            let Yaml::Tagged(choice) = &properties[actions] else { panic!("{name} tells nobody") };
            assert_eq!((choice.tag.to_string().as_str(), choice.value[0].as_str()), ("!If", Some("HasAlarmTopic")));
            assert_eq!(untagged(&choice.value[1][0]), "AlarmTopicArn");
        }
        assert!(dashboard.contains(&format!("${{{name}.Arn}}")), "{name} is not on the dashboard");
        let guide = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
        let known_as = untagged(&properties["AlarmName"]).trim_start_matches("${AWS::StackName}").to_owned();
        assert!(guide.contains(&known_as), "docs/operations.md doesn't say what to do about {known_as}");
        alarms += 1;
    }
    assert_eq!(alarms, 10);
}

fn untagged(value: &Yaml) -> &str {
    match value {
        Yaml::Tagged(tagged) => tagged.value.as_str().unwrap(),
        value => value.as_str().unwrap(),
    }
}
