//! What can be asked of the group coordinator, one file each.

pub(crate) mod consumer_group_classic;
pub(crate) mod consumer_group_describe;
pub(crate) mod consumer_group_heartbeat;
pub(crate) mod consumer_group_join;
pub(crate) mod consumer_group_offsets;
pub(crate) mod consumer_group_regex;
pub(crate) mod consumer_group_request;
pub(crate) mod consumer_group_timer;
mod consumer_groups;
mod delete_groups;
mod describe_groups;
mod expiration;
mod heartbeat;
mod join_group;
mod leave_group;
mod list_groups;
mod metadata_change;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_validation;
mod share_group_alter_offsets;
mod share_group_delete;
mod share_group_delete_offsets;
mod share_group_describe;
mod share_group_describe_offsets;
mod share_group_heartbeat;
mod share_group_initialize;
mod share_group_session;
mod share_groups;
mod streams_group_delete;
mod streams_group_describe;
mod streams_group_heartbeat;
mod streams_group_leave;
mod streams_group_timers;
mod streams_group_topology_description_update;
mod streams_groups;
mod sync_group;
mod txn_offset_commit;

pub use consumer_groups::ConsumerGroupHeartbeat;
pub use share_group_alter_offsets::{AlteredOffsets, altered_offsets};
pub use share_group_delete::ShareGroupDeletion;
pub use share_group_delete_offsets::DeletedOffsets;
pub use share_group_describe_offsets::DescribedOffsets;
pub use share_group_heartbeat::ShareGroupHeartbeat;
pub use txn_offset_commit::{txn_offset_commit_error, txn_offset_commit_error_response};

use bytestring::ByteString;
use ottla_common::ErrorCode;

/// What is known about a request beside what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// The version of the API that the client speaks.
    pub api_version: i16,
    /// The client's name for itself; empty when it gave none.
    pub client_id: ByteString,
    /// Where the client connected from, as Java prints addresses: `/127.0.0.1`.
    pub client_host: ByteString,
}

/// What a client is told when the log refused the coordinator's records. Clients know what to do
/// about coordinators, and nothing about the coordinator's own partition.
pub fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}
