use ottla_common::ErrorCode;
use thiserror::Error;

/// Why the state of a share-partition is not touched or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareStateError {
    /// A partition below zero.
    #[error("The partition must not be negative.")]
    NegativePartition,
    /// A leader epoch below zero.
    #[error("The leader epoch must not be negative.")]
    NegativeLeaderEpoch,
    /// A state epoch below zero.
    #[error("The state epoch must not be negative.")]
    NegativeStateEpoch,
    /// Nobody initialized the share-partition.
    #[error("The share-partition is not initialized.")]
    Uninitialized,
    /// The request comes from a leader that has a successor.
    #[error("The leader epoch is older than the newest one known.")]
    FencedLeaderEpoch,
    /// The share-partition was initialized anew since.
    #[error("The state epoch is older than the newest one known.")]
    FencedStateEpoch,
    /// The cluster has no such topic, or the topic no such partition.
    #[error("The topic or partition is not known to the share coordinator.")]
    UnknownTopicOrPartition,
}

impl ShareStateError {
    /// What the sender is told.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NegativePartition
            | Self::NegativeLeaderEpoch
            | Self::NegativeStateEpoch
            | Self::Uninitialized => ErrorCode::InvalidRequest,
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::FencedStateEpoch => ErrorCode::FencedStateEpoch,
            Self::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
        }
    }
}
