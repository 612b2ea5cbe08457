//! Reads a table: its keys, its indexes, its TTL and its stream.

use super::{IndexSpec, StreamSpec, TableSpec};
use crate::cloudformation::TemplateError;
use crate::cloudformation::place::Place;

/// The table that AWS knows by this name; its stream, if it has one, has this ARN.
pub(super) fn table(name: String, stream: String, properties: &Place<'_>) -> Result<TableSpec, TemplateError> {
    properties.get("LocalSecondaryIndexes").refuse()?;
    let ttl = properties.get("TimeToLiveSpecification");
    let is_enabled = ttl.get("Enabled").text()?.is_some_and(|enabled| enabled == "true");
    let indexes = properties.get("GlobalSecondaryIndexes");
    Ok(TableSpec {
        name,
        attributes: pairs(&properties.get("AttributeDefinitions"), "AttributeType")?,
        keys: pairs(&properties.get("KeySchema"), "KeyType")?,
        indexes: indexes.items()?.iter().map(index).collect::<Result<_, _>>()?,
        ttl_attribute: ttl.get("AttributeName").text()?.filter(|_| is_enabled),
        stream: view_type(properties)?.map(|view_type| StreamSpec { arn: stream, view_type }),
    })
}

fn view_type(properties: &Place<'_>) -> Result<Option<String>, TemplateError> {
    let stream = properties.get("StreamSpecification");
    if stream.value.is_null() { Ok(None) } else { stream.get("StreamViewType").required().map(Some) }
}

fn index(index: &Place<'_>) -> Result<IndexSpec, TemplateError> {
    let projection = index.get("Projection");
    Ok(IndexSpec {
        name: index.get("IndexName").required()?,
        keys: pairs(&index.get("KeySchema"), "KeyType")?,
        projection: projection.get("ProjectionType").required()?,
        included: projection.get("NonKeyAttributes").list()?,
    })
}

/// The names of a list's attributes, each with the member `second`.
fn pairs(list: &Place<'_>, second: &str) -> Result<Vec<(String, String)>, TemplateError> {
    if list.value.is_null() {
        return Err(list.wrong("this is missing or has no value"));
    }
    let pair = |item: &Place<'_>| Ok((item.get("AttributeName").required()?, item.get(second).required()?));
    list.items()?.iter().map(pair).collect()
}
