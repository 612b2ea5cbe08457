//! The resources of a template, for who wants to know what a stack of it has rather than to serve it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::intrinsics::Scope;
use super::template::with_globals;
use super::{Document, ParameterError, Parameters, TemplateError};
use crate::secrets::Arns;

/// A resource of a template.
#[derive(Debug)]
pub struct Resource {
    /// Its name in the template.
    pub name: String,
    /// Its type, `AWS::DynamoDB::Table` for one.
    pub kind: String,
    /// Whether a stack has it: its condition holds, or it has none.
    pub exists: bool,
    /// Its properties, with those of `Globals`. Of every `Fn::If` there is what its condition chooses; all other
    /// intrinsic functions are as they are written, in long form.
    pub properties: Value,
}

/// The resources of a template can't be told.
#[derive(Debug, thiserror::Error)]
pub enum ResourcesError {
    /// It is no template, or one of its conditions is not emulated.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A parameter can't have the value that it was given.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

/// The resources of a template, with these parameters in the place of their defaults.
///
/// # Errors
/// The template or a parameter is wrong.
pub fn resources(yaml: &str, parameters: &BTreeMap<String, String>) -> Result<Vec<Resource>, ResourcesError> {
    let document = Document::parse(yaml)?;
    let parameters = Parameters::new(&document, parameters)?;
    // No condition asks for the name of a secret.
    let arns = Arns::new(String::new());
    let scope = Scope { document: &document, parameters: &parameters, arns: &arns };
    let declared = document.section("Resources").as_object().into_iter().flatten();
    declared.map(|(name, resource)| Ok(read(&scope, name, resource)?)).collect()
}

fn read(scope: &Scope<'_>, name: &str, resource: &Value) -> Result<Resource, TemplateError> {
    let at = format!("Resources.{name}");
    let kind = resource["Type"].as_str().ok_or_else(|| TemplateError::new(at.as_str(), "it has no type"))?;
    let exists = match resource["Condition"].as_str() {
        Some(condition) => scope.condition(condition, &at)?,
        None => true,
    };
    let properties = with_globals(scope.document, kind, &resource["Properties"]);
    let properties = scope.choose(&properties, &format!("{at}.Properties"))?.unwrap_or_default();
    Ok(Resource { name: name.to_owned(), kind: kind.to_owned(), exists, properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Alarms: {Type: String, Default: 'on', AllowedValues: ['on', 'off']}
Conditions:
  HasAlarms: !Equals [!Ref Alarms, 'on']
Globals:
  Function: {MemorySize: 256, Timeout: !If [HasAlarms, 5, 6]}
Resources:
  Alarm: {Type: 'AWS::CloudWatch::Alarm', Condition: HasAlarms}
  Login: {Type: 'AWS::Serverless::Function', Properties: {MemorySize: 1769, Role: !GetAtt Other.Arn,
    Tracing: !If [HasAlarms, !Ref 'AWS::NoValue', Active]}}
";

    #[test]
    fn conditions_choose_resources_and_properties() {
        let with = |alarms: &str| resources(TEMPLATE, &[("Alarms".to_owned(), alarms.to_owned())].into()).unwrap();
        let [alarm, login] = &with("on")[..] else { panic!("not two") };
        assert!(alarm.exists && login.exists);
        let role = serde_json::json!({"Fn::GetAtt": ["Other", "Arn"]});
        let expected = serde_json::json!({"MemorySize": 1769, "Timeout": 5, "Role": role});
        assert_eq!((login.kind.as_str(), &login.properties), ("AWS::Serverless::Function", &expected));
        let [alarm, login] = &with("off")[..] else { panic!("not two") };
        assert!(!alarm.exists);
        assert_eq!((&login.properties["Timeout"], &login.properties["Tracing"]), (&6.into(), &"Active".into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |yaml: &str| resources(yaml, &BTreeMap::new()).unwrap_err().to_string();
        assert_eq!(error("Resources: {A: {}}"), "Resources.A: it has no type");
        assert_eq!(error("Resources: {A: {Type: T, Condition: Never}}"), "Resources.A: there is no condition `Never`");
        let given = [("Level".to_owned(), "1".to_owned())].into();
        assert!(matches!(resources(TEMPLATE, &given), Err(ResourcesError::Parameter(_))));
    }
}
