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

/// The dashboard's JSON, as `CloudFormation` would make it, but for the names of the stack and its resources.
fn dashboard(resources: &Yaml) -> Value {
    let (text, parts) = dashboard_parts(resources);
    let widget = parts["AlarmsWidget"].clone();
    let Yaml::Tagged(choice) = widget else { panic!("{widget:?}") };
    assert_eq!((choice.tag.to_string().as_str(), &choice.value[0]), ("!If", &"HasAlarms".into()));
    let bodies = [&choice.value[1], &choice.value[2]].map(|widget| {
        let text = text.replace("${AlarmsWidget}", untagged(widget)).replace("${KeyRotationDays}", "30");
        serde_json::from_str::<Value>(&text.replace("${Sources}", untagged(&parts["Sources"]))).unwrap()
    });
    assert_eq!(bodies[1]["widgets"][0]["type"], "text");
    let [body, _] = bodies;
    body
}

/// What `!Sub` makes the dashboard of: a text, and what is put into it.
fn dashboard_parts(resources: &Yaml) -> (&str, &Yaml) {
    let Yaml::Tagged(body) = &resources["Dashboard"]["Properties"]["DashboardBody"] else { panic!("no !Sub") };
    (body.value[0].as_str().unwrap(), &body.value[1])
}

/// The metrics of the dashboard, with their namespaces.
fn of_dashboard(resources: &Yaml) -> Vec<(String, Metric)> {
    let mut metrics = Vec::new();
    for widget in dashboard(resources)["widgets"].as_array().unwrap() {
        for line in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            if let [Value::String(namespace), Value::String(name), rest @ ..] = line.as_array().unwrap().as_slice() {
                let names = rest.iter().filter_map(Value::as_str).step_by(2);
                metrics.push(metric(namespace, name, names));
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
            "AWS::CloudWatch::Dashboard" => of_dashboard(&resources),
            _ => continue,
        };
        assert!(!found.is_empty(), "{name:?} looks at nothing");
        looked_at.extend(found);
    }
    let mut ours = BTreeSet::new();
    for (namespace, metric) in looked_at {
        if namespace == "Gatehouse" {
            ours.insert(metric);
        } else {
            let (names, dimensions) = of_aws(&namespace).unwrap_or_else(|| panic!("an unknown namespace {namespace}"));
            assert!(names.contains(&metric.0.as_str()), "{namespace} has no {metric:?}");
            assert_eq!(metric.1, dimensions, "{namespace} {}", metric.0);
        }
    }
    // And nothing that nobody looks at: each is a custom metric, and bills as one.
    assert_eq!(ours, emitted);
    assert!(emitted.iter().all(|(_, dimensions)| *dimensions == ["stack"]), "{emitted:?}");
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
    for (name, outcome) in [
        ("SignIns", "signed_in"),
        ("Refreshes", "refreshed"),
        ("RefreshTokenReuse", "refused"),
        ("Throttles", "refused"),
        ("Outages", "unavailable"),
    ] {
        assert_eq!(by_outcome(name), [(outcome.to_owned(), 1)].into(), "{name}");
    }
    // Beside each guess at jane's password: the one that was throttled, the token that was used again, and that of the
    // authorizer.
    let failed = by_outcome("FailedSignIns")["refused"];
    assert!(failed > 1);
    assert_eq!(by_outcome("Refusals"), [("refused".to_owned(), failed + 3)].into());
    let ages: Vec<u64> = counted.iter().filter_map(|line| line["KeyAge"].as_u64()).collect();
    assert!(ages.len() == 2 && ages.iter().all(|age| *age < 600), "{ages:?}");
}

#[test]
fn every_alarm_is_told_to_the_topic_and_on_the_dashboard() {
    let resources = resources();
    let dashboard = dashboard(&resources)["widgets"][0]["properties"]["alarms"].to_string();
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
        let condition = resource["Condition"].as_str().unwrap();
        let takes_back = ["ServerErrorsAlarm", "OutagesAlarm"].contains(&name);
        assert_eq!(condition, if takes_back { "HasDeploymentAlarms" } else { "HasAlarms" }, "{name}");
        let guide = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
        let known_as = untagged(&properties["AlarmName"]).trim_start_matches("${AWS::StackName}").to_owned();
        assert!(guide.contains(&known_as), "docs/operations.md doesn't say what to do about {known_as}");
        alarms += 1;
    }
    assert_eq!(alarms, 10);
}

#[test]
fn the_dashboard_asks_the_logs_that_there_are() {
    let resources = resources();
    let groups: BTreeSet<&str> = resources
        .as_mapping()
        .unwrap()
        .values()
        .filter(|resource| resource["Type"] == "AWS::Logs::LogGroup")
        .map(|resource| untagged(&resource["Properties"]["LogGroupName"]))
        .collect();
    let asked: Vec<&str> = untagged(&dashboard_parts(&resources).1["Sources"]).split('\'').skip(1).step_by(2).collect();
    assert!(asked.len() == 8 && asked.iter().all(|group| groups.contains(group)), "{asked:?}");
}

fn untagged(value: &Yaml) -> &str {
    match value {
        Yaml::Tagged(tagged) => tagged.value.as_str().unwrap(),
        value => value.as_str().unwrap(),
    }
}
