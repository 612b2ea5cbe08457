//! A value of the template after its intrinsic functions were resolved, with the way that leads to it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::{TemplateError, text};

/// A resolved value, and where it stands in the template.
pub(super) struct Place<'v> {
    pub(super) value: Cow<'v, Value>,
    pub(super) at: String,
}

impl Place<'_> {
    /// The value under `key`; `null` where the key is absent.
    pub(super) fn get(&self, key: &str) -> Place<'_> {
        Place { value: Cow::Borrowed(&self.value[key]), at: format!("{}.{key}", self.at) }
    }

    pub(super) fn entries(&self) -> Result<Vec<(&String, Place<'_>)>, TemplateError> {
        match &*self.value {
            Value::Null => Ok(Vec::new()),
            Value::Object(entries) => Ok(entries.keys().map(|key| (key, self.get(key))).collect()),
            _ => Err(self.wrong("this has to be a map")),
        }
    }

    /// The members of a list; none where it is absent.
    pub(super) fn items(&self) -> Result<Vec<Place<'_>>, TemplateError> {
        match &*self.value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| Place { value: Cow::Borrowed(item), at: format!("{}[{index}]", self.at) })
                .collect()),
            _ => Err(self.wrong("this has to be a list")),
        }
    }

    pub(super) fn text(&self) -> Result<Option<String>, TemplateError> {
        match &*self.value {
            Value::Null => Ok(None),
            value => text(value).map(Some).ok_or_else(|| self.wrong("this has to be a string")),
        }
    }

    pub(super) fn required(&self) -> Result<String, TemplateError> {
        self.text()?.ok_or_else(|| self.wrong("this is missing or has no value"))
    }

    pub(super) fn number<N: FromStr>(&self) -> Result<Option<N>, TemplateError> {
        self.text()?.map(|number| number.parse().map_err(|_| self.wrong("this has to be a number"))).transpose()
    }

    pub(super) fn list(&self) -> Result<Vec<String>, TemplateError> {
        match &*self.value {
            Value::Null => Ok(Vec::new()),
            value => value
                .as_array()
                .and_then(|items| items.iter().map(text).collect())
                .ok_or_else(|| self.wrong("this has to be a list of strings")),
        }
    }

    pub(super) fn map(&self) -> Result<BTreeMap<String, String>, TemplateError> {
        self.entries()?.into_iter().map(|(key, value)| Ok((key.clone(), value.required()?))).collect()
    }

    pub(super) fn refuse(&self) -> Result<(), TemplateError> {
        if self.value.is_null() { Ok(()) } else { Err(self.wrong("this is not emulated")) }
    }

    pub(super) fn wrong(&self, problem: impl Into<String>) -> TemplateError {
        TemplateError::new(&self.at, problem)
    }
}
