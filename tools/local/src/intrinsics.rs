//! `CloudFormation`'s intrinsic functions: `!Ref`, `!Sub`, `!If` and the rest, in short or long form.
//!
//! Values are resolved when they are asked for, so what no part of the local stack reads (IAM
//! policies, alarms) may hold anything. Knows nothing of what the values mean.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::template::TemplateError;
use crate::vault::Arns;

/// The account that every ARN names, the one that AWS's own examples use.
pub(crate) const ACCOUNT: &str = "123456789012";
/// The region that functions find in their environment.
pub(crate) const REGION: &str = "us-east-1";
/// The stack's name, which generated resource names begin with.
pub(crate) const STACK: &str = "gatehouse";
/// The id of the one REST API.
pub(crate) const API_ID: &str = "local";

/// What names in a template stand for.
pub(crate) struct Scope<'a> {
    sections: &'a Value,
    arns: &'a Arns,
    parameters: BTreeMap<String, Value>,
}

/// Turns YAML with tags (`!Ref Table`) into plain JSON in `CloudFormation`'s long form
/// (`{"Ref": "Table"}`).
pub(crate) fn long_form(yaml: serde_yaml_ng::Value) -> Result<Value, TemplateError> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => value.into(),
            (None, Some(value)) => value.into(),
            (None, None) => number.as_f64().into(),
        },
        Yaml::String(value) => value.into(),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(long_form).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key =
                    text(&long_form(key)?).ok_or_else(|| TemplateError::new("template", "a key is not a string"))?;
                object.insert(key, long_form(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let argument = long_form(tagged.value)?;
            let (name, argument) = match (name, argument) {
                ("Ref" | "Condition", argument) => (name.to_owned(), argument),
                // `!GetAtt Table.Arn` is short for the list of the two.
                ("GetAtt", Value::String(path)) => {
                    let (resource, attribute) = path.split_once('.').unwrap_or((&path, ""));
                    ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
                }
                (_, argument) => (format!("Fn::{name}"), argument),
            };
            Value::Object(Map::from_iter([(name, argument)]))
        }
    })
}

/// A scalar as `CloudFormation` passes it on: parameters and environment variables are strings.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The name and argument of an intrinsic function, where `value` is one.
pub(crate) fn intrinsic(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, argument) = object.iter().next()?;
    (name == "Ref" || name == "Condition" && argument.is_string() || name.starts_with("Fn::"))
        .then_some((name.as_str(), argument))
}

impl<'a> Scope<'a> {
    /// Reads the parameters of a template in long form, `overrides` in the place of defaults.
    ///
    /// # Errors
    /// An override that the template has no parameter for, or that the parameter doesn't allow.
    pub(crate) fn new(
        sections: &'a Value,
        overrides: &BTreeMap<String, String>,
        arns: &'a Arns,
    ) -> Result<Self, TemplateError> {
        let none = Map::new();
        let declared = sections["Parameters"].as_object().unwrap_or(&none);
        if let Some(unknown) = overrides.keys().find(|name| !declared.contains_key(*name)) {
            return Err(TemplateError::new("Parameters", format!("there is no `{unknown}`")));
        }
        let mut parameters = BTreeMap::new();
        for (name, declaration) in declared {
            let value = overrides.get(name).cloned().or_else(|| text(&declaration["Default"]));
            let Some(value) = value else { continue };
            if let Some(allowed) = declaration["AllowedValues"].as_array()
                && !allowed.iter().filter_map(text).any(|allowed| allowed == value)
            {
                return Err(TemplateError::new(
                    format!("Parameters.{name}"),
                    format!("`{value}` is not one of the allowed values"),
                ));
            }
            let is_list = declaration["Type"]
                .as_str()
                .is_some_and(|kind| kind == "CommaDelimitedList" || kind.starts_with("List<"));
            let value =
                if is_list { value.split(',').map(str::trim).collect::<Vec<_>>().into() } else { Value::String(value) };
            parameters.insert(name.clone(), value);
        }
        Ok(Self { sections, arns, parameters })
    }

    /// The value of a string parameter; `None` where the template has no such parameter, or where
    /// it has no value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)?.as_str()
    }

    /// Evaluates every intrinsic function in `value`, which stands at `at`. `AWS::NoValue` leaves
    /// the list or object that it's in; where it's the value itself, the answer is `None`.
    pub(crate) fn resolve(&self, value: &Value, at: &str) -> Result<Option<Value>, TemplateError> {
        if let Some((name, argument)) = intrinsic(value) {
            return self.call(name, argument, at);
        }
        Ok(Some(match value {
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.resolve(item, &format!("{at}[{index}]"))?);
                }
                Value::Array(resolved)
            }
            Value::Object(entries) => {
                let mut resolved = Map::new();
                for (key, value) in entries {
                    if let Some(value) = self.resolve(value, &format!("{at}.{key}"))? {
                        resolved.insert(key.clone(), value);
                    }
                }
                Value::Object(resolved)
            }
            scalar => scalar.clone(),
        }))
    }

    /// Evaluates a condition of the template by its name.
    pub(crate) fn condition(&self, name: &str, at: &str) -> Result<bool, TemplateError> {
        match &self.sections["Conditions"][name] {
            Value::Null => Err(TemplateError::new(at, format!("there is no condition `{name}`"))),
            condition => self.truth(condition, &format!("Conditions.{name}")),
        }
    }

    fn call(&self, name: &str, argument: &Value, at: &str) -> Result<Option<Value>, TemplateError> {
        let wrong = |what: &str| TemplateError::new(at, format!("`{name}` {what}"));
        let value = match name {
            "Ref" => {
                let target = argument.as_str().ok_or_else(|| wrong("takes a name"))?;
                return self.reference(target, at);
            }
            "Fn::GetAtt" => match argument.as_array().map(Vec::as_slice) {
                Some([Value::String(resource), Value::String(attribute)]) => self.attribute(resource, attribute, at)?,
                _ => return Err(wrong("takes a resource and an attribute")),
            },
            "Fn::Sub" => self.substitute(argument, at)?.into(),
            "Fn::If" => {
                let [condition, then, otherwise] = arguments(name, argument, at)?;
                let condition = condition.as_str().ok_or_else(|| wrong("takes a condition's name"))?;
                let chosen = if self.condition(condition, at)? { then } else { otherwise };
                return self.resolve(chosen, at);
            }
            "Condition" | "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" => {
                self.truth(&Value::Object(Map::from_iter([(name.to_owned(), argument.clone())])), at)?.into()
            }
            "Fn::Join" => {
                let [separator, items] = arguments(name, argument, at)?;
                let separator = self.string(separator, at)?;
                self.strings(items, at)?.join(&separator).into()
            }
            "Fn::Split" => {
                let [separator, source] = arguments(name, argument, at)?;
                let (separator, source) = (self.string(separator, at)?, self.string(source, at)?);
                source.split(&separator).collect::<Vec<_>>().into()
            }
            "Fn::Select" => {
                let [index, items] = arguments(name, argument, at)?;
                let index = self.string(index, at)?;
                let items = self.resolve(items, at)?.unwrap_or_default();
                index
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index).cloned())
                    .ok_or_else(|| wrong("selects what the list doesn't have"))?
            }
            "Fn::FindInMap" => {
                let [map, top, second] = arguments(name, argument, at)?;
                let keys = [self.string(map, at)?, self.string(top, at)?, self.string(second, at)?];
                let found = keys.iter().fold(&self.sections["Mappings"], |map, key| &map[key.as_str()]);
                if found.is_null() {
                    return Err(wrong(&format!("finds nothing at {}", keys.join("."))));
                }
                found.clone()
            }
            _ => return Err(wrong("is not supported here")),
        };
        Ok(Some(value))
    }

    fn truth(&self, condition: &Value, at: &str) -> Result<bool, TemplateError> {
        let wrong = |what: &str| TemplateError::new(at, what);
        let Some((name, argument)) = intrinsic(condition) else {
            return Err(wrong("a condition is one intrinsic function"));
        };
        match name {
            "Condition" => self.condition(argument.as_str().unwrap_or_default(), at),
            "Fn::Equals" => {
                let [left, right] = arguments(name, argument, at)?;
                Ok(self.string(left, at)? == self.string(right, at)?)
            }
            "Fn::Not" => {
                let [inner] = arguments(name, argument, at)?;
                Ok(!self.truth(inner, at)?)
            }
            "Fn::And" | "Fn::Or" => {
                let all = name == "Fn::And";
                let inner = argument.as_array().ok_or_else(|| wrong("takes a list"))?;
                for condition in inner {
                    if self.truth(condition, at)? != all {
                        return Ok(!all);
                    }
                }
                Ok(all)
            }
            _ => Err(wrong(&format!("`{name}` is not a condition"))),
        }
    }

    fn string(&self, value: &Value, at: &str) -> Result<String, TemplateError> {
        self.resolve(value, at)?
            .as_ref()
            .and_then(text)
            .ok_or_else(|| TemplateError::new(at, "this has to be a string"))
    }

    fn strings(&self, value: &Value, at: &str) -> Result<Vec<String>, TemplateError> {
        self.resolve(value, at)?
            .as_ref()
            .and_then(Value::as_array)
            .and_then(|items| items.iter().map(text).collect())
            .ok_or_else(|| TemplateError::new(at, "this has to be a list of strings"))
    }

    fn substitute(&self, argument: &Value, at: &str) -> Result<String, TemplateError> {
        let none = Map::new();
        let (template, variables) = match argument {
            Value::String(template) => (template, &none),
            _ => match arguments("Fn::Sub", argument, at)? {
                [Value::String(template), Value::Object(variables)] => (template, variables),
                _ => return Err(TemplateError::new(at, "`Fn::Sub` takes a string and variables")),
            },
        };
        let mut output = String::new();
        let mut rest = template.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            output.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                output.extend(["${", literal, "}"]);
            } else if let Some(value) = variables.get(name) {
                output.push_str(&self.string(value, at)?);
            } else {
                let value = match name.split_once('.') {
                    Some((resource, attribute)) => Some(self.attribute(resource, attribute, at)?),
                    None => self.reference(name, at)?,
                };
                let value = value.as_ref().and_then(text);
                output
                    .push_str(&value.ok_or_else(|| {
                        TemplateError::new(at, format!("`{name}` has no value to put into a string"))
                    })?);
            }
            rest = after;
        }
        output.push_str(rest);
        Ok(output)
    }

    fn reference(&self, name: &str, at: &str) -> Result<Option<Value>, TemplateError> {
        let pseudo = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => Some(ACCOUNT),
            "AWS::Partition" => Some("aws"),
            "AWS::Region" => Some(REGION),
            "AWS::StackName" => Some(STACK),
            "AWS::URLSuffix" => Some("amazonaws.com"),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Ok(Some(value.into()));
        }
        if name == "AWS::StackId" {
            let id = format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/{STACK}");
            return Ok(Some(id.into()));
        }
        if let Some(value) = self.parameters.get(name) {
            return Ok(Some(value.clone()));
        }
        if !self.sections["Parameters"][name].is_null() {
            let problem = format!("the parameter `{name}` has no default and was given no value");
            return Err(TemplateError::new(at, problem));
        }
        let kind = self.resource_type(name, at)?;
        Ok(Some(match kind {
            // What these return for a reference is their ARN.
            "AWS::SecretsManager::Secret" | "AWS::SNS::Topic" => self.attribute(name, "Arn", at)?,
            _ => self.physical_id(name, kind, at)?.into(),
        }))
    }

    fn attribute(&self, name: &str, attribute: &str, at: &str) -> Result<Value, TemplateError> {
        let kind = self.resource_type(name, at)?;
        if attribute != "Arn" {
            let problem = format!("`{name}.{attribute}` has no value on one machine");
            return Err(TemplateError::new(at, problem));
        }
        Ok(self.arn(name, kind, at)?.into())
    }

    /// The ARN of a resource of the type `kind`.
    pub(crate) fn arn(&self, name: &str, kind: &str, at: &str) -> Result<String, TemplateError> {
        let id = self.physical_id(name, kind, at)?;
        let resource = match kind {
            "AWS::Serverless::Function" => format!("lambda:{REGION}:{ACCOUNT}:function:{id}"),
            "AWS::DynamoDB::Table" => format!("dynamodb:{REGION}:{ACCOUNT}:table/{id}"),
            "AWS::SecretsManager::Secret" => return Ok(self.arns.of(&id)),
            _ => {
                let service = kind.split("::").nth(1).unwrap_or_default().to_lowercase();
                format!("{service}:{REGION}:{ACCOUNT}:{id}")
            }
        };
        Ok(format!("arn:aws:{resource}"))
    }

    fn resource_type(&self, name: &str, at: &str) -> Result<&str, TemplateError> {
        self.sections["Resources"][name]["Type"]
            .as_str()
            .ok_or_else(|| TemplateError::new(at, format!("there is no parameter or resource `{name}`")))
    }

    /// The name that AWS would give a resource: the one in its properties, or one made of the
    /// stack's and its own.
    pub(crate) fn physical_id(&self, name: &str, kind: &str, at: &str) -> Result<String, TemplateError> {
        let (property, generated) = match kind {
            "AWS::Serverless::Api" => return Ok(API_ID.to_owned()),
            "AWS::Serverless::Function" => ("FunctionName", format!("{STACK}-{name}")),
            // There is one: tools/admin knows it by this name.
            "AWS::DynamoDB::Table" => ("TableName", STACK.to_owned()),
            "AWS::SecretsManager::Secret" => ("Name", format!("{STACK}-{}", kebab(name))),
            _ => ("Name", format!("{STACK}-{name}")),
        };
        let given = match &self.sections["Resources"][name]["Properties"][property] {
            Value::Null => None,
            given => self.resolve(given, at)?,
        };
        Ok(given.as_ref().and_then(text).unwrap_or(generated))
    }
}

/// `SigningSecret` as `signing-secret`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && kebab.ends_with(|before: char| before != '-') {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

fn arguments<'v, const N: usize>(name: &str, argument: &'v Value, at: &str) -> Result<&'v [Value; N], TemplateError> {
    argument
        .as_array()
        .and_then(|items| items.as_slice().try_into().ok())
        .ok_or_else(|| TemplateError::new(at, format!("`{name}` takes {N} arguments")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Issuer: {Type: String, Default: ''}
  Minutes: {Type: Number, Default: 30}
  Level: {Type: String, Default: info, AllowedValues: [info, debug]}
  Origins: {Type: CommaDelimitedList, Default: 'https://a, https://b'}
  Domain: {Type: String}
Mappings:
  Sizes: {us-east-1: {login: 1769}}
Conditions:
  HasIssuer: !Not [!Equals [!Ref Issuer, '']]
  IsDebug: !Equals [!Ref Level, debug]
  Both: !And [!Condition HasIssuer, !Condition IsDebug]
  Either: !Or [!Condition HasIssuer, !Condition IsDebug]
Resources:
  Table: {Type: 'AWS::DynamoDB::Table'}
  Named: {Type: 'AWS::DynamoDB::Table', Properties: {TableName: !Sub '${AWS::StackName}-mine'}}
  Login: {Type: 'AWS::Serverless::Function'}
  Keys: {Type: 'AWS::SecretsManager::Secret'}
";

    fn resolve_with(overrides: &[(&str, &str)], expression: &str) -> Result<Option<Value>, TemplateError> {
        let sections = long_form(serde_yaml_ng::from_str(TEMPLATE).unwrap()).unwrap();
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let arns = Arns::new("aB3xyZ".to_owned());
        let scope = Scope::new(&sections, &overrides, &arns)?;
        scope.resolve(&long_form(serde_yaml_ng::from_str(expression).unwrap()).unwrap(), "here")
    }

    fn resolve(expression: &str) -> Value {
        resolve_with(&[], expression).unwrap().unwrap()
    }

    #[test]
    fn short_and_long_forms_mean_the_same() {
        for expression in ["!Ref Minutes", "Ref: Minutes", "!Sub '${Minutes}'", "'Fn::Sub': '${Minutes}'"] {
            assert_eq!(resolve(expression), "30", "{expression}");
        }
        let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/gatehouse";
        for expression in ["!GetAtt Table.Arn", "'Fn::GetAtt': [Table, Arn]", "!Sub '${Table.Arn}'"] {
            assert_eq!(resolve(expression), arn, "{expression}");
        }
    }

    #[test]
    fn references_name_resources() {
        assert_eq!(resolve("!Ref Table"), "gatehouse");
        assert_eq!(resolve("!Ref Named"), "gatehouse-mine");
        assert_eq!(resolve("!Ref Keys"), "arn:aws:secretsmanager:us-east-1:123456789012:secret:gatehouse-keys-aB3xyZ");
        assert_eq!(resolve("!GetAtt Login.Arn"), "arn:aws:lambda:us-east-1:123456789012:function:gatehouse-Login");
    }

    #[test]
    fn substitution_takes_variables_and_keeps_literals() {
        assert_eq!(resolve("!Sub ['${AWS::Region}/${name}/${!kept}', {name: !Ref Level}]"), "us-east-1/info/${kept}");
    }

    #[test]
    fn lists_are_joined_split_and_selected() {
        assert_eq!(resolve("!Join ['+', !Ref Origins]"), "https://a+https://b");
        assert_eq!(resolve("!Select [1, !Split ['.', 'a.b.c']]"), "b");
        assert_eq!(resolve("!FindInMap [Sizes, !Ref 'AWS::Region', login]"), 1769);
    }

    #[test]
    fn no_value_leaves_no_trace() {
        let expression = "{kept: 1, gone: !If [HasIssuer, 2, !Ref 'AWS::NoValue'], list: [!Ref 'AWS::NoValue', 3]}";
        assert_eq!(resolve(expression), serde_json::json!({"kept": 1, "list": [3]}));
        assert_eq!(resolve_with(&[], "!Ref AWS::NoValue").unwrap(), None);
    }

    #[test]
    fn conditions_combine() {
        let issuer = [("Issuer", "https://issuer")];
        for (condition, without, with) in [("HasIssuer", "no", "yes"), ("Both", "no", "no"), ("Either", "no", "yes")] {
            let expression = format!("!If [{condition}, 'yes', 'no']");
            assert_eq!(resolve(&expression), without, "{condition}");
            assert_eq!(resolve_with(&issuer, &expression).unwrap().unwrap(), with, "{condition}");
        }
    }

    #[test]
    fn what_has_no_value_is_named_with_its_place() {
        for (expression, problem) in [
            ("!Ref Nobody", "here: there is no parameter or resource `Nobody`"),
            ("{a: [!Cidr [x, 1, 2]]}", "here.a[0]: `Fn::Cidr` is not supported here"),
            ("!Ref Domain", "here: the parameter `Domain` has no default and was given no value"),
            ("!If [Nothing, 1, 2]", "here: there is no condition `Nothing`"),
            ("!GetAtt Table.StreamArn", "here: `Table.StreamArn` has no value on one machine"),
        ] {
            assert_eq!(resolve_with(&[], expression).unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn overrides_are_checked_against_the_declaration() {
        assert!(resolve_with(&[("Levle", "debug")], "!Ref Level").is_err());
        assert!(resolve_with(&[("Level", "loud")], "!Ref Level").is_err());
        assert_eq!(resolve_with(&[("Level", "debug")], "!Ref Level").unwrap().unwrap(), "debug");
    }
}
