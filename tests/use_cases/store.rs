//! The store: what its rows hold, what it says of rows that it can't read, and what its conditions promise.

mod guesses;
mod keys;
mod registrations;
mod sessions;
mod tombstones;
mod user_lists;
mod users;

use std::error::Error;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::{causes, store::StoreError, time::Timestamp};

use crate::table::{Row, Table};

/// What no error may quote.
const MARK: &str = "e7a1-not-to-be-quoted";

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn time(time: Timestamp) -> AttributeValue {
    n(time.0)
}

fn ss(members: &[&str]) -> AttributeValue {
    AttributeValue::Ss(members.iter().map(|member| (*member).to_owned()).collect())
}

/// A row of these attributes and no others.
fn row<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Row {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Damages each attribute of a row in turn, and asserts what reading it says: the row and the attribute, but no value.
///
/// `required` are those that a row needs, `optional` those that it may lack. The row is as it was afterwards.
async fn assert_names_what_is_unusable(
    table: &Table,
    intact: &Row,
    required: &[&str],
    optional: &[&str],
    read: impl AsyncFn() -> Result<(), StoreError>,
) {
    for attribute in required.iter().chain(optional) {
        let mut damaged = intact.clone();
        damaged.remove(*attribute);
        table.put(damaged).await;
        if required.contains(attribute) {
            assert_unreadable(&read().await.unwrap_err(), intact, attribute, "is missing");
        } else {
            read().await.unwrap_or_else(|error| panic!("{attribute}: {}", causes(&error)));
        }

        let (values, problem): (&[AttributeValue], _) = match &intact[*attribute] {
            AttributeValue::N(_) => {
                let numbers =
                    ["-77001", "77001.5", "77001770017700177001"].map(|text| AttributeValue::N(text.to_owned()));
                (&[&numbers[..], &[s(MARK), ss(&[MARK])]].concat(), "is not a whole number")
            }
            AttributeValue::S(_) => (&[n(77001), ss(&[MARK])], "is not a string"),
            AttributeValue::Ss(_) => {
                let numbers = AttributeValue::Ns(vec!["77001".to_owned()]);
                (&[s(MARK), n(77001), numbers], "is not a set of strings")
            }
            other => panic!("{attribute} is {other:?}"),
        };
        for value in values {
            table.put(intact.clone().into_iter().chain([((*attribute).to_owned(), value.clone())]).collect()).await;
            assert_unreadable(&read().await.unwrap_err(), intact, attribute, problem);
        }
    }
    table.put(intact.clone()).await;
    read().await.unwrap();
}

/// Asserts that the error says this of the row and of nothing in it.
#[track_caller]
fn assert_unreadable(error: &StoreError, row: &Row, attribute: &str, problem: &str) {
    let pk = row["pk"].as_s().unwrap();
    assert!(matches!(error, StoreError::Unreadable(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("the row {pk:?} has no usable {attribute}: ")), "{text}");
    assert!(text.ends_with(problem), "{text}");
    let said = format!("{error:?} {} {:?}", causes(error), error.source());
    assert!(!said.contains(MARK) && !said.contains("77001"), "{said}");
}
