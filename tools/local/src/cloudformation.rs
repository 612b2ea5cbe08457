//! The part of `CloudFormation` and SAM that is emulated: what `template.yaml` uses, and no more.
//!
//! - **Parameters** of the types `String`, `Number` and `CommaDelimitedList`, with the constraints `AllowedValues`,
//!   `AllowedPattern`, `MinValue`, `MaxValue`, `MinLength` and `MaxLength` ([`Parameters`]).
//! - **Intrinsic functions** `Ref`, `Fn::GetAtt` (of `Arn`, and of a table `StreamArn`), `Fn::Sub` (of a string), `Fn::If`, `Fn::Join`,
//!   `Fn::Select`, and in conditions `Fn::Equals`, `Fn::Not` and `Fn::Or`.
//! - **Pseudo parameters** `AWS::AccountId`, `AWS::NoValue`, `AWS::Partition`, `AWS::Region`, `AWS::StackName` and
//!   `AWS::URLSuffix`.
//! - **Events** of functions, of the types `Api` and `DynamoDB`.
//! - **Resources** `AWS::Serverless::Api`, `AWS::Serverless::Function`, `AWS::DynamoDB::Table`,
//!   `AWS::SecretsManager::Secret` and `AWS::SecretsManager::RotationSchedule`; the list `READ` in `template/reader.rs`
//!   has their properties. `Globals` are merged into them as SAM does it.
//!
//! Values are resolved when they are asked for: what has no effect on one machine (roles, alarms, log groups, policies,
//! the dashboard) isn't read, and may hold anything. Whatever else would have to be emulated for the API to be as on AWS
//! is an error that names its place in the template.

mod intrinsics;
mod parameters;
mod pattern;
mod place;
mod resource_names;
mod resources;
mod template;
mod yaml;

pub use parameters::{Constraint, ParameterError};
pub use resources::{Resource, ResourcesError, resources};

pub(crate) use parameters::Parameters;
pub(crate) use template::{
    Authorizer, ConsumerSpec, FunctionSpec, GatewayResponse, IdentitySource, IndexSpec, Route, SecretSpec,
    StartingPosition, StreamSpec, TableSpec, Template,
};
pub(crate) use yaml::{Document, text};

/// The last part of the ARNs of streams: when a stream began, on AWS.
pub(crate) const STREAM_LABEL: &str = "1970-01-01T00:00:00.000";
/// The account that every ARN names, the one that AWS's own examples use.
pub(crate) const ACCOUNT: &str = "123456789012";
/// The region that functions find in their environment.
pub(crate) const REGION: &str = "us-east-1";
/// The stack's name, which generated resource names begin with.
pub(crate) const STACK: &str = "gatehouse";
/// The name, in the template, of the table with the accounts.
pub(crate) const MAIN_TABLE: &str = "Table";
/// The id of the one REST API.
pub(crate) const API_ID: &str = "local";

/// A template that can't be served, and where it says so.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct TemplateError {
    at: String,
    problem: String,
}

impl TemplateError {
    pub(crate) fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into() }
    }
}
