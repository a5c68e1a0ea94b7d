//! The transaction coordinator: what each transactional id is doing, kept in `__transaction_state`.
//!
//! One [`TransactionCoordinatorShard`] is one partition of that topic. Operations live in `op`, one file
//! each. A transactional id moves only along the transitions of [`TransactionMetadata`]; each is written
//! first and takes effect when its record is committed. Until then the id is taken, and whoever asks
//! hears CONCURRENT_TRANSACTIONS.
//!
//! What has to happen elsewhere leaves as a [`TransactionEffect`]: markers for the partitions of a
//! transaction that ends, and the wish for more producer ids. [`TxnMarkerChannel`] gathers the markers of
//! all shards of a broker into requests for the leaders.

mod config;
mod effect;
mod error;
mod marker_channel;
mod metadata;
mod op;
mod partitions;
mod producer_ids;
#[cfg(test)]
mod property_test;
mod record;
mod shard;
mod state;
#[cfg(test)]
mod testing;
mod transactions;
mod version;

pub use config::TransactionConfig;
pub use effect::{MarkerOutcome, MarkersWritten, TransactionEffect, TransactionMarkers};
pub use error::{TransactionError, append_error};
pub use marker_channel::{MarkerLeader, MarkerRequest, TxnMarkerChannel};
pub use metadata::TransactionMetadata;
pub use op::{
    add_offsets_error, end_txn_error, init_producer_id_error, normalize_request, result_for_transaction,
    unknown_state_filters,
};
pub use partitions::TransactionPartitions;
pub use record::{TransactionRecord, TransactionRecordError};
pub use shard::{
    TransactionChange, TransactionContinuation, TransactionCoordinatorShard, TransactionDecision,
    TransactionTimerEvent, TransactionTimerKey,
};
pub use state::TransactionState;
pub use version::TransactionVersion;

/// The partition of `__transaction_state` that a transactional id lives in.
pub use crate::group::partition_for;

/// No producer.
pub(crate) const NO_PRODUCER_ID: i64 = -1;
/// No epoch yet.
pub(crate) const NO_PRODUCER_EPOCH: i16 = -1;
