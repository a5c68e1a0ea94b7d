use ottla_common::ErrorCode;
use thiserror::Error;

use super::consumer::ConsumerGroupError;
use super::streams::StreamsGroupError;

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
    /// The member is in another epoch, or was when it got the partition.
    #[error("the member epoch is not the member's")]
    StaleMemberEpoch,
    /// A request in a version that cannot say what goes wrong in groups of the newer protocols.
    #[error("the version of the request is too old for the group")]
    UnsupportedVersion,
    /// Something that such a request should never meet.
    #[error("the group could not decide")]
    UnknownServerError,
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
            Self::StaleMemberEpoch => ErrorCode::StaleMemberEpoch,
            Self::UnsupportedVersion => ErrorCode::UnsupportedVersion,
            Self::UnknownServerError => ErrorCode::UnknownServerError,
        }
    }

    /// What requests that go to groups of every type can hear from a group of a newer protocol.
    fn of_modern_group(code: ErrorCode) -> Self {
        match code {
            ErrorCode::GroupIdNotFound => Self::GroupIdNotFound,
            ErrorCode::UnknownMemberId => Self::UnknownMemberId,
            ErrorCode::FencedInstanceId => Self::FencedInstanceId,
            ErrorCode::IllegalGeneration => Self::IllegalGeneration,
            ErrorCode::RebalanceInProgress => Self::RebalanceInProgress,
            ErrorCode::NonEmptyGroup => Self::NonEmptyGroup,
            ErrorCode::InconsistentGroupProtocol => Self::InconsistentGroupProtocol,
            ErrorCode::StaleMemberEpoch => Self::StaleMemberEpoch,
            ErrorCode::UnsupportedVersion => Self::UnsupportedVersion,
            _ => Self::UnknownServerError,
        }
    }
}

impl From<ConsumerGroupError> for GroupError {
    fn from(error: ConsumerGroupError) -> Self {
        Self::of_modern_group(error.code())
    }
}

impl From<StreamsGroupError> for GroupError {
    fn from(error: StreamsGroupError) -> Self {
        Self::of_modern_group(error.code())
    }
}
