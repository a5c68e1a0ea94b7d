//! What groups of the newer protocols (KIP-848, KIP-932, KIP-1071) have in common.
//!
//! A member says what it reads, the coordinator computes a [`TargetAssignment`] for a group epoch, and
//! every member is led towards it at its own pace. What a decision hands back is a [`Decision`]; what
//! an assignor is given is a [`GroupSpec`]; whether the topics that a group reads have changed is told
//! by one number ([`metadata_hash`]).

mod decision;
mod group_spec;
mod member_state;
mod metadata_refresh;
mod record_bytes;
mod subscription;
mod target_assignment;
#[cfg(test)]
pub(crate) mod testing;
mod topic_hash;

use std::collections::{BTreeMap, BTreeSet};

use ottla_common::Uuid;

pub use decision::Decision;
pub use group_spec::{
    GroupAssignment, GroupSpec, MemberSpec, PartitionAssignor, PartitionAssignorError, TopicIdResolver,
    num_partitions,
};
pub use member_state::MemberState;
pub use metadata_refresh::{METADATA_REFRESH_INTERVAL_MS, MetadataRefresh};
pub(crate) use record_bytes::{KEY_VERSION, decode_value, encode_record};
pub use subscription::{SubscribedTopics, SubscriptionCount, SubscriptionType};
pub use target_assignment::{TargetAssignment, can_compute_next_target_assignment};
pub use topic_hash::{group_hash, metadata_hash, topic_hash};

/// The partitions of one member: topic id to partition indexes.
pub type MemberAssignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// A heartbeat with this member epoch leaves the group.
pub const LEAVE_GROUP_MEMBER_EPOCH: i32 = -1;
/// A heartbeat with this member epoch leaves the group for a while: a static member will be back.
pub const LEAVE_GROUP_STATIC_MEMBER_EPOCH: i32 = -2;
/// The epoch that a group has before it has any.
pub const INITIAL_GROUP_EPOCH: i32 = 1;
