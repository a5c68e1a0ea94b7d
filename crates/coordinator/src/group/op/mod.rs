//! What can be asked of the group coordinator, one file each.

mod delete_groups;
mod describe_groups;
mod expiration;
mod heartbeat;
mod join_group;
mod leave_group;
mod list_groups;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod sync_group;

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
