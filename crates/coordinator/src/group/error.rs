use ottla_common::ErrorCode;
use thiserror::Error;

/// Why a request to a group is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GroupError {
    /// There is no such group, or it is of another type.
    #[error("the group is not found")]
    GroupIdNotFound,
    /// The group has no such member.
    #[error("the member is not known to the group")]
    UnknownMemberId,
    /// Another member goes by this instance id now (KIP-345).
    #[error("another member with this group.instance.id took the place")]
    FencedInstanceId,
    /// The request speaks of another generation.
    #[error("the generation is not the group's")]
    IllegalGeneration,
    /// The group is between two generations.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The group has members.
    #[error("the group is not empty")]
    NonEmptyGroup,
    /// The member cannot speak any protocol that the whole group speaks.
    #[error("the group's protocols are not the member's")]
    InconsistentGroupProtocol,
    /// The group is about to go away.
    #[error("the coordinator is not available")]
    CoordinatorNotAvailable,
}

impl GroupError {
    /// What a client is told.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            Self::UnknownMemberId => ErrorCode::UnknownMemberId,
            Self::FencedInstanceId => ErrorCode::FencedInstanceId,
            Self::IllegalGeneration => ErrorCode::IllegalGeneration,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Self::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
        }
    }
}
