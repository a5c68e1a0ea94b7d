//! The share coordinator (KIP-932): how far share groups have worked off each of their partitions.
//!
//! The state of a share-partition (group, topic, partition) lives in the partition of
//! `__share_group_state` that its key hashes to. A [`ShareSnapshot`](ShareStateRecord::Snapshot) record
//! holds all of it; [`ShareUpdate`](ShareStateRecord::Update) records change it until the next snapshot.
//! The topic is not compacted: everything below [`ShareCoordinatorShard::last_redundant_offset`] is
//! deleted from time to time, so every share-partition gets a new snapshot now and then.
//!
//! Five requests arrive here, from group coordinators and from leaders of partitions that share groups
//! read. Each of them may name many share-partitions; the functions of [`requests`] take them apart and
//! put the answers together.

mod config;
mod error;
mod key;
mod offset;
mod op;
#[cfg(test)]
mod property_test;
mod record;
mod redundant;
pub mod requests;
mod shard;
mod state_batch;
#[cfg(test)]
pub(crate) mod testing;

pub use config::ShareCoordinatorConfig;
pub use error::ShareStateError;
pub use key::{ParseSharePartitionKeyError, SharePartitionKey};
pub use offset::ShareGroupOffset;
pub use record::{ShareStateRecord, ShareStateRecordError};
pub use shard::{ShareCoordinatorShard, SharePartitionState, ShareStateResult, ShareStateTimer};
pub use state_batch::{StateBatch, combine};

/// Says of an offset: there is none yet, the group's `share.auto.offset.reset` decides.
pub const UNINITIALIZED_START_OFFSET: i64 = -1;
/// Says of the count of records that are done with: it is not known (KIP-1226).
pub const UNINITIALIZED_DELIVERY_COMPLETE_COUNT: i32 = -1;
/// The leader epoch of a state that no leader has read yet.
pub const DEFAULT_LEADER_EPOCH: i32 = 0;
/// The state epoch that is told of a state that does not exist.
pub const DEFAULT_STATE_EPOCH: i32 = 0;
