//! Bytes to Kafka messages and back.
//!
//! Everything Kafka 4.4 encodes is generated from the facts in `crates/protocol/schema/` by
//! `cargo xtask codegen`: requests and responses ([`messages`]), and the records of the metadata
//! log, the coordinators, tiered storage and control batches ([`records`]). The hand-written part
//! is [`codec`]: how primitives look on the wire, and the bounds that keep hostile input harmless.
//!
//! No IO, no clock: a message is a value, its bytes are a function of value and version.

pub mod api_key_versions;
#[rustfmt::skip]
#[allow(missing_docs)]
pub mod api_keys;
pub mod codec;
#[allow(
    missing_docs,
    unused_variables,
    unused_mut,
    unused_imports,
    unreachable_pub,
    unused_qualifications,
    clippy::all
)]
pub mod messages;
#[allow(
    missing_docs,
    unused_variables,
    unused_mut,
    unused_imports,
    unreachable_pub,
    unused_qualifications,
    clippy::all
)]
pub mod records;
#[allow(missing_docs, unused_variables, unused_imports, clippy::all)]
pub mod registry;
#[cfg(all(test, feature = "test-util"))]
mod registry_test;
#[cfg(feature = "test-util")]
pub mod sample;

pub use api_keys::ApiKey;
pub use codec::{
    DecodeError, EncodeError, Message, Payload, RawTaggedField, Reader, Records, Request, Writer,
};
