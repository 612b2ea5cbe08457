//! How every function starts: settings, log, clock, randomness and the SDK's configuration come from one call.

use std::{
    cell::Cell,
    fmt::{Debug, Display},
    future::Future,
    mem,
    str::FromStr,
    time::SystemTime,
};

use lambda_http::lambda_runtime::{
    self, Diagnostic, LambdaEvent, LambdaInvocation, Runtime, service_fn, tower::util::MapRequestLayer,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    CallRecord, Router,
    cors::Cors,
    log::Log,
    settings::{CORS_ORIGINS, Setting, SettingError, Settings},
};
use crate::{
    BoxError,
    values::{
        random::{self, SystemRandom},
        time::{Clock, Timestamp},
    },
};

/// A function that has started.
#[derive(Clone, Debug)]
pub struct Function {
    settings: Settings,
    log: Log,
}

impl Function {
    /// Starts the function whose package has this name, with the settings in its environment.
    ///
    /// # Errors
    /// [`SettingError`] for the settings of the log.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn start(name: &'static str) -> Result<Self, SettingError> {
        let settings = Settings(|variable| std::env::var(variable).ok());
        Ok(Self { settings, log: Log::start(settings, name)? })
    }

    /// A setting, or its default.
    ///
    /// # Errors
    /// [`SettingError`] where it is wrong, or missing.
    pub fn setting<T: FromStr<Err: Display>>(&self, setting: &Setting<T>) -> Result<T, SettingError> {
        self.settings.get(setting)
    }

    /// A setting that may be missing.
    ///
    /// # Errors
    /// [`SettingError`] where it is wrong.
    pub fn optional<T: FromStr<Err: Display>>(&self, setting: &Setting<T>) -> Result<Option<T>, SettingError> {
        self.settings.optional(setting)
    }

    /// The system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that passes the system's clock in")]
    pub fn clock(&self) -> Clock {
        Clock::new(|| Timestamp::from(SystemTime::now()))
    }

    /// The system's random source.
    #[must_use]
    pub fn random(&self) -> SystemRandom {
        random::system()
    }

    /// The SDK's configuration.
    ///
    /// # Errors
    /// Where the TLS roots can't be read.
    #[cfg(feature = "aws")]
    pub fn sdk(&self) -> Result<aws_types::SdkConfig, BoxError> {
        crate::aws::sdk::sdk_config(self.settings.0)
    }

    /// The table.
    ///
    /// # Errors
    /// [`SettingError`] where its name is missing.
    #[cfg(feature = "aws")]
    pub fn store(&self, sdk: &aws_types::SdkConfig) -> Result<crate::store::Store, SettingError> {
        Ok(crate::store::Store::new(sdk, self.setting(&super::settings::TABLE_NAME)?))
    }

    /// The table, and the one in which guesses and registrations are counted.
    ///
    /// # Errors
    /// [`SettingError`] where one of their names is missing.
    #[cfg(feature = "aws")]
    pub fn counting_store(&self, sdk: &aws_types::SdkConfig) -> Result<crate::store::Store, SettingError> {
        Ok(self.store(sdk)?.counting_in(self.setting(&super::settings::COUNTS_TABLE_NAME)?))
    }

    /// Serves the requests of API Gateway until the Lambda runtime ends. Pages of `CORS_ORIGINS` may read the answers.
    ///
    /// # Errors
    /// [`SettingError`] for that setting, and the Lambda runtime's.
    pub async fn serve(&self, router: Router<'_>) -> Result<(), BoxError> {
        let cors = Cors(self.optional(&CORS_ORIGINS)?.unwrap_or_default());
        router.serve(&self.log, &cors).await
    }

    /// Serves events that don't come from API Gateway, until the Lambda runtime ends: each goes to the handler, and its
    /// record to the log.
    ///
    /// # Errors
    /// The Lambda runtime's.
    pub async fn run_events<E, A, P, F>(&self, handler: impl Fn(E) -> F) -> Result<(), BoxError>
    where
        E: DeserializeOwned,
        A: Serialize,
        P: Into<Diagnostic> + Debug,
        F: Future<Output = (Result<A, P>, CallRecord)>,
    {
        lambda_runtime::run(service_fn(async |event: LambdaEvent<E>| {
            self.log.call(&event.context.request_id, handler(event.payload)).await
        }))
        .await
    }

    /// Serves events as [`Function::run_events`] does, to a handler that reads their bytes itself. The runtime's own
    /// reader would make a copy of all that the handler wants, and a name of each member for its errors, which quote
    /// what they met.
    ///
    /// # Errors
    /// The Lambda runtime's.
    pub async fn run_raw_events<A, P>(
        &self,
        handler: impl AsyncFn(&[u8]) -> (Result<A, P>, CallRecord),
    ) -> Result<(), BoxError>
    where
        A: Serialize,
        P: Into<Diagnostic> + Debug,
    {
        // The runtime has one event at a time. It reads the `null` that stands in the place of this one.
        let event = Cell::default();
        let take = MapRequestLayer::new(|mut invocation: LambdaInvocation| {
            event.set(mem::replace(&mut invocation.body, b"null".as_slice().into()));
            invocation
        });
        let handle = service_fn(async |unread: LambdaEvent<()>| {
            let event = event.take();
            self.log.call(&unread.context.request_id, handler(&event)).await
        });
        // Without the runtime's layer for tracing: its spans are in no line of the log.
        Runtime::new(handle).layer(take).run().await
    }
}
