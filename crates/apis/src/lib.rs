//! One file per request.

pub mod broker;
mod call;
pub mod context;
pub mod support;
pub mod table;

pub use call::Call;
pub use context::{BrokerContext, BrokerSettings};
pub use table::{API_TABLE, Outcome, serve};
