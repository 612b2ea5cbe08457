//! The template's parameters: their values, checked against the template's own constraints before anything starts.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::{Document, text};

/// The values of a template's parameters: a string each, or a list of strings.
#[derive(Debug)]
pub(crate) struct Parameters(BTreeMap<String, Value>);

/// A parameter that can't have the value that it was given, or has by default.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The template has no parameter of this name.
    #[error("the template has no parameter {name}; it has {}", known.join(", "))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The parameter has no default, and was given no value.
    #[error("the parameter {name} needs a value: it has no default")]
    Missing {
        /// The parameter.
        name: String,
    },
    /// The value breaks a constraint.
    #[error("the parameter {name} can't be `{value}`: it {requirement} ({constraint})")]
    Refused {
        /// The parameter.
        name: String,
        /// The value, or the item of a list that is at fault.
        value: String,
        /// What it has to be: `ConstraintDescription`, where the template has one.
        requirement: String,
        /// The constraint that it breaks.
        constraint: Constraint,
    },
    /// The template's declaration is wrong or of a kind that is not emulated.
    #[error("the parameter {name} is declared in a way that can't be read: {constraint}")]
    Declaration {
        /// The parameter.
        name: String,
        /// The part of the declaration.
        constraint: Constraint,
    },
}

/// A part of a parameter's declaration that a value can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are CloudFormation's")]
pub enum Constraint {
    Type,
    AllowedValues,
    AllowedPattern,
    MinValue,
    MaxValue,
    MinLength,
    MaxLength,
}

impl Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Parameters {
    /// The values of the template's parameters, `given` in the place of their defaults.
    ///
    /// # Errors
    /// Names the first parameter that the template doesn't have, or whose value it doesn't allow.
    pub(crate) fn new(document: &Document, given: &BTreeMap<String, String>) -> Result<Self, ParameterError> {
        let none = Map::new();
        let declared = document.section("Parameters").as_object().unwrap_or(&none);
        if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
            let known = declared.keys().cloned().collect();
            return Err(ParameterError::Unknown { name: unknown.clone(), known });
        }
        let mut values = BTreeMap::new();
        for (name, declaration) in declared {
            let value = given.get(name).cloned().or_else(|| text(&declaration["Default"]));
            let value = value.ok_or_else(|| ParameterError::Missing { name: name.clone() })?;
            values.insert(name.clone(), Declaration { name, members: declaration }.read(value)?);
        }
        Ok(Self(values))
    }

    /// The value of a parameter; `None` where the template doesn't have it.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// A parameter as the template declares it.
struct Declaration<'a> {
    name: &'a str,
    members: &'a Value,
}

impl Declaration<'_> {
    fn read(&self, value: String) -> Result<Value, ParameterError> {
        match self.members["Type"].as_str() {
            Some("String") => {
                self.check_length(&value)?;
                self.check_text(&value)?;
                Ok(value.into())
            }
            Some("Number") => {
                self.check_number(&value)?;
                self.check_text(&value)?;
                Ok(value.into())
            }
            Some("CommaDelimitedList") => {
                let items: Vec<_> = value.split(',').map(str::trim).collect();
                items.iter().try_for_each(|item| self.check_text(item))?;
                Ok(items.into())
            }
            _ => Err(self.unreadable(Constraint::Type)),
        }
    }

    /// The constraints that all types have.
    fn check_text(&self, value: &str) -> Result<(), ParameterError> {
        if let Some(allowed) = self.members["AllowedValues"].as_array() {
            let allowed: Vec<_> = allowed.iter().filter_map(text).collect();
            if !allowed.iter().any(|allowed| allowed == value) {
                let requirement = format!("must be one of {}", allowed.join(", "));
                return Err(self.refused(value, Constraint::AllowedValues, requirement));
            }
        }
        if let Some(pattern) = self.members["AllowedPattern"].as_str() {
            let whole = Regex::new(&format!("^(?:{pattern})$"));
            let whole = whole.map_err(|_| self.unreadable(Constraint::AllowedPattern))?;
            if !whole.is_match(value) {
                let requirement = format!("must match {pattern}");
                return Err(self.refused(value, Constraint::AllowedPattern, requirement));
            }
        }
        Ok(())
    }

    fn check_number(&self, value: &str) -> Result<(), ParameterError> {
        let is_number = |number: &f64| number.is_finite();
        let Some(number) = value.parse().ok().filter(is_number) else {
            return Err(self.refused(value, Constraint::Type, "must be a number".to_owned()));
        };
        if let Some(least) = self.limit(Constraint::MinValue)?
            && number < least
        {
            return Err(self.refused(value, Constraint::MinValue, format!("must be at least {least}")));
        }
        if let Some(most) = self.limit(Constraint::MaxValue)?
            && number > most
        {
            return Err(self.refused(value, Constraint::MaxValue, format!("must be at most {most}")));
        }
        Ok(())
    }

    fn check_length(&self, value: &str) -> Result<(), ParameterError> {
        // Characters, as CloudFormation counts them; a length of more digits than a float has is no length.
        let length = f64::from(u32::try_from(value.chars().count()).unwrap_or(u32::MAX));
        if let Some(least) = self.limit(Constraint::MinLength)?
            && length < least
        {
            return Err(self.refused(value, Constraint::MinLength, format!("must have at least {least} characters")));
        }
        if let Some(most) = self.limit(Constraint::MaxLength)?
            && length > most
        {
            return Err(self.refused(value, Constraint::MaxLength, format!("must have at most {most} characters")));
        }
        Ok(())
    }

    fn limit(&self, constraint: Constraint) -> Result<Option<f64>, ParameterError> {
        let limit = text(&self.members[constraint.to_string()]);
        limit.map(|limit| limit.parse().map_err(|_| self.unreadable(constraint))).transpose()
    }

    fn refused(&self, value: &str, constraint: Constraint, requirement: String) -> ParameterError {
        let described = self.members["ConstraintDescription"].as_str().map(str::to_owned);
        ParameterError::Refused {
            name: self.name.to_owned(),
            value: value.to_owned(),
            requirement: described.unwrap_or(requirement),
            constraint,
        }
    }

    fn unreadable(&self, constraint: Constraint) -> ParameterError {
        ParameterError::Declaration { name: self.name.to_owned(), constraint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Parameters:
  Cost: {Type: Number, Default: 12, MinValue: 10, MaxValue: 15}
  Level: {Type: String, Default: info, AllowedValues: [info, debug]}
  Days: {Type: Number, Default: 1, AllowedValues: [1, 3]}
  Revocation:
    Type: String
    Default: "off"
    AllowedPattern: "off|[0-9]+"
    ConstraintDescription: must be off, or a number of seconds
  Name: {Type: String, Default: abc, MinLength: 2, MaxLength: 4}
  Origins: {Type: CommaDelimitedList, Default: "", AllowedPattern: "^(https://[a-z.]+)?$"}
"#;

    fn parameters(given: &[(&str, &str)]) -> Result<Parameters, ParameterError> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Parameters::new(&Document::parse(TEMPLATE).unwrap(), &given)
    }

    #[test]
    fn values_within_their_constraints_are_taken() {
        let parameters =
            parameters(&[("Cost", "15"), ("Revocation", "60"), ("Origins", "https://a, https://b")]).unwrap();
        assert_eq!(parameters.get("Cost"), Some(&"15".into()));
        assert_eq!(parameters.get("Level"), Some(&"info".into()));
        assert_eq!(parameters.get("Origins"), Some(&vec!["https://a", "https://b"].into()));
        assert_eq!(parameters.get("Nothing"), None);
    }

    #[test]
    fn a_refused_value_is_named_with_the_constraint_it_breaks() {
        for (name, value, message) in [
            ("Cost", "99", "the parameter Cost can't be `99`: it must be at most 15 (MaxValue)"),
            ("Cost", "9", "the parameter Cost can't be `9`: it must be at least 10 (MinValue)"),
            ("Cost", "twelve", "the parameter Cost can't be `twelve`: it must be a number (Type)"),
            ("Cost", "inf", "the parameter Cost can't be `inf`: it must be a number (Type)"),
            ("Level", "loud", "the parameter Level can't be `loud`: it must be one of info, debug (AllowedValues)"),
            ("Days", "2", "the parameter Days can't be `2`: it must be one of 1, 3 (AllowedValues)"),
            (
                "Revocation",
                "60s",
                "the parameter Revocation can't be `60s`: it must be off, or a number of seconds (AllowedPattern)",
            ),
            ("Name", "a", "the parameter Name can't be `a`: it must have at least 2 characters (MinLength)"),
            ("Name", "abcde", "the parameter Name can't be `abcde`: it must have at most 4 characters (MaxLength)"),
            (
                "Origins",
                "https://a,ftp://b",
                "the parameter Origins can't be `ftp://b`: it must match ^(https://[a-z.]+)?$ (AllowedPattern)",
            ),
            (
                "Levle",
                "debug",
                "the template has no parameter Levle; it has Cost, Days, Level, Name, Origins, Revocation",
            ),
        ] {
            assert_eq!(parameters(&[(name, value)]).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn what_has_neither_a_value_nor_a_readable_declaration_is_named() {
        let error = |yaml: &str| Parameters::new(&Document::parse(yaml).unwrap(), &BTreeMap::new()).unwrap_err();
        let name = "Domain".to_owned();
        assert_eq!(error("Parameters: {Domain: {Type: String}}"), ParameterError::Missing { name: name.clone() });
        for (declaration, constraint) in [
            ("Type: 'AWS::SSM::Parameter::Value<String>'", Constraint::Type),
            ("Type: String, AllowedPattern: '('", Constraint::AllowedPattern),
            ("Type: Number, MinValue: ten", Constraint::MinValue),
        ] {
            let error = error(&format!("Parameters: {{Domain: {{Default: 1, {declaration}}}}}"));
            assert_eq!(error, ParameterError::Declaration { name: name.clone(), constraint });
        }
    }
}
