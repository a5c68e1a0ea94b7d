use bytestring::ByteString;
use ottla_common::ErrorCode;
use thiserror::Error;

use super::Re2Error;
use crate::group::modern::PartitionAssignorError;

/// Why a request to a consumer group is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConsumerGroupError {
    /// There is no such group.
    #[error("group {0} is not found")]
    GroupIdNotFound(ByteString),
    /// The group is of another type.
    #[error("group {0} is not a consumer group")]
    NotAConsumerGroup(ByteString),
    /// The classic group cannot become a consumer group while it has members.
    #[error("classic group {0} cannot become a consumer group: {1}")]
    UpgradeRefused(ByteString, UpgradeError),
    /// The group has no such member.
    #[error("member {0} is not a member of the group")]
    UnknownMemberId(ByteString),
    /// The group has no static member of this instance id.
    #[error("instance id {0} is not known to the group")]
    UnknownInstanceId(ByteString),
    /// A classic request of a member that does not speak the classic protocol.
    #[error("member {0} does not use the classic protocol")]
    NotAClassicMember(ByteString),
    /// Another member goes by this instance id now (KIP-345).
    #[error("instance id {0} belongs to another member now")]
    FencedInstanceId(ByteString),
    /// Another member goes by this instance id and has not left.
    #[error("instance id {0} belongs to a member that has not left")]
    UnreleasedInstanceId(ByteString),
    /// The member is not in the epoch that it believes in: it must give everything up and rejoin.
    #[error("the member epoch {received} is not the member's, which is {known}: abandon all and rejoin")]
    FencedMemberEpoch {
        /// What the request says.
        received: i32,
        /// What the group knows.
        known: i32,
    },
    /// The member is in a state that a newer release wrote: it must give everything up and rejoin.
    #[error("the member is in an unknown state: abandon all and rejoin")]
    UnknownMemberState,
    /// There is no room for another member.
    #[error("the group has as many members as it may have, {0}")]
    GroupMaxSizeReached(i32),
    /// The request makes no sense.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The coordinator does not have the assignor that the member wants.
    #[error("assignor {0} is not supported")]
    UnsupportedAssignor(ByteString),
    /// The member's regular expression cannot be read.
    #[error("the regular expression {0} is not valid: {1}")]
    InvalidRegularExpression(ByteString, Re2Error),
    /// The assignor could not do its work.
    #[error("no target assignment could be computed: {0}")]
    Assignor(#[from] PartitionAssignorError),
    /// A classic member's protocols are not the group's, or cannot be read.
    #[error("{0}")]
    InconsistentGroupProtocol(&'static str),
    /// A classic member speaks of another generation than its own.
    #[error("the generation {received} is not the member's, which is {known}")]
    IllegalGeneration {
        /// What the request says.
        received: i32,
        /// What the group knows.
        known: i32,
    },
    /// A commit or a fetch of offsets in an epoch that is not, or no longer, the member's.
    #[error("the member epoch {0} is not the member's, or is too old for the partition")]
    StaleMemberEpoch(i32),
    /// A member of the new protocol commits offsets in a version that cannot say what went wrong.
    #[error("members of the consumer protocol must use OffsetCommit version 9 or later")]
    UnsupportedVersion,
    /// The group has members.
    #[error("the group is not empty")]
    NonEmptyGroup,
}

/// Why a classic group cannot become a consumer group while it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UpgradeError {
    /// `group.consumer.migration.policy` does not let it.
    #[error("online upgrade is disabled")]
    Disabled,
    /// Its members are no consumers.
    #[error("its members do not use the consumer protocol type")]
    OtherProtocolType,
    /// It has more members than a consumer group may have.
    #[error("it has too many members")]
    TooManyMembers,
    /// What its members wrote into their subscriptions and assignments cannot be read.
    #[error("its embedded consumer protocol is malformed")]
    Malformed,
    /// An assignor of its own keeps data with the assignments, which would be lost.
    #[error("it uses an assignor of its own, whose user data would be lost")]
    CustomAssignor,
}

impl ConsumerGroupError {
    /// What a client is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::GroupIdNotFound(_) | Self::NotAConsumerGroup(_) | Self::UpgradeRefused(..) => {
                ErrorCode::GroupIdNotFound
            }
            Self::UnknownMemberId(_) | Self::UnknownInstanceId(_) | Self::NotAClassicMember(_) => {
                ErrorCode::UnknownMemberId
            }
            Self::FencedInstanceId(_) => ErrorCode::FencedInstanceId,
            Self::UnreleasedInstanceId(_) => ErrorCode::UnreleasedInstanceId,
            Self::FencedMemberEpoch { .. } | Self::UnknownMemberState => ErrorCode::FencedMemberEpoch,
            Self::GroupMaxSizeReached(_) => ErrorCode::GroupMaxSizeReached,
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::UnsupportedAssignor(_) => ErrorCode::UnsupportedAssignor,
            Self::InvalidRegularExpression(..) => ErrorCode::InvalidRegularExpression,
            Self::Assignor(_) => ErrorCode::UnknownServerError,
            Self::InconsistentGroupProtocol(_) => ErrorCode::InconsistentGroupProtocol,
            Self::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
            Self::StaleMemberEpoch(_) => ErrorCode::StaleMemberEpoch,
            Self::UnsupportedVersion => ErrorCode::UnsupportedVersion,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        }
    }

    /// What a client is told in words.
    pub fn message(&self) -> ByteString {
        ByteString::from(self.to_string())
    }
}
