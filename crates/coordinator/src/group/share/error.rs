use ottla_common::ErrorCode;
use thiserror::Error;

/// Why a request to a share group is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareGroupError {
    /// A heartbeat without a member id.
    #[error("The member id must not be empty.")]
    EmptyMemberId,
    /// A heartbeat without a group id.
    #[error("The group id must not be empty.")]
    EmptyGroupId,
    /// A rack that is named by nothing.
    #[error("The rack id must not be empty.")]
    EmptyRackId,
    /// A member that joins without saying what for.
    #[error("A member that joins must name the topics that it subscribes to.")]
    NoSubscription,
    /// A member epoch that means nothing.
    #[error("The member epoch is invalid.")]
    InvalidMemberEpoch,
    /// A request to a group without a name.
    #[error("The group id is invalid.")]
    InvalidGroupId,
    /// There is no such group.
    #[error("The share group is not found.")]
    GroupIdNotFound,
    /// The group is of another type.
    #[error("The group is not a share group.")]
    NotAShareGroup,
    /// The group has no such member.
    #[error("The member is not a member of the group.")]
    UnknownMemberId,
    /// The member is ahead of what the coordinator knows: it knows another coordinator's future.
    #[error("The member's epoch is greater than the one known. The member must rejoin.")]
    GreaterMemberEpoch,
    /// The member is behind by more than one answer that may have got lost.
    #[error("The member's epoch is neither the one known nor the one before. The member must rejoin.")]
    SmallerMemberEpoch,
    /// The group has as many members as it may have.
    #[error("The share group has reached the largest number of members.")]
    GroupMaxSizeReached,
    /// The group has members.
    #[error("The group is not empty.")]
    NonEmptyGroup,
    /// No assignment could be computed.
    #[error("The target assignment could not be computed.")]
    AssignorFailed,
}

impl ShareGroupError {
    /// What a client is told.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::EmptyMemberId
            | Self::EmptyGroupId
            | Self::EmptyRackId
            | Self::NoSubscription
            | Self::InvalidMemberEpoch => ErrorCode::InvalidRequest,
            Self::InvalidGroupId => ErrorCode::InvalidGroupId,
            Self::GroupIdNotFound | Self::NotAShareGroup => ErrorCode::GroupIdNotFound,
            Self::UnknownMemberId => ErrorCode::UnknownMemberId,
            Self::GreaterMemberEpoch | Self::SmallerMemberEpoch => ErrorCode::FencedMemberEpoch,
            Self::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Self::AssignorFailed => ErrorCode::UnknownServerError,
        }
    }
}
