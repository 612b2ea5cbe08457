//! How AWS names the resources of a stack: physical ids and ARNs.

use serde_json::Value;

use super::intrinsics::Scope;
use super::{ACCOUNT, API_ID, REGION, STACK, STREAM_LABEL, TemplateError, text};

impl Scope<'_> {
    /// What a reference to a resource gives.
    pub(super) fn resource(&self, name: &str, at: &str) -> Result<Value, TemplateError> {
        match self.resource_type(name, at)? {
            // What a reference to it gives is its ARN.
            "AWS::SecretsManager::Secret" => self.attribute(name, "Arn", at),
            // It would be the queue's URL, and nobody answers there.
            "AWS::SQS::Queue" => Err(not_emulated(name, "AWS::SQS::Queue", at)),
            kind => Ok(self.physical_id(name, kind, at)?.into()),
        }
    }

    /// An attribute of a resource.
    pub(super) fn attribute(&self, name: &str, attribute: &str, at: &str) -> Result<Value, TemplateError> {
        let kind = self.resource_type(name, at)?;
        let arn = match (kind, attribute) {
            (_, "Arn") => self.arn(name, kind, at)?,
            ("AWS::DynamoDB::Table", "StreamArn") => {
                if self.document.section("Resources")[name]["Properties"]["StreamSpecification"].is_null() {
                    return Err(TemplateError::new(at, format!("`{name}` has no StreamSpecification")));
                }
                self.stream_arn(name, at)?
            }
            _ => {
                let problem = format!("of `{name}` only `Arn` is emulated, not `{attribute}`");
                return Err(TemplateError::new(at, problem));
            }
        };
        Ok(arn.into())
    }

    /// The ARN of a table's stream.
    pub(super) fn stream_arn(&self, table: &str, at: &str) -> Result<String, TemplateError> {
        Ok(format!("{}/stream/{STREAM_LABEL}", self.arn(table, "AWS::DynamoDB::Table", at)?))
    }

    /// The ARN of a resource of the type `kind`.
    pub(super) fn arn(&self, name: &str, kind: &str, at: &str) -> Result<String, TemplateError> {
        let id = self.physical_id(name, kind, at)?;
        let resource = match kind {
            "AWS::Serverless::Function" => format!("lambda:{REGION}:{ACCOUNT}:function:{id}"),
            "AWS::DynamoDB::Table" => format!("dynamodb:{REGION}:{ACCOUNT}:table/{id}"),
            "AWS::SQS::Queue" => format!("sqs:{REGION}:{ACCOUNT}:{id}"),
            "AWS::SecretsManager::Secret" => return Ok(self.arns.of(&id)),
            _ => return Err(not_emulated(name, kind, at)),
        };
        Ok(format!("arn:aws:{resource}"))
    }

    /// The name that AWS would give a resource: the one in its properties, or one made of the
    /// stack's and its own.
    pub(super) fn physical_id(&self, name: &str, kind: &str, at: &str) -> Result<String, TemplateError> {
        let (property, generated) = match kind {
            "AWS::Serverless::Api" => return Ok(API_ID.to_owned()),
            "AWS::Serverless::Function" => ("FunctionName", format!("{STACK}-{name}")),
            "AWS::DynamoDB::Table" => ("TableName", table_name(name)),
            "AWS::SQS::Queue" => ("QueueName", format!("{STACK}-{name}")),
            "AWS::SecretsManager::Secret" => ("Name", format!("{STACK}-{}", kebab(name))),
            _ => return Err(not_emulated(name, kind, at)),
        };
        let given = match &self.document.section("Resources")[name]["Properties"][property] {
            Value::Null => None,
            given => self.resolve(given, at)?,
        };
        Ok(given.as_ref().and_then(text).unwrap_or(generated))
    }

    fn resource_type(&self, name: &str, at: &str) -> Result<&str, TemplateError> {
        self.document.section("Resources")[name]["Type"]
            .as_str()
            .ok_or_else(|| TemplateError::new(at, format!("there is no parameter or resource `{name}`")))
    }
}

fn not_emulated(name: &str, kind: &str, at: &str) -> TemplateError {
    TemplateError::new(at, format!("`{name}`, of the type {kind}, is not emulated"))
}

/// `Table` has the stack's name, by which tools/admin knows it; `CountsTable` has `-counts` behind that.
fn table_name(name: &str) -> String {
    match kebab(name.strip_suffix("Table").unwrap_or(name)).as_str() {
        "" => STACK.to_owned(),
        name => format!("{STACK}-{name}"),
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
