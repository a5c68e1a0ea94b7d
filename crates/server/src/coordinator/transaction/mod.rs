//! The transaction coordinator's service: transactional ids, kept in `__transaction_state`.
//!
//! The shards decide (`ottla_coordinator::transaction`). Here is what they need of the world: requests come in by
//! [`TransactionCoordinatorService`], markers go out by a task of their own (`markers`), and another task gets
//! blocks of producer ids (`producer_ids`).

mod kind;
mod markers;
#[cfg(test)]
mod markers_test;
mod pattern;
mod producer_ids;
mod service;
#[cfg(test)]
mod service_test;
#[cfg(test)]
mod testing;

pub use kind::TransactionCoordinators;
pub use markers::MarkerTransport;
pub use producer_ids::{BLOCK_LENGTH, ProducerIdBlocks};
pub use service::{TransactionCoordinatorService, TransactionServiceParts};
