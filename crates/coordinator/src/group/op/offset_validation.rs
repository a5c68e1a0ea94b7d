//! Who may commit and fetch offsets, whatever the type of the group: each type has its own rules.

use bytestring::ByteString;
use ottla_common::Uuid;

use super::consumer_group_offsets::{self, CommitPartitionValidator, Committer};
use crate::group::streams::StreamsCommitValidator;
use crate::group::{Group, GroupError};

/// Tells which partitions somebody may commit offsets for. When one may not be, nothing is committed.
#[derive(Debug)]
pub(super) enum OffsetCommitValidator<'a> {
    /// All of them.
    All,
    /// As a member of a consumer group.
    Consumer(CommitPartitionValidator),
    /// As a member of a streams group.
    Streams(StreamsCommitValidator<'a>),
}

impl OffsetCommitValidator<'_> {
    /// Whether an offset for this partition may be committed.
    pub(super) fn validate(
        &self,
        topic: &ByteString,
        topic_id: Uuid,
        partition: i32,
    ) -> Result<(), GroupError> {
        match self {
            Self::All => Ok(()),
            Self::Consumer(validator) => Ok(validator.validate(topic_id, partition)?),
            Self::Streams(validator) => Ok(validator.validate(topic, partition)?),
        }
    }
}

/// Whether somebody may commit offsets of a group that is not classic.
pub(super) fn validate_modern_commit<'a>(
    group: &'a Group,
    committer: &Committer<'_>,
) -> Result<OffsetCommitValidator<'a>, GroupError> {
    match group {
        Group::Consumer(group) => {
            let validator = consumer_group_offsets::validate_offset_commit(group, committer)?;
            Ok(OffsetCommitValidator::Consumer(validator))
        }
        Group::Streams(group) => {
            let Committer { member_id, instance_id, member_epoch, is_transactional, api_version } =
                *committer;
            let validator = group.validate_offset_commit(
                member_id,
                instance_id,
                member_epoch,
                is_transactional,
                api_version,
            )?;
            Ok(OffsetCommitValidator::Streams(validator))
        }
        // Share groups keep no offsets here.
        Group::Share(_) => Err(GroupError::GroupIdNotFound),
        Group::Classic(_) => Ok(OffsetCommitValidator::All),
    }
}
