//! Reads what belongs to the REST API: routes, authorizers and gateway responses.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Authorizer, FunctionSpec, GatewayResponse, IdentitySource, Route};
use crate::cloudformation::place::Place;
use crate::cloudformation::{API_ID, TemplateError};

/// API Gateway's default for `ReauthorizeEvery`.
const DEFAULT_REAUTHORIZE: u64 = 300;

/// The binary of the function that has the ARN in `arn`.
pub(super) fn function_of(
    arn: &Place<'_>,
    functions: &BTreeMap<String, FunctionSpec>,
) -> Result<String, TemplateError> {
    let function = functions.iter().find(|(_, function)| *arn.value == *function.arn);
    function.map(|(binary, _)| binary.clone()).ok_or_else(|| arn.wrong("no function has this ARN"))
}

/// A function's event, which is a method of a path.
pub(super) fn route(
    binary: &str,
    event: &Place<'_>,
    authorizers: &BTreeMap<String, Authorizer>,
    default_authorizer: Option<&String>,
) -> Result<Route, TemplateError> {
    if event.value["Type"] != "Api" {
        return Err(event.get("Type").wrong("only events of the types Api and DynamoDB are emulated"));
    }
    let event = event.get("Properties");
    event.get("TimeoutInMillis").refuse()?;
    if event.value["RestApiId"] != API_ID {
        return Err(event.get("RestApiId").wrong("this has to name the one API that is served"));
    }
    let chosen = event.get("Auth").get("Authorizer").text()?;
    let authorizer = chosen.or_else(|| default_authorizer.cloned()).filter(|name| name != "NONE");
    if let Some(unknown) = authorizer.as_ref().filter(|name| !authorizers.contains_key(*name)) {
        return Err(event.get("Auth").get("Authorizer").wrong(format!("the API has no authorizer `{unknown}`")));
    }
    Ok(Route {
        path: event.get("Path").required()?,
        method: event.get("Method").required()?.to_ascii_uppercase(),
        function: binary.to_owned(),
        authorizer,
    })
}

/// The API's authorizers, by name.
pub(super) fn authorizers(
    declarations: &Place<'_>,
    functions: &BTreeMap<String, FunctionSpec>,
) -> Result<BTreeMap<String, Authorizer>, TemplateError> {
    let mut authorizers = BTreeMap::new();
    for (name, declaration) in declarations.entries()? {
        if declaration.get("FunctionPayloadType").text()?.as_deref() != Some("REQUEST") {
            return Err(declaration.wrong("only Lambda authorizers of the type REQUEST are emulated"));
        }
        let function = function_of(&declaration.get("FunctionArn"), functions)?;

        let sources = declaration.get("Identity");
        for key in ["QueryStrings", "StageVariables"] {
            sources.get(key).refuse()?;
        }
        let headers = sources.get("Headers").list()?.into_iter().map(IdentitySource::Header);
        let context = sources.get("Context").list()?.into_iter().map(IdentitySource::Context);
        let identity: Vec<_> = headers.chain(context).collect();
        let seconds = sources.get("ReauthorizeEvery").number()?.unwrap_or(DEFAULT_REAUTHORIZE);
        if seconds > 0 && identity.is_empty() {
            return Err(sources.wrong(
                "to keep results there has to be something to know a caller by: \
                 set Headers or Context, or ReauthorizeEvery: 0",
            ));
        }
        let reauthorize_every = Duration::from_secs(seconds);
        authorizers.insert(name.clone(), Authorizer { function, identity, reauthorize_every });
    }
    Ok(authorizers)
}

/// The API's `GatewayResponses`, by response type.
pub(super) fn gateway_responses(api: &Place<'_>) -> Result<BTreeMap<String, GatewayResponse>, TemplateError> {
    let mut responses = BTreeMap::new();
    for (kind, declaration) in api.get("GatewayResponses").entries()? {
        responses.insert(kind.clone(), gateway_response(&declaration)?);
    }
    Ok(responses)
}

fn gateway_response(declaration: &Place<'_>) -> Result<GatewayResponse, TemplateError> {
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
            let problem = format!("`${name}` is not emulated: of a template's language, only `$context` is");
            return Err(template.wrong(problem));
        }
    }
    let headers = declaration.get("ResponseParameters").get("Headers").map()?;
    Ok(GatewayResponse { status, headers, templates: templates.map()? })
}
