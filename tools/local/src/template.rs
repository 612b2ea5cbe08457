//! What of a SAM template the local stack serves: the REST API with its routes, authorizers and
//! gateway responses, the functions behind it, the table and the secrets.
//!
//! What it doesn't know how to serve, it refuses by name; what has no effect on a machine of one's
//! own (roles, alarms, log groups) it doesn't read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::intrinsics::{API_ID, Scope, intrinsic, long_form, text};
use crate::random_password::Password;
use crate::vault::Arns;

/// Lambda's own defaults, for a function that sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
const DEFAULT_MEMORY: u64 = 128;
/// The most instances that a function has at once: a laptop's limit. Lambda has a thousand for an account.
const MOST_INSTANCES: u32 = 50;
/// How long API Gateway waits for a function: the default, and the most.
const INTEGRATION_LIMIT: Duration = Duration::from_secs(29);
/// API Gateway's default for `ReauthorizeEvery`.
const DEFAULT_REAUTHORIZE: u64 = 300;

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

/// The part of a template that is served.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) stage: String,
    pub(crate) binary_media_types: Vec<String>,
    /// By the name of the binary, the last part of `CodeUri`.
    pub(crate) functions: BTreeMap<String, FunctionSpec>,
    pub(crate) routes: Vec<Route>,
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
    /// By response type, `UNAUTHORIZED` for one.
    pub(crate) gateway_responses: BTreeMap<String, GatewayResponse>,
    pub(crate) table: TableSpec,
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
    /// The most instances at once; calls beyond wait for one.
    pub(crate) instances: u32,
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
    /// How long the gateway waits for the function.
    pub(crate) limit: Duration,
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
    Query(String),
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
    pub(crate) name: String,
    /// Name and type: `S`, `N` or `B`.
    pub(crate) attributes: Vec<(String, String)>,
    /// Name and `HASH` or `RANGE`.
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) ttl_attribute: Option<String>,
}

/// An `AWS::SecretsManager::Secret`.
#[derive(Debug)]
pub(crate) struct SecretSpec {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) value: FirstValue,
    /// The binary of the function that rotates it.
    pub(crate) rotation: Option<String>,
}

/// What a secret holds when it's made.
#[derive(Debug)]
pub(crate) enum FirstValue {
    Nothing,
    /// `SecretString`.
    Given(String),
    /// `GenerateSecretString`.
    Generated {
        password: Password,
        /// A JSON object, and the key that the password gets in it.
        inside: Option<(Map<String, Value>, String)>,
    },
}

impl Template {
    /// Reads a template, `overrides` in the place of its parameters' defaults; `arns` knows those of
    /// secrets.
    ///
    /// # Errors
    /// Names the place and what is wrong there.
    pub(crate) fn parse(yaml: &str, overrides: &BTreeMap<String, String>, arns: &Arns) -> Result<Self, TemplateError> {
        let yaml =
            serde_yaml_ng::from_str(yaml).map_err(|error| TemplateError::new("not a template", error.to_string()))?;
        let sections = long_form(yaml)?;
        let scope = Scope::new(&sections, overrides, arns)?;
        let issuer = scope.parameter("Issuer").filter(|issuer| !issuer.is_empty()).map(str::to_owned);
        Reader { sections: &sections, scope }.read(issuer)
    }
}

/// What is read of each type of resource. The rest may hold what only AWS can resolve.
const READ: [(&str, &[&str]); 6] = [
    (
        "AWS::Serverless::Api",
        &["StageName", "BinaryMediaTypes", "Auth", "GatewayResponses", "Cors", "DefinitionBody", "DefinitionUri"],
    ),
    (
        "AWS::Serverless::Function",
        &["CodeUri", "Timeout", "MemorySize", "ReservedConcurrentExecutions", "Environment", "Events"],
    ),
    ("AWS::ApiGateway::GatewayResponse", &["ResponseType", "StatusCode", "ResponseParameters", "ResponseTemplates"]),
    (
        "AWS::DynamoDB::Table",
        &[
            "AttributeDefinitions",
            "KeySchema",
            "TimeToLiveSpecification",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
        ],
    ),
    ("AWS::SecretsManager::Secret", &["SecretString", "GenerateSecretString"]),
    ("AWS::SecretsManager::RotationSchedule", &["SecretId", "RotationLambdaARN", "HostedRotationLambda"]),
];

struct Reader<'a> {
    sections: &'a Value,
    scope: Scope<'a>,
}

/// A resource with `Globals` merged in.
struct Resource<'a> {
    name: &'a str,
    kind: &'a str,
    properties: Place<'static>,
    /// The names of a function's variables, of those too that resolve to nothing.
    variables: Vec<String>,
}

/// A resolved value, and where it stands in the template.
struct Place<'v> {
    value: Cow<'v, Value>,
    at: String,
}

impl Place<'_> {
    /// What stands under `key`; `null` if nothing does.
    fn get(&self, key: &str) -> Place<'_> {
        Place { value: Cow::Borrowed(&self.value[key]), at: format!("{}.{key}", self.at) }
    }

    fn entries(&self) -> Result<Vec<(&String, Place<'_>)>, TemplateError> {
        match &*self.value {
            Value::Null => Ok(Vec::new()),
            Value::Object(entries) => Ok(entries.keys().map(|key| (key, self.get(key))).collect()),
            _ => Err(self.wrong("this has to be a map")),
        }
    }

    fn text(&self) -> Result<Option<String>, TemplateError> {
        match &*self.value {
            Value::Null => Ok(None),
            value => text(value).map(Some).ok_or_else(|| self.wrong("this has to be a string")),
        }
    }

    fn required(&self) -> Result<String, TemplateError> {
        self.text()?.ok_or_else(|| self.wrong("this is missing or has no value"))
    }

    fn number<N: FromStr>(&self) -> Result<Option<N>, TemplateError> {
        self.text()?.map(|number| number.parse().map_err(|_| self.wrong("this has to be a number"))).transpose()
    }

    fn flag(&self) -> Result<Option<bool>, TemplateError> {
        self.text()?.map(|flag| flag.parse().map_err(|_| self.wrong("this has to be true or false"))).transpose()
    }

    fn list(&self) -> Result<Vec<String>, TemplateError> {
        match &*self.value {
            Value::Null => Ok(Vec::new()),
            value => value
                .as_array()
                .and_then(|items| items.iter().map(text).collect())
                .ok_or_else(|| self.wrong("this has to be a list of strings")),
        }
    }

    fn map(&self) -> Result<BTreeMap<String, String>, TemplateError> {
        self.entries()?.into_iter().map(|(key, value)| Ok((key.clone(), value.required()?))).collect()
    }

    fn refuse(&self) -> Result<(), TemplateError> {
        if self.value.is_null() { Ok(()) } else { Err(self.wrong("this is not served locally")) }
    }

    fn wrong(&self, problem: impl Into<String>) -> TemplateError {
        TemplateError::new(&self.at, problem)
    }
}

impl<'a> Reader<'a> {
    fn read(&self, issuer: Option<String>) -> Result<Template, TemplateError> {
        let api = self.the_only("AWS::Serverless::Api")?.properties;
        for key in ["Cors", "DefinitionBody", "DefinitionUri"] {
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
        let authorizers = authorizers(&api.get("Auth").get("Authorizers"), &functions)?;
        let default_authorizer = api.get("Auth").get("DefaultAuthorizer").text()?;
        let mut routes = Vec::new();
        for (binary, properties) in &served {
            for (_, event) in properties.get("Events").entries()? {
                if event.value["Type"] == "Api" {
                    routes.push(route(binary, &event.get("Properties"), &authorizers, default_authorizer.as_ref())?);
                }
            }
        }
        let secrets = self.secrets(&functions)?;
        Ok(Template {
            stage: api.get("StageName").required()?,
            // SAM writes the slash as `~1`.
            binary_media_types: api
                .get("BinaryMediaTypes")
                .list()?
                .iter()
                .map(|kind| kind.replace("~1", "/"))
                .collect(),
            functions,
            routes,
            authorizers,
            gateway_responses: self.gateway_responses(&api)?,
            table: self.table()?,
            secrets,
            issuer,
        })
    }

    /// The resources of one type whose condition holds.
    fn resources(&self, kind: &str) -> Result<Vec<Resource<'a>>, TemplateError> {
        let globals = match kind {
            "AWS::Serverless::Api" => &self.sections["Globals"]["Api"],
            "AWS::Serverless::Function" => &self.sections["Globals"]["Function"],
            _ => &Value::Null,
        };
        let keys = READ.iter().find(|(read, _)| *read == kind).map_or(&[][..], |(_, keys)| keys);
        let mut found = Vec::new();
        for (name, resource) in self.sections["Resources"].as_object().into_iter().flatten() {
            let Some(kind) = resource["Type"].as_str().filter(|declared| *declared == kind) else { continue };
            let at = format!("Resources.{name}");
            if let Some(condition) = resource["Condition"].as_str()
                && !self.scope.condition(condition, &at)?
            {
                continue;
            }
            let at = format!("{at}.Properties");
            let mut merged = merge(globals, &resource["Properties"]);
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
        let reserved = properties.get("ReservedConcurrentExecutions").number()?;
        let function = FunctionSpec {
            name: self.scope.physical_id(resource.name, resource.kind, &properties.at)?,
            arn: self.scope.arn(resource.name, resource.kind, &properties.at)?,
            timeout: properties.get("Timeout").number()?.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            memory_mb: properties.get("MemorySize").number()?.unwrap_or(DEFAULT_MEMORY),
            reserved,
            instances: reserved.map_or(MOST_INSTANCES, |reserved| reserved.min(MOST_INSTANCES)),
            variables: variables.collect::<Result<_, TemplateError>>()?,
        };
        Ok((binary.to_owned(), function))
    }

    /// Both ways to write them: the API's `GatewayResponses`, and resources of their own.
    fn gateway_responses(&self, api: &Place<'_>) -> Result<BTreeMap<String, GatewayResponse>, TemplateError> {
        let mut responses = BTreeMap::new();
        for (kind, declaration) in api.get("GatewayResponses").entries()? {
            let headers = declaration.get("ResponseParameters").get("Headers").map()?;
            responses.insert(kind.clone(), gateway_response(&declaration, headers)?);
        }
        for resource in self.resources("AWS::ApiGateway::GatewayResponse")? {
            let declaration = resource.properties;
            let parameters = declaration.get("ResponseParameters").map()?;
            let headers = parameters
                .into_iter()
                .filter_map(|(key, value)| Some((key.strip_prefix("gatewayresponse.header.")?.to_owned(), value)))
                .collect();
            responses.insert(declaration.get("ResponseType").required()?, gateway_response(&declaration, headers)?);
        }
        Ok(responses)
    }

    fn table(&self) -> Result<TableSpec, TemplateError> {
        let resource = self.the_only("AWS::DynamoDB::Table")?;
        let properties = &resource.properties;
        for key in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
            properties.get(key).refuse()?;
        }
        let pairs = |property: &str, second: &str| {
            let list = properties.get(property);
            let pair = |item: &Value| Some((text(&item["AttributeName"])?, text(&item[second])?));
            let pairs = list.value.as_array().and_then(|items| items.iter().map(pair).collect());
            pairs.ok_or_else(|| list.wrong(format!("this has to be a list of AttributeName and {second}")))
        };
        let ttl = properties.get("TimeToLiveSpecification");
        let is_enabled = ttl.get("Enabled").text()?.is_some_and(|enabled| enabled == "true");
        Ok(TableSpec {
            name: self.scope.physical_id(resource.name, resource.kind, &properties.at)?,
            attributes: pairs("AttributeDefinitions", "AttributeType")?,
            keys: pairs("KeySchema", "KeyType")?,
            ttl_attribute: ttl.get("AttributeName").text()?.filter(|_| is_enabled),
        })
    }

    fn secrets(&self, functions: &BTreeMap<String, FunctionSpec>) -> Result<Vec<SecretSpec>, TemplateError> {
        let mut secrets = Vec::new();
        for resource in self.resources("AWS::SecretsManager::Secret")? {
            let at = &resource.properties.at;
            secrets.push(SecretSpec {
                name: self.scope.physical_id(resource.name, resource.kind, at)?,
                arn: self.scope.arn(resource.name, resource.kind, at)?,
                value: first_value(&resource.properties)?,
                rotation: None,
            });
        }
        for resource in self.resources("AWS::SecretsManager::RotationSchedule")? {
            let schedule = &resource.properties;
            schedule.get("HostedRotationLambda").refuse()?;
            let function = function_of(&schedule.get("RotationLambdaARN"), functions)?;
            let id = schedule.get("SecretId");
            let secret = secrets.iter_mut().find(|secret| *id.value == *secret.arn || *id.value == *secret.name);
            secret.ok_or_else(|| id.wrong("no secret has this ARN"))?.rotation = Some(function);
        }
        Ok(secrets)
    }
}

fn first_value(secret: &Place<'_>) -> Result<FirstValue, TemplateError> {
    let generate = secret.get("GenerateSecretString");
    match secret.get("SecretString").text()? {
        Some(_) if !generate.value.is_null() => {
            return Err(generate.wrong("a secret has a SecretString or this, not both"));
        }
        Some(value) => return Ok(FirstValue::Given(value)),
        None if generate.value.is_null() => return Ok(FirstValue::Nothing),
        None => {}
    }
    let is_set = |switch: &str| Ok::<_, TemplateError>(generate.get(switch).flag()?.unwrap_or(false));
    let mut password = Password::with_length(generate.get("PasswordLength").number()?.unwrap_or(32));
    password.lower_case = !is_set("ExcludeLowercase")?;
    password.upper_case = !is_set("ExcludeUppercase")?;
    password.digits = !is_set("ExcludeNumbers")?;
    password.punctuation = !is_set("ExcludePunctuation")?;
    password.space = is_set("IncludeSpace")?;
    password.excluded = generate.get("ExcludeCharacters").text()?.unwrap_or_default();
    password.one_of_each = generate.get("RequireEachIncludedType").flag()?.unwrap_or(true);
    if !password.is_possible() {
        return Err(generate.wrong("no password is like this"));
    }
    let (template, key) = (generate.get("SecretStringTemplate"), generate.get("GenerateStringKey"));
    let inside = match (template.text()?, key.text()?) {
        (None, None) => None,
        (Some(object), Some(key)) => {
            let object = serde_json::from_str(&object).map_err(|_| template.wrong("this has to be a JSON object"))?;
            Some((object, key))
        }
        _ => return Err(generate.wrong("SecretStringTemplate and GenerateStringKey go together")),
    };
    Ok(FirstValue::Generated { password, inside })
}

/// The binary of the function that has the ARN in `arn`.
fn function_of(arn: &Place<'_>, functions: &BTreeMap<String, FunctionSpec>) -> Result<String, TemplateError> {
    let function = functions.iter().find(|(_, function)| *arn.value == *function.arn);
    function.map(|(binary, _)| binary.clone()).ok_or_else(|| arn.wrong("no function has this ARN"))
}

fn route(
    binary: &str,
    event: &Place<'_>,
    authorizers: &BTreeMap<String, Authorizer>,
    default_authorizer: Option<&String>,
) -> Result<Route, TemplateError> {
    if event.value["RestApiId"] != API_ID {
        return Err(event.get("RestApiId").wrong("this has to name the one API that is served"));
    }
    let chosen = event.get("Auth").get("Authorizer").text()?;
    let authorizer = chosen.or_else(|| default_authorizer.cloned()).filter(|name| name != "NONE");
    if let Some(unknown) = authorizer.as_ref().filter(|name| !authorizers.contains_key(*name)) {
        return Err(event.get("Auth").get("Authorizer").wrong(format!("the API has no authorizer `{unknown}`")));
    }
    let limit = event.get("TimeoutInMillis").number()?.map_or(INTEGRATION_LIMIT, Duration::from_millis);
    Ok(Route {
        path: event.get("Path").required()?,
        method: event.get("Method").required()?.to_ascii_uppercase(),
        function: binary.to_owned(),
        authorizer,
        limit: limit.min(INTEGRATION_LIMIT),
    })
}

fn authorizers(
    declarations: &Place<'_>,
    functions: &BTreeMap<String, FunctionSpec>,
) -> Result<BTreeMap<String, Authorizer>, TemplateError> {
    let mut authorizers = BTreeMap::new();
    for (name, declaration) in declarations.entries()? {
        if declaration.get("FunctionPayloadType").text()?.as_deref() != Some("REQUEST") {
            return Err(declaration.wrong("only Lambda authorizers of the type REQUEST are served"));
        }
        let function = function_of(&declaration.get("FunctionArn"), functions)?;

        let sources = declaration.get("Identity");
        let headers = sources.get("Headers").list()?.into_iter().map(IdentitySource::Header);
        let query = sources.get("QueryStrings").list()?.into_iter().map(IdentitySource::Query);
        let context = sources.get("Context").list()?.into_iter().map(IdentitySource::Context);
        let identity: Vec<_> = headers.chain(query).chain(context).collect();
        let seconds = sources.get("ReauthorizeEvery").number()?.unwrap_or(DEFAULT_REAUTHORIZE);
        if seconds > 0 && identity.is_empty() {
            return Err(sources.wrong(
                "to keep results there has to be something to know a caller by: \
                 set Headers, QueryStrings or Context, or ReauthorizeEvery: 0",
            ));
        }
        let reauthorize_every = Duration::from_secs(seconds);
        authorizers.insert(name.clone(), Authorizer { function, identity, reauthorize_every });
    }
    Ok(authorizers)
}

fn gateway_response(
    declaration: &Place<'_>,
    headers: BTreeMap<String, String>,
) -> Result<GatewayResponse, TemplateError> {
    let status = declaration.get("StatusCode").number()?;
    if status.is_some_and(|status: u16| !(100..600).contains(&status)) {
        return Err(declaration.get("StatusCode").wrong("this has to be an HTTP status"));
    }
    let templates = declaration.get("ResponseTemplates");
    for (_, template) in templates.entries()? {
        let text = template.required()?;
        let mut variables = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
        if let Some(other) = variables.find(|variable| !variable.starts_with("context.")) {
            let name: String = other.chars().take_while(|c| c.is_alphanumeric() || *c == '.').collect();
            let problem = format!("`${name}` is not supported here: of a template's language, only `$context` is");
            return Err(template.wrong(problem));
        }
    }
    Ok(GatewayResponse { status, headers, templates: templates.map()? })
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Issuer: {Type: String, Default: ''}
  Cached: {Type: String, Default: 'false', AllowedValues: ['true', 'false']}
Conditions:
  IsCached: !Equals [!Ref Cached, 'true']
  HasIssuer: !Not [!Equals [!Ref Issuer, '']]
Globals:
  Function: {Timeout: 5, Environment: {Variables: {TABLE: !Ref Table, ISSUER: !Ref Issuer}}}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      BinaryMediaTypes: [image~1png]
      Auth:
        DefaultAuthorizer: Token
        Authorizers:
          Token:
            FunctionArn: !GetAtt AuthorizerFunction.Arn
            FunctionPayloadType: REQUEST
            Identity:
              Headers: !If [IsCached, [Authorization], !Ref 'AWS::NoValue']
              ReauthorizeEvery: !If [IsCached, 60, 0]
      GatewayResponses:
        UNAUTHORIZED:
          StatusCode: 401
          ResponseParameters: {Headers: {WWW-Authenticate: \"'Bearer'\"}}
          ResponseTemplates: {application/json: '{\"error\":$context.error.messageString}'}
  Denied:
    Type: AWS::ApiGateway::GatewayResponse
    Properties:
      RestApiId: !Ref Api
      ResponseType: ACCESS_DENIED
      ResponseParameters: {gatewayresponse.header.X-Kind: \"'denied'\"}
  LoginFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/login
      MemorySize: 1769
      Environment: {Variables: {EXTRA: 1, AUDIENCE: !If [HasIssuer, x, !Ref 'AWS::NoValue']}}
      Events:
        Login: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /login, Method: post, Auth: {Authorizer: NONE}}}
        Again: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /again, Method: get}}
  AuthorizerFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/authorizer/, Timeout: 10}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
";

    fn parse(yaml: &str, overrides: &[(&str, &str)]) -> Result<Template, TemplateError> {
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Template::parse(yaml, &overrides, &Arns::new("aB3xyZ".to_owned()))
    }

    #[test]
    fn functions_take_globals_and_put_their_own_over_them() {
        let template = parse(TEMPLATE, &[]).unwrap();
        let login = &template.functions["login"];
        assert_eq!((login.timeout.as_secs(), login.memory_mb), (5, 1769));
        assert_eq!(login.variables["TABLE"].as_deref(), Some("gatehouse"));
        assert_eq!(login.variables["EXTRA"].as_deref(), Some("1"));
        assert_eq!(login.variables["ISSUER"].as_deref(), Some(""));
        assert_eq!(login.variables["AUDIENCE"], None);
        assert_eq!(template.functions["authorizer"].timeout.as_secs(), 10);
    }

    #[test]
    fn routes_use_the_default_authorizer_unless_they_say_none() {
        let template = parse(TEMPLATE, &[]).unwrap();
        let authorizer = |path| template.routes.iter().find(|route| route.path == path).unwrap().authorizer.as_deref();
        assert_eq!(authorizer("/login"), None);
        assert_eq!(authorizer("/again"), Some("Token"));
    }

    #[test]
    fn a_parameter_switches_caching() {
        let off = &parse(TEMPLATE, &[]).unwrap().authorizers["Token"];
        assert_eq!((off.identity.len(), off.reauthorize_every.as_secs()), (0, 0));
        let on = &parse(TEMPLATE, &[("Cached", "true")]).unwrap().authorizers["Token"];
        assert_eq!(on.identity, [IdentitySource::Header("Authorization".into())]);
        assert_eq!((on.function.as_str(), on.reauthorize_every.as_secs()), ("authorizer", 60));
    }

    #[test]
    fn gateway_responses_come_from_the_api_and_from_resources() {
        let responses = parse(TEMPLATE, &[]).unwrap().gateway_responses;
        assert_eq!(responses["UNAUTHORIZED"].status, Some(401));
        assert_eq!(responses["UNAUTHORIZED"].headers["WWW-Authenticate"], "'Bearer'");
        assert_eq!(responses["ACCESS_DENIED"].headers["X-Kind"], "'denied'");
    }

    #[test]
    fn the_table_has_its_keys_and_its_ttl() {
        let table = parse(TEMPLATE, &[]).unwrap().table;
        assert_eq!(table.name, "gatehouse");
        assert_eq!(table.keys, [("pk".into(), "HASH".into())]);
        assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
    }

    const SECRETS: &str = "
  Given: {Type: 'AWS::SecretsManager::Secret', Properties: {SecretString: text}}
  Made:
    Type: AWS::SecretsManager::Secret
    Properties:
      Name: made
      GenerateSecretString: {SecretStringTemplate: '{}', GenerateStringKey: k, PasswordLength: 9, IncludeSpace: true}
  Unused: {Type: 'AWS::SecretsManager::Secret', Condition: HasIssuer}
  Schedule:
    Type: AWS::SecretsManager::RotationSchedule
    Condition: IsCached
    Properties: {SecretId: !Ref Made, RotationLambdaARN: !GetAtt LoginFunction.Arn}
";

    #[test]
    fn secrets_have_a_first_value_and_perhaps_a_rotation() {
        let yaml = format!("{TEMPLATE}{SECRETS}");
        let [given, made] = <[SecretSpec; 2]>::try_from(parse(&yaml, &[]).unwrap().secrets).unwrap();
        assert_eq!((given.name.as_str(), made.name.as_str()), ("gatehouse-given", "made"));
        assert!(matches!(given.value, FirstValue::Given(text) if text == "text"));
        let FirstValue::Generated { password, inside: Some((_, key)) } = made.value else { panic!("not generated") };
        assert_eq!((password.length, password.space, password.punctuation, &*key), (9, true, true, "k"));
        assert_eq!(made.rotation, None);
        let rotated = &parse(&yaml, &[("Cached", "true")]).unwrap().secrets[1];
        assert_eq!(rotated.rotation.as_deref(), Some("login"));
    }

    #[test]
    fn secrets_that_cannot_be_made_are_named() {
        for (from, to, place) in [
            (
                "SecretString: text",
                "SecretString: text, GenerateSecretString: {}",
                "Given.Properties.GenerateSecretString",
            ),
            ("PasswordLength: 9", "PasswordLength: 2", "Made.Properties.GenerateSecretString"),
            ("GenerateStringKey: k, ", "", "Made.Properties.GenerateSecretString"),
            ("'{}'", "'[]'", "Made.Properties.GenerateSecretString.SecretStringTemplate"),
            ("!GetAtt LoginFunction.Arn", "another", "Schedule.Properties.RotationLambdaARN"),
            ("!Ref Made", "another", "Schedule.Properties.SecretId"),
            ("SecretId: ", "HostedRotationLambda: {}, SecretId: ", "Schedule.Properties.HostedRotationLambda"),
        ] {
            let yaml = format!("{TEMPLATE}{}", SECRETS.replace(from, to));
            let error = parse(&yaml, &[("Cached", "true")]).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_named() {
        for (from, to, place) in [
            ("functions/login", "lambda/login", "Resources.LoginFunction.Properties.CodeUri"),
            ("Authorizer: NONE", "Authorizer: Nobody", "Events.Login.Properties.Auth.Authorizer"),
            ("$context.error.messageString", "$util.escapeJavaScript(1)", "`$util.escapeJavaScript`"),
            ("FunctionPayloadType: REQUEST", "FunctionPayloadType: TOKEN", "Authorizers.Token"),
            ("RestApiId: !Ref Api, Path: /again", "Path: /again", "Events.Again.Properties.RestApiId"),
            ("StageName: prod", "Name: prod", "Resources.Api.Properties.StageName"),
            ("Timeout: 10", "Timeout: ten", "Resources.AuthorizerFunction.Properties.Timeout"),
            ("ReauthorizeEvery: !If [IsCached, 60, 0]", "Other: 1", "Token.Identity"),
        ] {
            let error = parse(&TEMPLATE.replace(from, to), &[]).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}
