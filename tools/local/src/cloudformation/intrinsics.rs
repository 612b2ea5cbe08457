//! `CloudFormation`'s intrinsic functions, those of the list in [`super`].
//!
//! Knows nothing of what the values mean.

use serde_json::{Map, Value};

use super::yaml::intrinsic;
use super::{ACCOUNT, Document, Parameters, REGION, STACK, TemplateError, text};
use crate::secrets::Arns;

/// The values that names in a template stand for.
pub(super) struct Scope<'a> {
    pub(super) document: &'a Document,
    pub(super) parameters: &'a Parameters,
    /// Knows the ARNs of secrets.
    pub(super) arns: &'a Arns,
}

impl Scope<'_> {
    /// Evaluates every intrinsic function in `value`, which stands at `at`. `AWS::NoValue` leaves
    /// the list or object that it's in; where it's the value itself, the answer is `None`.
    pub(super) fn resolve(&self, value: &Value, at: &str) -> Result<Option<Value>, TemplateError> {
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

    /// Puts what its condition chooses in the place of every `Fn::If`, and leaves all other intrinsic functions as they
    /// are. `AWS::NoValue` leaves the list or object that it's in, as in [`Scope::resolve`].
    pub(super) fn choose(&self, value: &Value, at: &str) -> Result<Option<Value>, TemplateError> {
        match intrinsic(value) {
            Some(("Fn::If", argument)) => return self.choose(self.chosen(argument, at)?, at),
            Some(("Ref", name)) if name == "AWS::NoValue" => return Ok(None),
            _ => {}
        }
        Ok(Some(match value {
            Value::Array(items) => {
                let chosen: Result<Vec<_>, _> = items.iter().map(|item| self.choose(item, at)).collect();
                chosen?.into_iter().flatten().collect()
            }
            Value::Object(entries) => {
                let mut chosen = Map::new();
                for (key, value) in entries {
                    if let Some(value) = self.choose(value, &format!("{at}.{key}"))? {
                        chosen.insert(key.clone(), value);
                    }
                }
                Value::Object(chosen)
            }
            scalar => scalar.clone(),
        }))
    }

    /// Evaluates a condition of the template by its name.
    pub(super) fn condition(&self, name: &str, at: &str) -> Result<bool, TemplateError> {
        match &self.document.section("Conditions")[name] {
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
            "Fn::Sub" => {
                let template = argument.as_str().ok_or_else(|| wrong("takes only a string here"))?;
                self.substitute(template, at)?.into()
            }
            "Fn::If" => return self.resolve(self.chosen(argument, at)?, at),
            "Fn::Join" => {
                let [separator, items] = arguments(name, argument, at)?;
                let separator = self.string(separator, at)?;
                self.strings(items, at)?.join(&separator).into()
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
            _ => return Err(wrong("is not emulated")),
        };
        Ok(Some(value))
    }

    /// What an `Fn::If` chooses, as it is written.
    fn chosen<'v>(&self, argument: &'v Value, at: &str) -> Result<&'v Value, TemplateError> {
        let [condition, then, otherwise] = arguments("Fn::If", argument, at)?;
        let named = || TemplateError::new(at, "`Fn::If` takes a condition's name");
        let condition = condition.as_str().ok_or_else(named)?;
        Ok(if self.condition(condition, at)? { then } else { otherwise })
    }

    fn truth(&self, condition: &Value, at: &str) -> Result<bool, TemplateError> {
        let wrong = |what: &str| TemplateError::new(at, what);
        let Some((name, argument)) = intrinsic(condition) else {
            return Err(wrong("a condition is one intrinsic function"));
        };
        match name {
            "Fn::Equals" => {
                let [left, right] = arguments(name, argument, at)?;
                Ok(self.string(left, at)? == self.string(right, at)?)
            }
            "Fn::Not" => {
                let [inner] = arguments(name, argument, at)?;
                Ok(!self.truth(inner, at)?)
            }
            "Fn::Or" => {
                for condition in argument.as_array().ok_or_else(|| wrong("`Fn::Or` takes a list"))? {
                    if self.truth(condition, at)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Err(wrong(&format!("`{name}` is not emulated in a condition"))),
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

    fn substitute(&self, template: &str, at: &str) -> Result<String, TemplateError> {
        let mut output = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            output.push_str(before);
            let value = match name.split_once('.') {
                Some((resource, attribute)) => Some(self.attribute(resource, attribute, at)?),
                None => self.reference(name, at)?,
            };
            let value = value.as_ref().and_then(text);
            let no_value = || TemplateError::new(at, format!("`{name}` has no value to put into a string"));
            output.push_str(&value.ok_or_else(no_value)?);
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
        if let Some(value) = self.parameters.get(name) {
            return Ok(Some(value.clone()));
        }
        self.resource(name, at).map(Some)
    }
}

fn arguments<'v, const N: usize>(name: &str, argument: &'v Value, at: &str) -> Result<&'v [Value; N], TemplateError> {
    argument
        .as_array()
        .and_then(|items| items.as_slice().try_into().ok())
        .ok_or_else(|| TemplateError::new(at, format!("`{name}` takes {N} arguments")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::yaml::long_form;
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Issuer: {Type: String, Default: ''}
  Minutes: {Type: Number, Default: 30}
  Level: {Type: String, Default: info, AllowedValues: [info, debug]}
  Origins: {Type: CommaDelimitedList, Default: 'https://a, https://b'}
Conditions:
  HasIssuer: !Not [!Equals [!Ref Issuer, '']]
  Either: !Or [!Not [!Equals [!Ref Issuer, '']], !Equals [!Ref Level, debug]]
  Both: !And [!Equals [1, 1], !Equals [2, 2]]
Resources:
  Table: {Type: 'AWS::DynamoDB::Table'}
  CountsTable: {Type: 'AWS::DynamoDB::Table'}
  Streamed: {Type: 'AWS::DynamoDB::Table', Properties: {StreamSpecification: {StreamViewType: KEYS_ONLY}}}
  Queue: {Type: 'AWS::SQS::Queue'}
  Named: {Type: 'AWS::DynamoDB::Table', Properties: {TableName: !Sub '${AWS::StackName}-mine'}}
  Login: {Type: 'AWS::Serverless::Function'}
  Keys: {Type: 'AWS::SecretsManager::Secret'}
  Alarm: {Type: 'AWS::CloudWatch::Alarm'}
";

    fn resolve_with(given: &[(&str, &str)], expression: &str) -> Result<Option<Value>, TemplateError> {
        let document = Document::parse(TEMPLATE).unwrap();
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>();
        let parameters = Parameters::new(&document, &given).unwrap();
        let arns = Arns::new("aB3xyZ".to_owned());
        let scope = Scope { document: &document, parameters: &parameters, arns: &arns };
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
        assert_eq!(resolve("!Ref CountsTable"), "gatehouse-counts");
        let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/gatehouse-counts";
        assert_eq!(resolve("!GetAtt CountsTable.Arn"), arn);
        let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/gatehouse-streamed/stream/1970-01-01T00:00:00.000";
        assert_eq!(resolve("!GetAtt Streamed.StreamArn"), arn);
        assert_eq!(resolve("!GetAtt Queue.Arn"), "arn:aws:sqs:us-east-1:123456789012:gatehouse-Queue");
        assert_eq!(resolve("!Ref Named"), "gatehouse-mine");
        assert_eq!(resolve("!Ref Keys"), "arn:aws:secretsmanager:us-east-1:123456789012:secret:gatehouse-keys-aB3xyZ");
        assert_eq!(resolve("!GetAtt Login.Arn"), "arn:aws:lambda:us-east-1:123456789012:function:gatehouse-Login");
    }

    #[test]
    fn substitution_takes_parameters() {
        assert_eq!(resolve("!Sub '${AWS::Region}/${Level}/${'"), "us-east-1/info/${");
    }

    #[test]
    fn lists_are_joined_and_selected() {
        assert_eq!(resolve("!Join ['+', !Ref Origins]"), "https://a+https://b");
        assert_eq!(resolve("!Select [1, !Ref Origins]"), "https://b");
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
        for (condition, without, with) in [("HasIssuer", "no", "yes"), ("Either", "no", "yes")] {
            let expression = format!("!If [{condition}, 'yes', 'no']");
            assert_eq!(resolve(&expression), without, "{condition}");
            assert_eq!(resolve_with(&issuer, &expression).unwrap().unwrap(), with, "{condition}");
        }
    }

    #[test]
    fn what_is_not_emulated_is_named_with_its_place() {
        for (expression, problem) in [
            ("!Ref Nobody", "here: there is no parameter or resource `Nobody`"),
            ("!Ref 'AWS::StackId'", "here: there is no parameter or resource `AWS::StackId`"),
            ("{a: [!Split [x, 1]]}", "here.a[0]: `Fn::Split` is not emulated"),
            ("!Sub ['${name}', {name: x}]", "here: `Fn::Sub` takes only a string here"),
            ("!If [Nothing, 1, 2]", "here: there is no condition `Nothing`"),
            ("!If [Both, 1, 2]", "Conditions.Both: `Fn::And` is not emulated in a condition"),
            ("!GetAtt Table.StreamArn", "here: `Table` has no StreamSpecification"),
            ("!GetAtt Login.StreamArn", "here: of `Login` only `Arn` is emulated, not `StreamArn`"),
            ("!Ref Queue", "here: `Queue`, of the type AWS::SQS::Queue, is not emulated"),
            ("!Ref Alarm", "here: `Alarm`, of the type AWS::CloudWatch::Alarm, is not emulated"),
        ] {
            assert_eq!(resolve_with(&[], expression).unwrap_err().to_string(), problem);
        }
    }
}
