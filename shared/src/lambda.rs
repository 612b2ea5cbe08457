//! The edge towards Lambda and API Gateway: how a function starts, which handler a request is for, who calls, what a
//! body holds, what is answered, and the line that a call leaves in the log.

pub mod answers;
pub mod body;
pub mod call;
pub mod call_record;
pub mod caller;
pub mod cors;
pub mod gateway_request;
pub mod log;
pub mod metric;
pub mod page;
pub mod router;
mod security_headers;
pub mod settings;
pub mod start;

pub use self::{
    answers::{Answer, ErrorResponse, Problem},
    call::Call,
    call_record::CallRecord,
    caller::Caller,
    gateway_request::GatewayRequest,
    metric::Metric,
    router::Router,
    start::Function,
};
