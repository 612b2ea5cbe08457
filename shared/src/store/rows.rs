//! Between rows and the structs that document them: a row has a serde struct, whose fields are its attributes.
//!
//! A number is an `N`, a text an `S`, a set of scopes an `SS`. What is read goes through the adapters below, which parse
//! a value at once and leave out, of whatever is wrong with one, the value itself: it may be the hash of a password.

use std::{
    collections::{HashMap, hash_map::IntoIter},
    fmt::Display,
};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        self, DeserializeSeed, MapAccess, Visitor,
        value::{SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{StoreError, unavailable};
use crate::values::{
    password::PasswordHash, scope::Scopes, session::SessionId, time::Timestamp, user::Status, username::Username,
};

/// A row's attributes by their names.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A row that this program can't read.
#[derive(Debug, thiserror::Error)]
#[error("the row {row:?} has no usable {attribute}: {problem}")]
pub struct UnreadableRow {
    /// The row's partition key.
    row: String,
    attribute: String,
    /// What is wrong, without the value.
    problem: String,
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn timestamp(value: Timestamp) -> AttributeValue {
    number(value.0)
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A set of scopes; `None` where it is empty, because a set in the table can't be.
pub(super) fn scope_set(value: &Scopes) -> Option<AttributeValue> {
    (!value.is_empty()).then(|| AttributeValue::Ss(value.iter().map(str::to_owned).collect()))
}

/// A row's key.
pub(super) fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// Reads a row by its struct's `deserialize`.
pub(super) fn read<T>(
    mut item: Item,
    deserialize: impl FnOnce(RowDeserializer) -> Result<T, Problem>,
) -> Result<T, UnreadableRow> {
    let row = item.remove("pk");
    deserialize(RowDeserializer { left: item.into_iter(), value: None }).map_err(|Problem { attribute, problem }| {
        let row = row.and_then(|pk| if let AttributeValue::S(pk) = pk { Some(pk) } else { None }).unwrap_or_default();
        UnreadableRow { row, attribute, problem }
    })
}

/// Adds what a row's `serialize` writes to the row's key.
pub(super) fn write(
    mut key: Item,
    serialize: impl FnOnce(serde_dynamo::Serializer) -> serde_dynamo::Result<serde_dynamo::AttributeValue>,
) -> Result<Item, StoreError> {
    match serialize(serde_dynamo::Serializer).map_err(unavailable)? {
        serde_dynamo::AttributeValue::M(row) => {
            key.extend(row.into_iter().map(|(name, value)| (name, value.into())));
            Ok(key)
        }
        _ => Err(StoreError::Unavailable("a row is made of attributes".into())),
    }
}

/// A row's attributes as the values of an update: `guesses` as `:guesses`.
pub(super) fn values(row: &impl Serialize) -> Result<Item, StoreError> {
    let item = write(Item::new(), |serializer| row.serialize(serializer))?;
    Ok(item.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect())
}

/// What keeps a row from being read.
#[derive(Debug, thiserror::Error)]
#[error("{attribute}: {problem}")]
pub(super) struct Problem {
    attribute: String,
    problem: String,
}

impl Problem {
    pub(super) fn of(attribute: &str, problem: &str) -> Self {
        Self { attribute: attribute.to_owned(), problem: problem.to_owned() }
    }
}

impl de::Error for Problem {
    fn custom<T: Display>(problem: T) -> Self {
        Self { attribute: String::new(), problem: problem.to_string() }
    }

    fn missing_field(attribute: &'static str) -> Self {
        Self { attribute: attribute.to_owned(), problem: "is missing".to_owned() }
    }
}

/// Reads a row attribute by attribute, so that what is wrong is said with the attribute's name.
pub(super) struct RowDeserializer {
    left: IntoIter<String, AttributeValue>,
    /// The attribute whose name was read last.
    value: Option<(String, AttributeValue)>,
}

impl<'de> Deserializer<'de> for RowDeserializer {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for RowDeserializer {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((name, value)) = self.left.next() else { return Ok(None) };
        let (name, _) = self.value.insert((name, value));
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (attribute, value) = self.value.take().ok_or_else(|| de::Error::custom("has no value"))?;
        seed.deserialize(ValueDeserializer(value)).map_err(|Problem { problem, .. }| Problem { attribute, problem })
    }
}

/// Reads an attribute's value: a string, a whole number or a set of strings.
struct ValueDeserializer(AttributeValue);

impl<'de> Deserializer<'de> for ValueDeserializer {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            AttributeValue::S(text) => visitor.visit_string(text),
            AttributeValue::N(digits) => visitor.visit_u64(digits.parse().map_err(de::Error::custom)?),
            AttributeValue::Ss(set) => visitor.visit_seq(SeqDeserializer::new(set.into_iter())),
            _ => Err(de::Error::custom("is of a type that no row has")),
        }
    }

    /// An attribute that the row's struct doesn't name may be of any type.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// A value that is a string in the table.
pub(super) trait Text: Sized {
    /// Takes the string; what an error says must not quote it.
    fn parse(text: String) -> Result<Self, impl Display>;
    fn as_str(&self) -> &str;
}

/// Has a type with `parse` and `as_str` of its own stand in the table as a string.
macro_rules! text {
    ($($type:ty),*) => {
        $(impl Text for $type {
            fn parse(text: String) -> Result<Self, impl Display> {
                <$type>::parse(&text)
            }

            fn as_str(&self) -> &str {
                <$type>::as_str(self)
            }
        })*
    };
}

text!(Username, PasswordHash, SessionId);

impl Text for Status {
    fn parse(text: String) -> Result<Self, impl Display> {
        text.parse::<Self>()
    }

    fn as_str(&self) -> &str {
        Self::as_str(*self)
    }
}

/// `#[serde(with = "as_text")]`: an `S`.
pub(super) mod as_text {
    use super::{Deserialize, Deserializer, Serializer, Text, de::Error};

    pub(in super::super) fn serialize<T: Text, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_str())
    }

    pub(in super::super) fn deserialize<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::parse(string(deserializer)?).map_err(D::Error::custom)
    }

    /// `#[serde(deserialize_with = "as_text::string")]`: any text.
    pub(in super::super) fn string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        String::deserialize(deserializer).map_err(|_| D::Error::custom("is not a string"))
    }

    /// `#[serde(default, deserialize_with = "as_text::optional")]`: any text, or none.
    pub(in super::super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        string(deserializer).map(Some)
    }
}

/// `#[serde(deserialize_with = "as_number::…")]`: an `N` without a sign or a fraction.
pub(super) mod as_number {
    use super::{Deserialize, Deserializer, Timestamp, de::Error};

    pub(in super::super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::deserialize(deserializer).map_err(|_| D::Error::custom("is not a whole number"))
    }

    pub(in super::super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        count(deserializer).map(Timestamp)
    }

    pub(in super::super) fn optional_time<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
    where
        D: Deserializer<'de>,
    {
        time(deserializer).map(Some)
    }
}

/// `#[serde(default, with = "as_set", skip_serializing_if = "Scopes::is_empty")]`: an `SS`, absent where it is empty.
pub(super) mod as_set {
    use super::{Deserialize, Deserializer, Scopes, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(scopes: &Scopes, serializer: S) -> Result<S::Ok, S::Error> {
        serde_dynamo::string_set::serialize(&scopes.iter().collect::<Vec<_>>(), serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scopes, D::Error> {
        let scopes = strings(deserializer)?;
        Scopes::from_tokens(scopes.iter().map(String::as_str)).map_err(D::Error::custom)
    }

    /// `#[serde(default, deserialize_with = "as_set::strings")]`: any texts.
    pub(in super::super) fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Vec::deserialize(deserializer).map_err(|_| D::Error::custom("is not a set of strings"))
    }
}
