//! What of AWS the functions use beside the table: the SDK's configuration, the signing ring's secret, and keys that
//! stay fresh.

pub mod key_cache;
pub mod key_readers;
pub mod sdk;
pub mod secrets;
