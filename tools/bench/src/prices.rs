//! List prices in dollars, of us-east-1 where there are regions: the first step of each, without free allowances.
//!
//! Each names its source and the day that the source gives. The bench can't look them up: compare them with the
//! vendors' own pages before you rely on what is made from them.

// Lambda. The GB-seconds: https://cloudchipr.com/blog/aws-lambda-pricing ("2024"). The invocations:
// https://git.mcrn.ar/mariano/lambda_local_runner/src/commit/957e45b8adae23ce50b966346229585b5df18b4d/docs/lambdas-md/lambda-13-cost.md
// (no day given), which has the same GB-seconds.
/// A million invocations.
pub(crate) const INVOCATIONS: f64 = 0.20;
/// A GB-second on x86, the first 6 billion of a month.
pub(crate) const GIGABYTE_SECOND_X86: f64 = 0.000_016_666_7;
/// A GB-second on arm64, the first 7.5 billion of a month.
pub(crate) const GIGABYTE_SECOND_ARM: f64 = 0.000_013_333_4;

// API Gateway. AWS's white paper "Best Practices for Designing Amazon API Gateway Private APIs and Private Integration",
// https://docs.aws.amazon.com/pt_br/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html
// (no day given), and https://awsforengineers.com/blog/aws-api-gateway-pricing-explained of 2025-05-19.
/// A million requests of a REST API, the first 333 million of a month.
pub(crate) const REST_REQUESTS: f64 = 3.50;
/// A million requests of an HTTP API, the first 300 million of a month.
pub(crate) const HTTP_REQUESTS: f64 = 1.00;

// DynamoDB on demand, since November 2024.
// https://airbyte.com/data-engineering-resources/dynamodb-pricing of 2025-07-21; what takes how many units:
// https://aws.amazon.com/dynamodb/pricing/on-demand/ (no day given).
/// A million write request units.
pub(crate) const WRITE_UNITS: f64 = 0.625;
/// A million read request units.
pub(crate) const READ_UNITS: f64 = 0.125;

// Secrets Manager. A transcript of https://aws.amazon.com/secrets-manager/pricing/ of 2026-09-20
// (https://raw.githubusercontent.com/api-evangelist/amazon-secrets-manager/refs/heads/main/plans/amazon-secrets-manager-plans-pricing.yml).
/// Ten thousand calls.
pub(crate) const SECRET_CALLS: f64 = 0.05;
/// A secret, for a month.
pub(crate) const SECRET: f64 = 0.40;

// CloudWatch Logs, Lambda's logs of the standard class. https://www.duckbillgroup.com/?p=9080, on the change of
// 2025-05-01.
/// A GB taken in, the first step of a month.
pub(crate) const GIGABYTE_OF_LOGS: f64 = 0.50;

// CloudWatch. https://cloudburn.io/blog/amazon-cloudwatch-pricing (February 2026) and
// https://signoz.io/guides/cloudwatch-pricing of 2026-02-15: custom metrics, each combination of dimensions by itself;
// https://c3x.dev/resources/aws/aws_cloudwatch_metric_alarm (no day given): alarms;
// https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/ of 2026-06-13: dashboards.
/// A metric that an alarm watches, for a month. That an alarm on several counts several times is from memory of the
/// published list, not confirmed.
pub(crate) const ALARM_METRIC: f64 = 0.10;
/// A custom metric, for a month, the first 10,000. That it is billed for the hours in which it is written, and that the
/// gateway's detailed metrics are billed as custom ones, is from memory, not confirmed.
pub(crate) const CUSTOM_METRIC: f64 = 0.30;
/// A dashboard, for a month.
pub(crate) const DASHBOARD: f64 = 3.00;

// Cognito user pools. A transcript of https://aws.amazon.com/cognito/pricing/ of 2026-09-20
// (https://raw.githubusercontent.com/api-evangelist/amazon-cognito/refs/heads/main/plans/amazon-cognito-plans-pricing.yml).
/// The active users of a month that cost nothing, with Lite and Essentials.
pub(crate) const COGNITO_FREE_USERS: f64 = 10_000.0;
/// An active user of a month. The step of Lite ends at 100,000, which is from memory of the published list, not
/// confirmed.
pub(crate) const COGNITO_LITE_USER: f64 = 0.0055;
/// The same with Essentials.
pub(crate) const COGNITO_ESSENTIALS_USER: f64 = 0.015;
/// The same with Plus, where none are free.
pub(crate) const COGNITO_PLUS_USER: f64 = 0.02;

// Auth0. A transcript of https://auth0.com/pricing of 2026-09-20
// (https://raw.githubusercontent.com/api-evangelist/auth0/refs/heads/main/plans/auth0-plans-pricing.yml).
// It has the plans' first steps only; what more users cost is behind a slider.
/// The active users of a month in the free plan.
pub(crate) const AUTH0_FREE_USERS: f64 = 25_000.0;
/// The plan Essentials for a month.
pub(crate) const AUTH0_ESSENTIALS: f64 = 35.0;
/// The plan Professional for a month.
pub(crate) const AUTH0_PROFESSIONAL: f64 = 240.0;
/// The active users of a month in the first step of either.
pub(crate) const AUTH0_STEP: f64 = 500.0;
