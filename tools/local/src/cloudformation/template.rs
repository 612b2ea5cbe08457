//! The part of a SAM template that is served: the REST API with its routes, authorizers and gateway responses, the
//! functions behind it, the tables and the secrets.

mod api;
mod reader;
mod stream;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use self::reader::Reader;
pub(super) use self::reader::with_globals;
use super::intrinsics::Scope;
use super::pattern::Pattern;
use super::{Document, Parameters, TemplateError};
use crate::secrets::Arns;

/// The part of a template that is served.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) stage: String,
    /// By the name of the binary, the last part of `CodeUri`.
    pub(crate) functions: BTreeMap<String, FunctionSpec>,
    pub(crate) routes: Vec<Route>,
    pub(crate) consumers: Vec<ConsumerSpec>,
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
    /// By response type, `UNAUTHORIZED` for one.
    pub(crate) gateway_responses: BTreeMap<String, GatewayResponse>,
    /// By their names in the template. One is `Table`.
    pub(crate) tables: BTreeMap<String, TableSpec>,
    pub(crate) secrets: Vec<SecretSpec>,
    /// The template's `Issuer` parameter, where it is set.
    pub(crate) issuer: Option<String>,
}

/// An `AWS::Serverless::Function`.
#[derive(Debug)]
pub(crate) struct FunctionSpec {
    /// The name that AWS knows the function by.
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u64,
    /// `ReservedConcurrentExecutions`: a call that finds so many others is throttled.
    pub(crate) reserved: Option<u32>,
    /// `None` is a variable that the template leaves out under its present parameters.
    pub(crate) variables: BTreeMap<String, Option<String>>,
}

/// One method of one path.
#[derive(Debug)]
pub(crate) struct Route {
    /// As API Gateway writes it: `/users/{username}`, `/{proxy+}`.
    pub(crate) path: String,
    /// In capitals, or `ANY`.
    pub(crate) method: String,
    pub(crate) function: String,
    pub(crate) authorizer: Option<String>,
}

/// A REQUEST authorizer.
#[derive(Debug)]
pub(crate) struct Authorizer {
    pub(crate) function: String,
    pub(crate) identity: Vec<IdentitySource>,
    /// How long a result is kept; zero keeps none.
    pub(crate) reauthorize_every: Duration,
}

/// A part of the request that has to be there before the authorizer is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IdentitySource {
    Header(String),
    /// A path into `$context`, `identity.sourceIp` for one.
    Context(String),
}

/// How API Gateway words one kind of refusal.
#[derive(Debug, Default)]
pub(crate) struct GatewayResponse {
    pub(crate) status: Option<u16>,
    /// Mapping expressions: `'a literal'`, `method.request.header.Origin`, `context.requestId`.
    pub(crate) headers: BTreeMap<String, String>,
    /// By content type.
    pub(crate) templates: BTreeMap<String, String>,
}

/// An `AWS::DynamoDB::Table`.
#[derive(Debug)]
pub(crate) struct TableSpec {
    /// The name that AWS knows the table by.
    pub(crate) name: String,
    /// Name and type: `S`, `N` or `B`.
    pub(crate) attributes: Vec<(String, String)>,
    /// Name and `HASH` or `RANGE`.
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) indexes: Vec<IndexSpec>,
    pub(crate) ttl_attribute: Option<String>,
    pub(crate) stream: Option<StreamSpec>,
}

/// A table's stream of changes.
#[derive(Debug)]
pub(crate) struct StreamSpec {
    pub(crate) arn: String,
    /// `KEYS_ONLY`, `NEW_IMAGE`, `OLD_IMAGE` or `NEW_AND_OLD_IMAGES`.
    pub(crate) view_type: String,
}

/// A function that is told of a table's changes: its event of the type `DynamoDB`.
#[derive(Debug)]
pub(crate) struct ConsumerSpec {
    /// The name of the binary.
    pub(crate) function: String,
    /// The event's name in the template.
    pub(crate) name: String,
    /// The name that AWS knows the table by.
    pub(crate) table: String,
    /// The stream's ARN.
    pub(crate) stream: String,
    pub(crate) start: StartingPosition,
    /// The most changes in one call.
    pub(crate) batch_size: usize,
    /// A change has to match one of these, if there are any.
    pub(crate) filters: Vec<Pattern>,
    /// How often a call that failed is made again; `None` for ever.
    pub(crate) retries: Option<u32>,
    /// Whether a batch that failed is made again in two halves.
    pub(crate) bisects: bool,
    /// The ARN of what is told of changes that were given up.
    pub(crate) on_failure: Option<String>,
}

/// Where a function begins to read a stream that it hasn't read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartingPosition {
    /// With the oldest change.
    TrimHorizon,
    /// With the next one.
    Latest,
}

/// A global secondary index of a table.
#[derive(Debug)]
pub(crate) struct IndexSpec {
    pub(crate) name: String,
    /// Name and `HASH` or `RANGE`.
    pub(crate) keys: Vec<(String, String)>,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub(crate) projection: String,
    /// With `INCLUDE`, what the index holds beside the keys.
    pub(crate) included: Vec<String>,
}

/// An `AWS::SecretsManager::Secret`.
#[derive(Debug)]
pub(crate) struct SecretSpec {
    pub(crate) name: String,
    pub(crate) arn: String,
    /// `SecretString`, what it holds when it is made; without it, nothing.
    pub(crate) value: Option<String>,
    /// The binary of the function that rotates it.
    pub(crate) rotation: Option<String>,
}

impl Template {
    /// Reads a template with these values of its parameters; `arns` knows those of secrets.
    ///
    /// # Errors
    /// Names the place and what is wrong there.
    pub(crate) fn read(document: &Document, parameters: &Parameters, arns: &Arns) -> Result<Self, TemplateError> {
        let issuer = parameters.get("Issuer").and_then(Value::as_str).filter(|issuer| !issuer.is_empty());
        Reader { scope: Scope { document, parameters, arns } }.read(issuer.map(str::to_owned))
    }
}
