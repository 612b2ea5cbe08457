//! What a stack costs by the month, whatever is asked of it: read from template.yaml, so that a resource which is new
//! there has a price here or is an error.

use std::collections::{BTreeMap, BTreeSet};

use local::Resource;
use serde_json::Value;
use shared::BoxError;

use crate::cost::dollars;
use crate::prices::{ALARM_METRIC, CUSTOM_METRIC, DASHBOARD, SECRET};
use crate::table;

/// The namespace of the metrics that the functions write to their logs.
const NAMESPACE: &str = "Gatehouse";
/// Count, Latency, `IntegrationLatency`, 4XXError and 5XXError: what detailed metrics measure of each method. With a
/// cache there would be two more.
const OF_A_METHOD: u32 = 5;
/// The parameters that add something by the month.
const EVERYTHING: [(&str, &str); 3] = [("Alarms", "on"), ("CloudWatchDashboard", "on"), ("DetailedMetrics", "on")];
/// Types that cost by use alone, or nothing: log lines, calls, messages, and what is only a rule for others.
const BY_USE: [&str; 8] = [
    "AWS::ApiGateway::Account",
    "AWS::IAM::Role",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::RotationSchedule",
    "AWS::Serverless::Function",
    // The web ACL itself is no part of the stack.
    "AWS::WAFv2::WebACLAssociation",
];
/// Properties that would cost by the hour or the month: there is no price for them here.
const NOT_PRICED: [(&str, &str); 7] = [
    ("AWS::Serverless::Api", "CacheClusterEnabled"),
    ("AWS::Serverless::Function", "ProvisionedConcurrencyConfig"),
    ("AWS::DynamoDB::Table", "ProvisionedThroughput"),
    ("AWS::SecretsManager::Secret", "KmsKeyId"),
    ("AWS::SecretsManager::Secret", "ReplicaRegions"),
    ("AWS::SQS::Queue", "KmsMasterKeyId"),
    ("AWS::CloudWatch::Alarm", "ThresholdMetricId"),
];

/// What a stack has that costs by the month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Monthly {
    secrets: u32,
    /// The metrics that the alarms watch: each costs as an alarm.
    alarm_metrics: u32,
    dashboards: u32,
    /// Custom metrics that the functions write. `CloudWatch` bills one for the hours in which it is written.
    metrics: u32,
    /// The same of the gateway's detailed metrics.
    detailed_metrics: u32,
}

impl Monthly {
    /// What a stack of this template has with these parameters.
    ///
    /// # Errors
    /// The template can't be read, or has something without a price here.
    pub(crate) fn of(template: &str, parameters: &BTreeMap<String, String>) -> Result<Self, BoxError> {
        let resources = local::resources(template, parameters)?;
        let mut monthly = Self { metrics: custom_metrics(&resources)?, ..Self::default() };
        for resource in &resources {
            for (_, property) in NOT_PRICED.iter().filter(|(kind, _)| *kind == resource.kind) {
                if !resource.properties[property].is_null() {
                    return Err(format!("{} has {property}, which has no price here", resource.name).into());
                }
            }
            let own = Self::of_resource(resource, &resources)?;
            if resource.exists {
                monthly.secrets += own.secrets;
                monthly.alarm_metrics += own.alarm_metrics;
                monthly.dashboards += own.dashboards;
                monthly.detailed_metrics += own.detailed_metrics;
            }
        }
        Ok(monthly)
    }

    /// What one resource adds; the metrics of the functions are counted by themselves.
    fn of_resource(resource: &Resource, all: &[Resource]) -> Result<Self, BoxError> {
        let Resource { name, kind, properties, .. } = resource;
        let nothing = Self::default();
        match kind.as_str() {
            "AWS::SecretsManager::Secret" => Ok(Self { secrets: 1, ..nothing }),
            "AWS::CloudWatch::Alarm" => Ok(Self { alarm_metrics: watched(name, properties)?, ..nothing }),
            "AWS::CloudWatch::Dashboard" => Ok(Self { dashboards: 1, ..nothing }),
            "AWS::Serverless::Api" => {
                let settings = properties["MethodSettings"].as_array().map(Vec::as_slice).unwrap_or_default();
                let are_detailed = settings.iter().any(|setting| setting["MetricsEnabled"] == true);
                let detailed_metrics = if are_detailed { methods(all)? * OF_A_METHOD } else { 0 };
                Ok(Self { detailed_metrics, ..nothing })
            }
            "AWS::DynamoDB::Table" if properties["BillingMode"] == "PAY_PER_REQUEST" => Ok(nothing),
            kind if BY_USE.contains(&kind) => Ok(nothing),
            kind => Err(format!("{name}, {kind}, has no price here").into()),
        }
    }

    /// Dollars a month for a stack that nobody calls.
    pub(crate) fn idle(self) -> f64 {
        let fixed = [(self.secrets, SECRET), (self.alarm_metrics, ALARM_METRIC), (self.dashboards, DASHBOARD)];
        fixed.into_iter().map(|(count, each)| f64::from(count) * each).sum()
    }

    /// Dollars a month for one where every metric is written in every hour, beside what each call costs.
    pub(crate) fn in_use(self) -> f64 {
        self.idle() + f64::from(self.metrics + self.detailed_metrics) * CUSTOM_METRIC
    }

    /// Name, price of one, number while nobody calls, and number in use.
    fn lines(self) -> [(&'static str, f64, u32, u32); 5] {
        [
            ("secrets", SECRET, self.secrets, self.secrets),
            ("metrics that alarms watch", ALARM_METRIC, self.alarm_metrics, self.alarm_metrics),
            ("dashboards", DASHBOARD, self.dashboards, self.dashboards),
            ("custom metrics of the functions", CUSTOM_METRIC, 0, self.metrics),
            ("detailed metrics of the gateway", CUSTOM_METRIC, 0, self.detailed_metrics),
        ]
    }
}

/// The table for a stack with these parameters, beside one with everything that adds something.
///
/// # Errors
/// As for [`Monthly::of`].
pub(crate) fn table(template: &str, parameters: &BTreeMap<String, String>) -> Result<String, BoxError> {
    let own = Monthly::of(template, parameters)?;
    let everything = EVERYTHING.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let everything = Monthly::of(template, &everything)?;
    let cell = |count: u32, each: f64| format!("{count}: {}", dollars(f64::from(count) * each));
    let rows =
        own.lines().into_iter().zip(everything.lines()).map(|((what, each, idle, used), (_, _, idle2, used2))| {
            [what.to_owned(), dollars(each), cell(idle, each), cell(used, each), cell(idle2, each), cell(used2, each)]
        });
    let sums = [own.idle(), own.in_use(), everything.idle(), everything.in_use()].map(dollars);
    let [own_idle, own_used, idle, used] = sums;
    let sum = ["in all".to_owned(), String::new(), own_idle, own_used, idle, used];
    let own = if parameters.is_empty() { ["default, idle", "in use"] } else { ["as given, idle", "in use"] };
    let heads = ["dollars a month", "each", own[0], own[1], "everything on, idle", "in use"];
    let mut text = String::new();
    table::write(&mut text, heads, rows.chain([sum]));
    Ok(text)
}

/// How many metrics an alarm watches.
fn watched(name: &str, alarm: &Value) -> Result<u32, BoxError> {
    let queries = alarm["Metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let stats: Vec<&Value> = queries.iter().map(|query| &query["MetricStat"]).filter(|stat| !stat.is_null()).collect();
    let periods = stats.iter().map(|stat| &stat["Period"]).chain(alarm.get("Period"));
    if periods.clone().any(|period| period.as_u64().is_none_or(|seconds| seconds < 60)) {
        return Err(format!("{name} looks more often than once a minute, which has no price here").into());
    }
    Ok(u32::try_from(periods.count())?)
}

/// How many methods the routes of the API have.
fn methods(resources: &[Resource]) -> Result<u32, BoxError> {
    let events = resources.iter().filter_map(|resource| resource.properties["Events"].as_object());
    let routes = events.flat_map(|events| events.values()).filter(|event| event["Type"] == "Api");
    let methods: BTreeSet<_> = routes
        .map(|route| (route["Properties"]["Path"].to_string(), route["Properties"]["Method"].to_string()))
        .collect();
    Ok(u32::try_from(methods.len())?)
}

/// How many custom metrics the functions write: those that an alarm or the dashboard reads, be it there or not. A test
/// of tests/suite holds the two to each other.
fn custom_metrics(resources: &[Resource]) -> Result<u32, BoxError> {
    let mut names = BTreeSet::new();
    for Resource { kind, properties, .. } in resources {
        match kind.as_str() {
            "AWS::CloudWatch::Alarm" => names_in(properties, &mut names),
            "AWS::CloudWatch::Dashboard" => names_in(&dashboard(properties)?, &mut names),
            _ => {}
        }
    }
    Ok(u32::try_from(names.len())?)
}

/// A dashboard's JSON, with 0 in the place of what is put into it.
fn dashboard(properties: &Value) -> Result<Value, BoxError> {
    let text = properties["DashboardBody"]["Fn::Sub"][0].as_str().ok_or("the dashboard is no `!Sub` of a list")?;
    let mut parts = text.split("${");
    let mut body = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('}').ok_or("the dashboard has a ${ without its end")?;
        body.push('0');
        body.push_str(rest);
    }
    Ok(serde_json::from_str(&body)?)
}

/// The metrics of ours below a value: `MetricName` of an alarm, and lines of a dashboard. Each has one dimension, the
/// stack, and so is one custom metric.
fn names_in(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if members.get("Namespace").is_some_and(|namespace| namespace == NAMESPACE) {
                names.insert(members.get("MetricName").and_then(Value::as_str).unwrap_or_default().to_owned());
            }
            members.values().for_each(|member| names_in(member, names));
        }
        Value::Array(items) => match items.as_slice() {
            [namespace, Value::String(name), ..] if namespace == NAMESPACE => {
                names.insert(name.clone());
            }
            items => items.iter().for_each(|item| names_in(item, names)),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> String {
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml")).unwrap()
    }

    fn with(parameters: &[(&str, &str)]) -> Monthly {
        let given = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Monthly::of(&template(), &given).unwrap()
    }

    fn problem(resource: &str) -> String {
        let template = format!("Resources:\n  It: {resource}");
        Monthly::of(&template, &BTreeMap::new()).unwrap_err().to_string()
    }

    /// Also with every custom metric in every hour.
    #[test]
    fn a_stack_costs_five_dollars_a_month_by_default() {
        let monthly = with(&[]);
        assert!(monthly.idle() <= 5.0 && monthly.in_use() <= 5.0, "{monthly:?}");
        assert!(monthly.secrets == 1 && monthly.alarm_metrics >= 10 && monthly.metrics == 8, "{monthly:?}");
    }

    #[test]
    fn parameters_decide_what_there_is_to_pay() {
        let (default, quiet) = (with(&[]), with(&[("Alarms", "off")]));
        assert_eq!((quiet.alarm_metrics, quiet.metrics), (0, default.metrics));
        // Those that take a deployment back.
        assert_eq!(with(&[("Alarms", "off"), ("CanaryDeployment", "true")]).alarm_metrics, 2);
        let everything = with(&EVERYTHING);
        assert_eq!((default.dashboards, default.detailed_metrics, everything.dashboards), (0, 0, 1));
        assert!(everything.detailed_metrics > 100 && everything.in_use() > 30.0, "{everything:?}");
    }

    #[test]
    fn what_has_no_price_is_an_error() {
        for (resource, named) in [
            ("{Type: 'AWS::EC2::NatGateway'}", "It, AWS::EC2::NatGateway, has no price here"),
            ("{Type: 'AWS::DynamoDB::Table'}", "It, AWS::DynamoDB::Table, has no price here"),
            (
                "{Type: 'AWS::Serverless::Function', Properties: {ProvisionedConcurrencyConfig: {}}}",
                "It has ProvisionedConcurrencyConfig, which has no price here",
            ),
            (
                "{Type: 'AWS::CloudWatch::Alarm', Properties: {MetricName: m, Period: 10}}",
                "It looks more often than once a minute, which has no price here",
            ),
        ] {
            assert_eq!(problem(resource), named);
        }
    }

    #[test]
    fn the_page_of_costs_has_the_table() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/costs.md")).unwrap();
        let table = table(&template(), &BTreeMap::new()).unwrap();
        assert!(page.contains(table.trim_end()), "docs/costs.md lacks:\n{table}");
    }
}
