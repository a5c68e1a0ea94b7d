//! What the log knows of idempotent producers and transactions.

mod append_info;
mod entry;
mod manager;
mod snapshot;
mod verification;

pub(crate) use append_info::ProducerBatch;
pub use append_info::{AppendOrigin, CompletedTxn, ProducerAppendInfo, TransactionVersion};
pub use entry::{BatchMetadata, ProducerStateEntry};
pub use manager::{ProducerStateManager, ProducerStateManagerConfig};
pub use snapshot::{CorruptSnapshotError, decode_snapshot, encode_snapshot};
pub use verification::VerificationGuard;

#[cfg(test)]
#[path = "../producer_state_test.rs"]
mod tests;
