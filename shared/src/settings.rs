//! Settings: the environment variables of a function, read once, when it starts.

use std::{fmt::Display, str::FromStr};

/// A setting that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the setting {name} {problem}")]
pub struct SettingError {
    name: &'static str,
    problem: String,
}

/// The environment, as a function from a variable's name to its value.
///
/// An empty variable counts as one that isn't there: a template can leave a parameter empty, but not
/// its variable out.
pub struct Settings<F>(pub F);

impl<F: Fn(&str) -> Option<String>> Settings<F> {
    /// The setting, where it is there.
    ///
    /// # Errors
    /// [`SettingError`] names the setting where its value doesn't parse.
    pub fn optional<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Option<T>, SettingError> {
        (self.0)(name)
            .filter(|value| !value.is_empty())
            // The message is the type's own: it says what would be right, and doesn't quote the value.
            .map(|value| value.parse().map_err(|why: T::Err| SettingError { name, problem: why.to_string() }))
            .transpose()
    }

    /// The setting, which has to be there.
    ///
    /// # Errors
    /// [`SettingError`] names the setting where it is absent, empty, or doesn't parse.
    pub fn required<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, SettingError> {
        self.optional(name)?.ok_or_else(|| SettingError { name, problem: "is missing".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::Cost;

    #[test]
    fn an_absent_or_wrong_setting_is_named_and_its_value_is_not_quoted() {
        let settings = Settings(|name: &str| match name {
            "WRONG" => Some("hunter2".to_owned()),
            "EMPTY" => Some(String::new()),
            "RIGHT" => Some("12".to_owned()),
            _ => None,
        });
        assert_eq!(settings.required::<Cost>("RIGHT").unwrap(), Cost::new(12).unwrap());
        assert!(settings.optional::<Cost>("EMPTY").unwrap().is_none());
        for name in ["EMPTY", "ABSENT"] {
            let message = settings.required::<Cost>(name).unwrap_err().to_string();
            assert_eq!(message, format!("the setting {name} is missing"));
        }
        let message = settings.required::<Cost>("WRONG").unwrap_err().to_string();
        assert_eq!(message, "the setting WRONG must be a whole number from 4 to 16");
    }
}
