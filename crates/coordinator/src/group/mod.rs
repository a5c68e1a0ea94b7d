//! The group coordinator: groups and their committed offsets, kept in `__consumer_offsets`.
//!
//! One [`GroupCoordinatorShard`] is one partition of that topic. Operations live in `op`, one file
//! each; [`classic`] is the state machine of groups that use JoinGroup, SyncGroup and Heartbeat.
//! [`consumer`], [`share`] and [`streams`] are those of the newer protocols (KIP-848, KIP-932, KIP-1071), which
//! have [`modern`] in common. [`assignor`] decides which member of a consumer group gets what.

mod any_group;
pub mod assignor;
mod change;
pub mod classic;
mod config;
pub mod consumer;
mod error;
mod group_type;
mod key;
pub mod modern;
mod offsets;
mod op;
#[cfg(test)]
mod property_test;
mod record;
mod replay;
mod shard;
pub mod share;
pub mod streams;
mod surroundings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_log;
#[cfg(test)]
mod testing_records;
mod timer;

pub use any_group::Group;
pub use change::{GroupChange, GroupContinuation, GroupReply};
pub use config::GroupCoordinatorConfig;
pub use error::GroupError;
pub use group_type::GroupType;
pub use key::{java_string_hash, partition_for};
pub use offsets::OffsetAndMetadata;
pub use op::{
    AlteredOffsets, ConsumerGroupHeartbeat, DeletedOffsets, DescribedOffsets, RequestContext,
    ShareGroupDeletion, ShareGroupHeartbeat, altered_offsets, append_error, txn_offset_commit_error,
    txn_offset_commit_error_response,
};
pub use record::{GroupRecord, RecordError};
pub use shard::{GroupCoordinatorShard, GroupResult};
pub use surroundings::GroupOverrides;
pub use timer::{GroupTimerEvent, GroupTimerKey};

use bytestring::ByteString;

/// Text that outlives the request it came in: a slice would keep the whole frame in memory.
pub(crate) fn owned(text: &ByteString) -> ByteString {
    let text: &str = text;
    ByteString::from(text)
}
