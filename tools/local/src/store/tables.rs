//! The tables of the template, in a `DynamoDB` embedded or elsewhere: created where they are missing, and compared where
//! they are there.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::{BoxError, BuildError};
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TableDescription, TimeToLiveSpecification,
    TimeToLiveStatus,
};
use aws_smithy_http_client::Builder;

use super::StoreError;
use crate::cloudformation::{IndexSpec, REGION, StreamSpec, TableSpec};

/// How long a store elsewhere may take to create a table.
const TABLE_LIMIT: Duration = Duration::from_secs(30);

/// The tables of a store.
pub(super) struct Tables<'a> {
    endpoint: &'a str,
    client: Client,
}

impl<'a> Tables<'a> {
    /// Those of the store at this URL, which is on this machine or next to it: neither credentials nor TLS matter there.
    pub(super) fn at(endpoint: &'a str) -> Self {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .http_client(Builder::new().build_http())
            .build();
        Self { endpoint, client: Client::from_conf(config) }
    }

    /// In which way a table that is there isn't as the template has it, for people: `the table gatehouse has no index
    /// users`. `None` where all are as they have to be, or missing.
    ///
    /// # Errors
    /// [`StoreError::Table`] where one can't be looked at.
    pub(super) async fn difference(
        &self,
        tables: impl Iterator<Item = &TableSpec>,
    ) -> Result<Option<String>, StoreError> {
        for table in tables {
            let found = self.describe(table).await.map_err(|source| self.failed(table, source))?;
            if let Some(difference) = found.as_ref().and_then(|found| difference(found, table)) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    /// Creates the tables that are missing, and sets the TTL of all.
    ///
    /// # Errors
    /// [`StoreError::Table`] for the first that can't be made ready.
    pub(super) async fn create(&self, tables: impl Iterator<Item = &TableSpec>) -> Result<(), StoreError> {
        for table in tables {
            self.ensure(table).await.map_err(|source| self.failed(table, source))?;
        }
        Ok(())
    }

    fn failed(&self, table: &TableSpec, source: BoxError) -> StoreError {
        StoreError::Table { table: table.name.clone(), endpoint: self.endpoint.to_owned(), source }
    }

    /// The table as it is; `None` where it is missing.
    async fn describe(&self, table: &TableSpec) -> Result<Option<TableDescription>, BoxError> {
        match self.client.describe_table().table_name(&table.name).send().await {
            Ok(answer) => Ok(answer.table),
            Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn ensure(&self, table: &TableSpec) -> Result<(), BoxError> {
        match self.describe(table).await? {
            Some(found) => self.ensure_stream(&found, table).await?,
            None => self.create_table(table).await?,
        }
        self.client.wait_until_table_exists().table_name(&table.name).wait(TABLE_LIMIT).await?;

        let Some(attribute) = &table.ttl_attribute else { return Ok(()) };
        let present = self.client.describe_time_to_live().table_name(&table.name).send().await?;
        let status = present.time_to_live_description().and_then(|description| description.time_to_live_status());
        if !matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            let ttl = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build()?;
            self.client.update_time_to_live().table_name(&table.name).time_to_live_specification(ttl).send().await?;
        }
        Ok(())
    }

    /// Gives a table that is there the template's stream. One that the template doesn't have stays.
    async fn ensure_stream(&self, found: &TableDescription, table: &TableSpec) -> Result<(), BoxError> {
        let Some(wanted) = &table.stream else { return Ok(()) };
        let present = found.stream_specification().filter(|stream| stream.stream_enabled());
        if let Some(present) = present {
            if present.stream_view_type().map(StreamViewType::as_str) == Some(&wanted.view_type) {
                return Ok(());
            }
            let none = StreamSpecification::builder().stream_enabled(false).build()?;
            self.client.update_table().table_name(&table.name).stream_specification(none).send().await?;
        }
        let stream = stream_of(wanted)?;
        self.client.update_table().table_name(&table.name).stream_specification(stream).send().await?;
        Ok(())
    }

    async fn create_table(&self, table: &TableSpec) -> Result<(), BoxError> {
        let mut request = self.client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in &table.attributes {
            let kind = ScalarAttributeType::from(kind.as_str());
            let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()?;
            request = request.attribute_definitions(definition);
        }
        for index in &table.indexes {
            request = request.global_secondary_indexes(index_of(index)?);
        }
        if let Some(stream) = &table.stream {
            request = request.stream_specification(stream_of(stream)?);
        }
        request.set_key_schema(Some(key_schema(&table.keys)?)).send().await?;
        Ok(())
    }
}

fn key_schema(keys: &[(String, String)]) -> Result<Vec<KeySchemaElement>, BuildError> {
    let key = |(name, kind): &(String, String)| {
        KeySchemaElement::builder().attribute_name(name).key_type(KeyType::from(kind.as_str())).build()
    };
    keys.iter().map(key).collect()
}

fn stream_of(stream: &StreamSpec) -> Result<StreamSpecification, BuildError> {
    let view_type = StreamViewType::from(stream.view_type.as_str());
    StreamSpecification::builder().stream_enabled(true).stream_view_type(view_type).build()
}

fn index_of(index: &IndexSpec) -> Result<GlobalSecondaryIndex, BuildError> {
    let included = (!index.included.is_empty()).then(|| index.included.clone());
    let projection = Projection::builder()
        .projection_type(ProjectionType::from(index.projection.as_str()))
        .set_non_key_attributes(included)
        .build();
    GlobalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key_schema(&index.keys)?))
        .projection(projection)
        .build()
}

/// In which way the table isn't as the template has it. Indexes that the template doesn't name disturb nobody.
fn difference(found: &TableDescription, table: &TableSpec) -> Option<String> {
    let name = &table.name;
    if !has_keys(found.key_schema(), &table.keys) {
        return Some(format!("the table {name} has other keys"));
    }
    table.indexes.iter().find_map(|index| {
        let present = found.global_secondary_indexes().iter().find(|present| present.index_name() == Some(&index.name));
        let Some(present) = present else { return Some(format!("the table {name} has no index {}", index.name)) };
        let projection = present.projection().and_then(Projection::projection_type).map(ProjectionType::as_str);
        let is_right = has_keys(present.key_schema(), &index.keys) && projection == Some(&index.projection);
        (!is_right).then(|| format!("the index {} of the table {name} has other keys or attributes", index.name))
    })
}

fn has_keys(found: &[KeySchemaElement], keys: &[(String, String)]) -> bool {
    found.len() == keys.len()
        && keys.iter().all(|(name, kind)| {
            found.iter().any(|found| found.attribute_name() == name && found.key_type().as_str() == kind)
        })
}
