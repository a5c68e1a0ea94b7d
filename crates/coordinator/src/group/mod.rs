//! The group coordinator: groups and their committed offsets, kept in `__consumer_offsets`.
//!
//! One [`GroupCoordinatorShard`] is one partition of that topic. Operations live in `op`, one file
//! each; [`classic`] is the state machine of groups that use JoinGroup, SyncGroup and Heartbeat.
//! Groups of the newer protocols (KIP-848, KIP-932, KIP-1071) that Apache Kafka wrote into the log
//! are kept as `foreign`: their records stay, and requests get the error that Kafka gives.

pub mod classic;
mod config;
mod error;
mod foreign;
mod key;
mod offsets;
mod op;
#[cfg(test)]
mod property_test;
mod record;
mod shard;
#[cfg(test)]
mod testing;

pub use config::GroupCoordinatorConfig;
pub use error::GroupError;
pub use foreign::{ForeignGroup, GroupType};
pub use key::{java_string_hash, partition_for};
pub use offsets::OffsetAndMetadata;
pub use op::{RequestContext, append_error};
pub use record::{GroupRecord, RecordError};
pub use shard::{
    Group, GroupChange, GroupContinuation, GroupCoordinatorShard, GroupReply, GroupResult, GroupTimerEvent,
    GroupTimerKey,
};

use bytestring::ByteString;

/// Text that outlives the request it came in: a slice would keep the whole frame in memory.
pub(crate) fn owned(text: &ByteString) -> ByteString {
    let text: &str = text;
    ByteString::from(text)
}
