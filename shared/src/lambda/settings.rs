//! Settings: the environment variables of a function. Each stands here once, with its type (which says its range), its
//! default, the template's parameter that sets it, and what it is; `tests/suite/settings.rs` compares template.yaml and
//! docs/settings.md with this table.

use std::{fmt::Display, marker::PhantomData, str::FromStr};

use tracing::level_filters::LevelFilter;

use crate::values::{
    access_token,
    bounded::Bounded,
    guessing::FailuresPerAddress,
    issuer::Issuer,
    key::Algorithm,
    key_setting::KeySetting,
    origin::Origins,
    password::Cost,
    scope::Scopes,
    session::{self, GraceWindow, IdleTimeout, RevocationDelay},
    session_limit::SessionLimit,
    time::Seconds,
    username::ReservedNames,
};

/// A setting of this type.
#[derive(Debug)]
pub struct Setting<T> {
    variable: &'static str,
    default: Option<&'static str>,
    value: PhantomData<fn() -> T>,
}

impl<T> Setting<T> {
    /// The setting that this environment variable holds. Without a default the variable is required, unless it is
    /// read with [`Settings::optional`].
    #[must_use]
    pub const fn new(variable: &'static str, default: Option<&'static str>) -> Self {
        Self { variable, default, value: PhantomData }
    }
}

/// A setting that can't be used. The message names it and says what would be right; it doesn't quote the value.
#[derive(Debug, thiserror::Error)]
#[error("the setting {variable} {problem}")]
pub struct SettingError {
    variable: &'static str,
    problem: String,
}

/// The environment of a function.
///
/// An empty variable counts as absent: a template can leave a parameter empty, but not its variable out.
#[derive(Clone, Copy, Debug)]
pub struct Settings(pub fn(&str) -> Option<String>);

impl Settings {
    /// The setting, or its default.
    ///
    /// # Errors
    /// [`SettingError`] where its value doesn't parse, or where it is absent without a default.
    pub fn get<T: FromStr<Err: Display>>(self, setting: &Setting<T>) -> Result<T, SettingError> {
        let missing = || SettingError { variable: setting.variable, problem: "is missing".to_owned() };
        self.optional(setting)?.ok_or_else(missing)
    }

    /// The setting or its default, where there is one.
    ///
    /// # Errors
    /// [`SettingError`] where its value doesn't parse.
    pub fn optional<T: FromStr<Err: Display>>(self, setting: &Setting<T>) -> Result<Option<T>, SettingError> {
        let wrong = |why: T::Err| SettingError { variable: setting.variable, problem: why.to_string() };
        let value = (self.0)(setting.variable).filter(|value| !value.is_empty());
        let value = value.or_else(|| setting.default.map(str::to_owned));
        value.map(|value| value.parse().map_err(wrong)).transpose()
    }
}

/// Whether a feature is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The feature is there.
    On,
    /// Clients see no trace of the feature.
    Off,
}

/// The text is neither `on` nor `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be on or off")]
pub struct InvalidSwitch;

impl FromStr for Switch {
    type Err = InvalidSwitch;

    fn from_str(text: &str) -> Result<Self, InvalidSwitch> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(InvalidSwitch),
        }
    }
}

/// The description of a setting, for documents and tests.
#[derive(Debug)]
pub struct Description {
    /// The environment variable.
    pub variable: &'static str,
    /// The template's parameter that sets it; `None` where the template computes it or leaves it out.
    pub parameter: Option<&'static str>,
    /// The value that counts where the variable is absent or empty.
    pub default: Option<&'static str>,
    /// The meaning of the setting, in one sentence for people.
    pub meaning: &'static str,
    /// Says what is wrong with a value.
    pub check: fn(&str) -> Result<(), String>,
}

macro_rules! settings {
    ($($name:ident: $type:ty = $variable:literal, $default:expr, $parameter:expr, $meaning:literal;)*) => {
        $(#[doc = concat!("`", $variable, "`, as [`ALL`] describes it.")] pub const $name: Setting<$type> = Setting::new($variable, $default);)*

        /// All settings.
        pub const ALL: &[Description] = &[$(Description {
            variable: $variable,
            parameter: $parameter,
            default: $default,
            meaning: $meaning,
            check: |text| text.parse::<$type>().map(drop).map_err(|problem| problem.to_string()),
        }),*];
    };
}

/// Names by which users would take a stranger for whoever runs the service, and the mailboxes of RFC 2142.
const DEFAULT_RESERVED_NAMES: &str = "admin,administrator,root,superuser,sysadmin,system,operator,moderator,staff,owner,\
    support,help,helpdesk,service,security,abuse,info,postmaster,hostmaster,webmaster,noreply,no-reply,\
    anonymous,guest,nobody";

settings! {
    ACCESS_TOKEN_LIFETIME: access_token::Lifetime = "ACCESS_TOKEN_LIFETIME", Some("1800"), Some("AccessTokenLifetime"),
        "seconds that a token is valid, 60 to 86400";
    SESSION_IDLE_TIMEOUT: IdleTimeout = "SESSION_IDLE_TIMEOUT", Some("2592000"), Some("SessionIdleTimeout"),
        "seconds that a session lasts without a refresh (30 days), 60 to 31536000";
    SESSION_LIFETIME: session::Lifetime = "SESSION_LIFETIME", Some("7776000"), Some("SessionLifetime"),
        "seconds that a session lasts at most (90 days), 60 to 31536000";
    MAX_SESSIONS: SessionLimit = "MAX_SESSIONS", Some("100"), Some("MaxSessions"),
        "how many sessions an account has, about, 1 to 1000; the one used longest ago makes room";
    REFRESH_GRACE_WINDOW: GraceWindow = "REFRESH_GRACE_WINDOW", Some("10"), Some("RefreshGraceWindow"),
        "seconds in which a used refresh token gives its successor again, 0 to 300";
    LIVE_REVOCATION: RevocationDelay = "LIVE_REVOCATION", Some("60"), Some("LiveRevocation"),
        "seconds for which the token of an ended session may still pass, 0 to 3600; `off`: until it expires";
    ISSUER: Issuer = "ISSUER", None, Some("Issuer"),
        "the tokens' `iss`; empty: `https://`, the domain and the stage of the request";
    AUDIENCE: String = "AUDIENCE", Some("gatehouse"), Some("Audience"), "the tokens' `aud`";
    SIGNING_ALGORITHM: Algorithm = "SIGNING_ALGORITHM", Some("ES256"), Some("SigningAlgorithm"),
        "what the next signing key is for: ES256, EdDSA, RS256 (2048 bits) or HS256";
    SCOPES: Scopes = "SCOPES", None, Some("Scopes"),
        "the scopes that the server's metadata names, separated by commas";
    REGISTRATION: Switch = "REGISTRATION", Some("on"), Some("Registration"),
        "whether anybody may make an account; `off`: `POST /register` is 404";
    REGISTRATION_SCOPES: Scopes = "REGISTRATION_SCOPES", None, Some("RegistrationScopes"),
        "the scopes of accounts made so, separated by commas";
    REGISTRATIONS_PER_ADDRESS: Bounded<1, 1_000_000> = "REGISTRATIONS_PER_ADDRESS", Some("20"), Some("RegistrationsPerAddress"),
        "how many accounts one address may ask for in an hour of the clock, 1 to 1000000";
    RESERVED_NAMES: ReservedNames = "RESERVED_NAMES", Some(DEFAULT_RESERVED_NAMES), Some("ReservedNames"),
        "usernames that `POST /register` says are taken, in whatever case, separated by commas";
    FAILURES_PER_ADDRESS: FailuresPerAddress = "FAILURES_PER_ADDRESS", Some("100"), Some("FailuresPerAddress"),
        "how many wrong passwords one address may send in a half-hour of the clock, over all accounts, 10 to 1000000";
    BCRYPT_COST: Cost = "BCRYPT_COST", Some("12"), Some("BcryptCost"),
        "cost of password hashes, 10 to 15; a step doubles the time. Older hashes are renewed at the next sign-in";
    CORS_ORIGINS: Origins = "CORS_ORIGINS", None, Some("CorsOrigins"),
        "origins whose pages may call the API, with cookies or without, separated by commas";
    LOG_LEVEL: LevelFilter = "LOG_LEVEL", Some("info"), Some("LogLevel"),
        "`error`, `warn`, `info` or `debug`; lines with a metric are written at any level";
    STACK_NAME: String = "STACK_NAME", None, None, "what tells the metrics of several stacks in one account apart";
    TABLE_NAME: String = "TABLE_NAME", None, None, "the table";
    COUNTS_TABLE_NAME: String = "COUNTS_TABLE_NAME", None, None,
        "the table that counts guesses and registrations, for the functions that count";
    SIGNING_KEYS: KeySetting = "SIGNING_KEYS", None, None,
        "the ARN of the secret that holds the private ring. On a laptop the ring itself will do, a JWK or JWK Set whose first key signs";
    VERIFYING_KEYS: String = "VERIFYING_KEYS", None, None,
        "a ring in place of the published keys, for `sam local` and `cargo lambda watch`; empty on AWS";
    KEY_REFRESH: Seconds<1, 3600> = "KEY_REFRESH", Some("300"), None,
        "the age in seconds that a function's keys may reach before it reads them anew";
    SIGNING_KEY_REFRESH: Seconds<1, 3600> = "KEY_REFRESH", Some("60"), None,
        "the same for the private ring that login signs with: after a leak, what the old key signs is refused";
    KEY_PUBLISH_AHEAD: Seconds<1, 86400> = "KEY_PUBLISH_AHEAD", Some("600"), None,
        "seconds for which a key is published before it signs";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_wrong_setting_is_named_without_its_value() {
        let settings = Settings(|name: &str| match name {
            "WRONG" => Some("hunter2".to_owned()),
            "EMPTY" => Some(String::new()),
            "RIGHT" => Some("12".to_owned()),
            _ => None,
        });
        let (right, empty) = (Setting::<Cost>::new("RIGHT", None), Setting::<Cost>::new("EMPTY", None));
        assert_eq!(settings.get(&right).unwrap(), Cost::new(12).unwrap());
        assert!(settings.optional(&empty).unwrap().is_none());
        for name in ["EMPTY", "ABSENT"] {
            let message = settings.get(&Setting::<Cost>::new(name, None)).unwrap_err().to_string();
            assert_eq!(message, format!("the setting {name} is missing"));
            assert_eq!(settings.get(&Setting::<Cost>::new(name, Some("9"))).unwrap(), Cost::new(9).unwrap());
        }
        let message = settings.get(&Setting::<Cost>::new("WRONG", Some("9"))).unwrap_err().to_string();
        assert_eq!(message, "the setting WRONG must be a whole number from 4 to 16");
    }

    #[test]
    fn every_default_is_a_value_of_its_setting() {
        for setting in ALL {
            assert_eq!(setting.default.map_or(Ok(()), setting.check), Ok(()), "{}", setting.variable);
        }
    }
}
