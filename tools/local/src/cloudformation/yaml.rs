//! A template's YAML as plain JSON, its intrinsic functions in long form.

use serde_json::{Map, Value};

use super::TemplateError;

/// A template, with every short form (`!Ref Table`) written in `CloudFormation`'s long one (`{"Ref": "Table"}`).
#[derive(Debug)]
pub(crate) struct Document(Value);

impl Document {
    /// Reads a template.
    ///
    /// # Errors
    /// It is not YAML.
    pub(crate) fn parse(yaml: &str) -> Result<Self, TemplateError> {
        let yaml =
            serde_yaml_ng::from_str(yaml).map_err(|error| TemplateError::new("not a template", error.to_string()))?;
        Ok(Self(long_form(yaml)?))
    }

    /// A section, `Resources` for one; `null` where the template doesn't have it.
    pub(crate) fn section(&self, name: &str) -> &Value {
        &self.0[name]
    }
}

/// Turns YAML with tags into plain JSON.
pub(super) fn long_form(yaml: serde_yaml_ng::Value) -> Result<Value, TemplateError> {
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
            let (name, argument) = match (name, long_form(tagged.value)?) {
                ("Ref", argument) => (name.to_owned(), argument),
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
pub(super) fn intrinsic(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, argument) = object.iter().next()?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}
