//! Reads a function's event of the type `DynamoDB`: the function is told of a table's changes.

use std::collections::BTreeMap;

use super::{ConsumerSpec, StartingPosition, TableSpec};
use crate::cloudformation::TemplateError;
use crate::cloudformation::pattern::Pattern;
use crate::cloudformation::place::Place;

/// The event's properties that are emulated, or have no effect on one machine.
const EMULATED: [&str; 7] = [
    "Stream",
    "StartingPosition",
    "BatchSize",
    "FilterCriteria",
    "MaximumRetryAttempts",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
];

/// Lambda's default for `BatchSize`, and the most that it takes.
const BATCH: (usize, usize) = (100, 10_000);

/// The event of this name, of the function with this binary.
pub(super) fn consumer(
    (binary, name): (&str, &str),
    event: &Place<'_>,
    tables: &BTreeMap<String, TableSpec>,
) -> Result<ConsumerSpec, TemplateError> {
    let properties = event.get("Properties");
    for (property, value) in properties.entries()? {
        if !EMULATED.contains(&property.as_str()) {
            value.refuse()?;
        }
    }
    let stream = properties.get("Stream");
    let arn = stream.required()?;
    let table = tables.values().find(|table| table.stream.as_ref().is_some_and(|stream| stream.arn == arn));
    let start = properties.get("StartingPosition");
    let batch = properties.get("BatchSize");
    let batch_size = batch.number()?.unwrap_or(BATCH.0);
    if !(1..=BATCH.1).contains(&batch_size) {
        return Err(batch.wrong(format!("this has to be from 1 to {}", BATCH.1)));
    }
    let bisects = properties.get("BisectBatchOnFunctionError").text()?;
    Ok(ConsumerSpec {
        function: binary.to_owned(),
        name: name.to_owned(),
        table: table.ok_or_else(|| stream.wrong("no table has this stream"))?.name.clone(),
        stream: arn,
        start: match start.required()?.as_str() {
            "TRIM_HORIZON" => StartingPosition::TrimHorizon,
            "LATEST" => StartingPosition::Latest,
            _ => return Err(start.wrong("only TRIM_HORIZON and LATEST are emulated")),
        },
        batch_size,
        filters: filters(&properties.get("FilterCriteria").get("Filters"))?,
        // -1 is for ever.
        retries: properties.get("MaximumRetryAttempts").number::<i64>()?.and_then(|times| times.try_into().ok()),
        bisects: bisects.is_some_and(|bisects| bisects == "true"),
        on_failure: properties.get("DestinationConfig").get("OnFailure").get("Destination").text()?,
    })
}

fn filters(filters: &Place<'_>) -> Result<Vec<Pattern>, TemplateError> {
    let filter = |filter: &Place<'_>| {
        let pattern = filter.get("Pattern");
        Pattern::parse(&pattern.required()?).map_err(|problem| pattern.wrong(problem))
    };
    filters.items()?.iter().map(filter).collect()
}
