use ottla_common::ErrorCode;
use thiserror::Error;

use crate::persister::PersisterError;

/// Why a share-partition does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SharePartitionError {
    /// The state is being read from the share coordinator.
    #[error("The share-partition is being loaded.")]
    Initializing,
    /// The leader of the partition changed, or the group has gone.
    #[error("The share-partition is fenced.")]
    Fenced,
    /// The state could not be read.
    #[error("The share-partition could not be loaded.")]
    FailedToLoad,
    /// What the share coordinator keeps is no state of a share-partition.
    #[error("The persisted state of the share-partition is not valid.")]
    InvalidState,
    /// Where the group shall begin could not be found out.
    #[error("The offset to begin at could not be found.")]
    NoStartOffset(ErrorCode),
    /// An acknowledgement of a kind nobody knows, or not one for each offset.
    #[error("The acknowledge types are not valid.")]
    InvalidAcknowledgeType,
    /// An acknowledgement of records that were not handed out yet.
    #[error("The offsets to acknowledge lie past the acquired records.")]
    PastAcquired,
    /// An acknowledgement of records that are not in flight.
    #[error("The offsets to acknowledge are not in flight.")]
    NotInFlight,
    /// An acknowledgement of records that nobody holds, or that are being acknowledged.
    #[error("The records to acknowledge are not acquired.")]
    NotAcquired,
    /// An acknowledgement of another member's records.
    #[error("The member does not hold the records.")]
    NotHolder,
    /// The group does not let members ask for more time.
    #[error("Renewing acquisition locks is not enabled for the group.")]
    RenewDisabled,
    /// The share coordinator did not take or give the state.
    #[error(transparent)]
    Persister(#[from] PersisterError),
}

impl SharePartitionError {
    /// What a client is told.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Initializing | Self::Fenced => ErrorCode::LeaderNotAvailable,
            Self::FailedToLoad | Self::InvalidState => ErrorCode::UnknownServerError,
            Self::NoStartOffset(error) => error,
            Self::InvalidAcknowledgeType | Self::PastAcquired => ErrorCode::InvalidRequest,
            Self::NotInFlight | Self::NotAcquired | Self::NotHolder | Self::RenewDisabled => {
                ErrorCode::InvalidRecordState
            }
            Self::Persister(error) => error.code(),
        }
    }

    /// Whether the share-partition is of no use any more: its owner fences it and forgets it, and the
    /// next fetch makes a new one or fails.
    pub fn fences(self) -> bool {
        matches!(
            self.code(),
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::FencedStateEpoch
                | ErrorCode::GroupIdNotFound
                | ErrorCode::UnknownTopicOrPartition
        )
    }
}

/// Why a request does not fit a member's share session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareSessionError {
    /// The member has no session on this broker.
    #[error("The share session is not found.")]
    NotFound,
    /// The request is not the session's next.
    #[error("The share session epoch is not valid.")]
    InvalidEpoch,
    /// There are as many sessions as may be (`group.share.max.share.sessions`). The answer waits for the
    /// request's `MaxWaitMs`, so that clients do not ask in a tight loop.
    #[error("The limit of share sessions is reached.")]
    LimitReached,
    /// A first request cannot acknowledge anything.
    #[error("The initial request of a share session has acknowledgements.")]
    AcknowledgementsAtStart,
}

impl ShareSessionError {
    /// What a client is told.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::ShareSessionNotFound,
            Self::InvalidEpoch => ErrorCode::InvalidShareSessionEpoch,
            Self::LimitReached => ErrorCode::ShareSessionLimitReached,
            Self::AcknowledgementsAtStart => ErrorCode::InvalidRequest,
        }
    }
}
