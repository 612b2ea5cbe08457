//! Reads the resources of a template.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{FunctionSpec, SecretSpec, TableSpec, Template, api, stream, table};
use crate::cloudformation::intrinsics::Scope;
use crate::cloudformation::place::Place;
use crate::cloudformation::yaml::intrinsic;
use crate::cloudformation::{Document, MAIN_TABLE, TemplateError};

/// Lambda's own defaults, for a function that sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
const DEFAULT_MEMORY: u64 = 128;

/// The properties that are read of each type of resource, if only to refuse them. Others may need AWS to be resolved.
const READ: [(&str, &[&str]); 5] = [
    (
        "AWS::Serverless::Api",
        &["StageName", "BinaryMediaTypes", "Auth", "GatewayResponses", "Cors", "DefinitionBody", "DefinitionUri"],
    ),
    (
        "AWS::Serverless::Function",
        &["CodeUri", "Timeout", "MemorySize", "ReservedConcurrentExecutions", "Environment", "Events"],
    ),
    (
        "AWS::DynamoDB::Table",
        &[
            "AttributeDefinitions",
            "KeySchema",
            "TimeToLiveSpecification",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "StreamSpecification",
        ],
    ),
    ("AWS::SecretsManager::Secret", &["SecretString", "GenerateSecretString"]),
    ("AWS::SecretsManager::RotationSchedule", &["SecretId", "RotationLambdaARN", "HostedRotationLambda"]),
];

/// Types of resources that would be part of the API.
const NOT_EMULATED: [&str; 3] =
    ["AWS::ApiGateway::GatewayResponse", "AWS::Serverless::HttpApi", "AWS::Serverless::SimpleTable"];

pub(super) struct Reader<'a> {
    pub(super) scope: Scope<'a>,
}

/// A resource with `Globals` merged in.
struct Resource<'a> {
    name: &'a str,
    kind: &'a str,
    properties: Place<'static>,
    /// The names of a function's variables, of those too that resolve to nothing.
    variables: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn read(&self, issuer: Option<String>) -> Result<Template, TemplateError> {
        self.refuse_other_types()?;
        let api = self.the_only("AWS::Serverless::Api")?.properties;
        for key in ["BinaryMediaTypes", "Cors", "DefinitionBody", "DefinitionUri"] {
            api.get(key).refuse()?;
        }
        let mut functions = BTreeMap::new();
        let mut served = Vec::new();
        for resource in self.resources("AWS::Serverless::Function")? {
            let (binary, function) = self.function(&resource)?;
            if functions.insert(binary.clone(), function).is_some() {
                let problem = format!("another function is `{binary}` already");
                return Err(resource.properties.get("CodeUri").wrong(problem));
            }
            served.push((binary, resource.properties));
        }
        let authorizers = api::authorizers(&api.get("Auth").get("Authorizers"), &functions)?;
        let default_authorizer = api.get("Auth").get("DefaultAuthorizer").text()?;
        let tables = self.tables()?;
        let (mut routes, mut consumers) = (Vec::new(), Vec::new());
        for (binary, properties) in &served {
            for (name, event) in properties.get("Events").entries()? {
                if event.value["Type"] == "DynamoDB" {
                    consumers.push(stream::consumer((binary, name), &event, &tables)?);
                } else {
                    routes.push(api::route(binary, &event, &authorizers, default_authorizer.as_ref())?);
                }
            }
        }
        let secrets = self.secrets(&functions)?;
        Ok(Template {
            stage: api.get("StageName").required()?,
            functions,
            routes,
            authorizers,
            gateway_responses: api::gateway_responses(&api)?,
            consumers,
            tables,
            secrets,
            issuer,
        })
    }

    fn refuse_other_types(&self) -> Result<(), TemplateError> {
        for (name, resource) in self.scope.document.section("Resources").as_object().into_iter().flatten() {
            if let Some(kind) = resource["Type"].as_str().filter(|kind| NOT_EMULATED.contains(kind)) {
                return Err(TemplateError::new(format!("Resources.{name}"), format!("{kind} is not emulated")));
            }
        }
        Ok(())
    }

    /// The resources of one type whose condition holds.
    fn resources(&self, kind: &str) -> Result<Vec<Resource<'a>>, TemplateError> {
        let keys = READ.iter().find(|(read, _)| *read == kind).map_or(&[][..], |(_, keys)| keys);
        let mut found = Vec::new();
        for (name, resource) in self.scope.document.section("Resources").as_object().into_iter().flatten() {
            let Some(kind) = resource["Type"].as_str().filter(|declared| *declared == kind) else { continue };
            let at = format!("Resources.{name}");
            if let Some(condition) = resource["Condition"].as_str()
                && !self.scope.condition(condition, &at)?
            {
                continue;
            }
            let at = format!("{at}.Properties");
            let mut merged = with_globals(self.scope.document, kind, &resource["Properties"]);
            if let Some(properties) = merged.as_object_mut() {
                properties.retain(|key, _| keys.contains(&key.as_str()));
            }
            let variables = merged["Environment"]["Variables"].as_object();
            let variables = variables.map(|variables| variables.keys().cloned().collect()).unwrap_or_default();
            let value = Cow::Owned(self.scope.resolve(&merged, &at)?.unwrap_or_default());
            found.push(Resource { name, kind, properties: Place { value, at }, variables });
        }
        Ok(found)
    }

    fn the_only(&self, kind: &str) -> Result<Resource<'a>, TemplateError> {
        let mut found = self.resources(kind)?;
        match (found.pop(), found.pop()) {
            (Some(only), None) => Ok(only),
            _ => Err(TemplateError::new("Resources", format!("there has to be exactly one {kind}"))),
        }
    }

    /// A function, and the name of its binary.
    fn function(&self, resource: &Resource<'_>) -> Result<(String, FunctionSpec), TemplateError> {
        let properties = &resource.properties;
        let code = properties.get("CodeUri");
        let path = code.required()?;
        let binary = path.trim_start_matches("./").trim_end_matches('/').strip_prefix("functions/");
        let binary = binary.ok_or_else(|| code.wrong("only what is under functions/ is served"))?;
        let environment = properties.get("Environment");
        let values = environment.get("Variables");
        let variables = resource.variables.iter().map(|name| Ok((name.clone(), values.get(name).text()?)));
        let function = FunctionSpec {
            name: self.scope.physical_id(resource.name, resource.kind, &properties.at)?,
            arn: self.scope.arn(resource.name, resource.kind, &properties.at)?,
            timeout: properties.get("Timeout").number()?.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            memory_mb: properties.get("MemorySize").number()?.unwrap_or(DEFAULT_MEMORY),
            reserved: properties.get("ReservedConcurrentExecutions").number()?,
            variables: variables.collect::<Result<_, TemplateError>>()?,
        };
        Ok((binary.to_owned(), function))
    }

    fn tables(&self) -> Result<BTreeMap<String, TableSpec>, TemplateError> {
        let mut tables = BTreeMap::new();
        for resource in self.resources("AWS::DynamoDB::Table")? {
            let name = self.scope.physical_id(resource.name, resource.kind, &resource.properties.at)?;
            let stream = self.scope.stream_arn(resource.name, &resource.properties.at)?;
            tables.insert(resource.name.to_owned(), table::table(name, stream, &resource.properties)?);
        }
        if !tables.contains_key(MAIN_TABLE) {
            let problem = format!("there has to be an AWS::DynamoDB::Table of the name {MAIN_TABLE}");
            return Err(TemplateError::new("Resources", problem));
        }
        Ok(tables)
    }

    fn secrets(&self, functions: &BTreeMap<String, FunctionSpec>) -> Result<Vec<SecretSpec>, TemplateError> {
        let mut secrets = Vec::new();
        for resource in self.resources("AWS::SecretsManager::Secret")? {
            let at = &resource.properties.at;
            resource.properties.get("GenerateSecretString").refuse()?;
            secrets.push(SecretSpec {
                name: self.scope.physical_id(resource.name, resource.kind, at)?,
                arn: self.scope.arn(resource.name, resource.kind, at)?,
                value: resource.properties.get("SecretString").text()?,
                rotation: None,
            });
        }
        for resource in self.resources("AWS::SecretsManager::RotationSchedule")? {
            let schedule = &resource.properties;
            schedule.get("HostedRotationLambda").refuse()?;
            let function = api::function_of(&schedule.get("RotationLambdaARN"), functions)?;
            let id = schedule.get("SecretId");
            let secret = secrets.iter_mut().find(|secret| *id.value == *secret.arn || *id.value == *secret.name);
            secret.ok_or_else(|| id.wrong("no secret has this ARN"))?.rotation = Some(function);
        }
        Ok(secrets)
    }
}

/// A resource's properties, with `Globals` merged in.
pub(in crate::cloudformation) fn with_globals(document: &Document, kind: &str, own: &Value) -> Value {
    let globals = document.section("Globals");
    let globals = match kind {
        "AWS::Serverless::Api" => &globals["Api"],
        "AWS::Serverless::Function" => &globals["Function"],
        _ => &Value::Null,
    };
    merge(globals, own)
}

/// Puts a resource's own properties over `Globals`, as SAM does: maps merge, lists are appended to,
/// all else is replaced.
fn merge(globals: &Value, own: &Value) -> Value {
    match (globals, own) {
        (_, own) if intrinsic(own).is_some() || intrinsic(globals).is_some() && !own.is_null() => own.clone(),
        (globals, Value::Null) => globals.clone(),
        (Value::Object(globals), Value::Object(own)) => {
            let mut merged = globals.clone();
            for (key, value) in own {
                let value = merge(globals.get(key).unwrap_or(&Value::Null), value);
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(globals), Value::Array(own)) => globals.iter().chain(own).cloned().collect(),
        (_, own) => own.clone(),
    }
}
