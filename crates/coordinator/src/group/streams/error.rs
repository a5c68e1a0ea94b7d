use bytestring::ByteString;
use ottla_common::ErrorCode;
use thiserror::Error;

/// Why a request to a streams group is refused. The text goes to the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StreamsGroupError {
    /// There is no such group.
    #[error("Group {0} not found.")]
    GroupIdNotFound(ByteString),
    /// It is of another type.
    #[error("Group {0} is not a streams group.")]
    NotAStreamsGroup(ByteString),
    /// The group has no such member.
    #[error("member {0} is not known to the group")]
    UnknownMemberId(ByteString),
    /// Nobody in the group goes by this instance id.
    #[error("instance id {0} is not known to the group")]
    UnknownInstanceId(ByteString),
    /// The member's epoch is not the group's idea of it: it must give everything up and join again.
    #[error("member epoch {received} cannot follow epoch {known}: give up all tasks and join again")]
    FencedMemberEpoch {
        /// What the member said.
        received: i32,
        /// What the group knows.
        known: i32,
    },
    /// The member is in a state that this release does not know.
    #[error("the member is in an unknown state: give up all tasks and join again")]
    UnknownMemberState,
    /// Another member goes by this instance id and has not left.
    #[error("instance id {instance_id} still belongs to member {owner}")]
    UnreleasedInstanceId {
        /// The instance id.
        instance_id: ByteString,
        /// Who has it.
        owner: ByteString,
    },
    /// Another member took over this instance id.
    #[error("instance id {instance_id} belongs to member {owner} now")]
    FencedInstanceId {
        /// The instance id.
        instance_id: ByteString,
        /// Who has it.
        owner: ByteString,
    },
    /// The group has as many members as it may have.
    #[error("the group has the most members it may have: {0}")]
    GroupMaxSizeReached(i32),
    /// The request makes no sense.
    #[error("{0}")]
    InvalidRequest(String),
    /// The topology makes no sense.
    #[error("{0}")]
    StreamsInvalidTopology(String),
    /// An offset commit of a member that does not own the task, or of another time.
    #[error("{0}")]
    StaleMemberEpoch(String),
    /// The request is of a version, or about a feature, that is not there.
    #[error("{0}")]
    UnsupportedVersion(&'static str),
    /// The group has members.
    #[error("the group is not empty")]
    NonEmptyGroup,
    /// No assignment could be computed.
    #[error("no target assignment for epoch {epoch}: {reason}")]
    NoAssignment {
        /// The group epoch it was to be for.
        epoch: i32,
        /// What the assignor said.
        reason: String,
    },
}

impl StreamsGroupError {
    /// What a client is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::GroupIdNotFound(_) | Self::NotAStreamsGroup(_) => ErrorCode::GroupIdNotFound,
            Self::UnknownMemberId(_) | Self::UnknownInstanceId(_) => ErrorCode::UnknownMemberId,
            Self::FencedMemberEpoch { .. } | Self::UnknownMemberState => ErrorCode::FencedMemberEpoch,
            Self::UnreleasedInstanceId { .. } => ErrorCode::UnreleasedInstanceId,
            Self::FencedInstanceId { .. } => ErrorCode::FencedInstanceId,
            Self::GroupMaxSizeReached(_) => ErrorCode::GroupMaxSizeReached,
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::StreamsInvalidTopology(_) => ErrorCode::StreamsInvalidTopology,
            Self::StaleMemberEpoch(_) => ErrorCode::StaleMemberEpoch,
            Self::UnsupportedVersion(_) => ErrorCode::UnsupportedVersion,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Self::NoAssignment { .. } => ErrorCode::UnknownServerError,
        }
    }

    /// The text for a response's error message.
    pub fn message(&self) -> ByteString {
        ByteString::from(self.to_string())
    }
}
