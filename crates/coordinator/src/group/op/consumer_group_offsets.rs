//! Who may commit and fetch offsets of a consumer group.
//!
//! Errors of OffsetCommit and TxnOffsetCommit: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH,
//! ILLEGAL_GENERATION (classic members), UNSUPPORTED_VERSION; of OffsetFetch: UNKNOWN_MEMBER_ID,
//! STALE_MEMBER_EPOCH, ILLEGAL_GENERATION. Offsets may always be deleted, as far as the topic is not read.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;

use crate::group::consumer::{ConsumerGroup, ConsumerGroupError, ConsumerGroupMember};

/// From this version on OffsetCommit can say STALE_MEMBER_EPOCH.
const OFFSET_COMMIT_STALE_MEMBER_EPOCH_MIN_VERSION: i16 = 9;
const NO_EPOCH: i32 = -1;

/// Who commits offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    /// The member; empty for somebody who is none.
    pub(crate) member_id: &'a ByteString,
    /// Its instance id.
    pub(crate) instance_id: Option<&'a ByteString>,
    /// Its epoch, or its generation; negative for somebody who is no member.
    pub(crate) member_epoch: i32,
    /// Whether it is done in a transaction.
    pub(crate) is_transactional: bool,
    /// The version of the request.
    pub(crate) api_version: i16,
}

/// Tells which partitions somebody may commit offsets for.
#[derive(Debug, Clone)]
pub(crate) enum CommitPartitionValidator {
    /// All of them.
    All,
    /// Those that the member has had since this epoch or an earlier one (KIP-1251): it has moved on,
    /// but the commit is of a time when they were its own already.
    AssignedBy {
        /// The member.
        member: Arc<ConsumerGroupMember>,
        /// The epoch that the commit speaks of.
        member_epoch: i32,
    },
}

impl CommitPartitionValidator {
    /// Whether an offset for this partition may be committed. When it may not, nothing is.
    pub(crate) fn validate(&self, topic_id: Uuid, partition: i32) -> Result<(), ConsumerGroupError> {
        match self {
            Self::All => Ok(()),
            Self::AssignedBy { member, member_epoch } => {
                let since = member.assignment_epoch(topic_id, partition);
                match since.is_some_and(|since| *member_epoch >= since) {
                    true => Ok(()),
                    false => Err(wrong_epoch(member, *member_epoch)),
                }
            }
        }
    }
}

/// Whether somebody may commit offsets, and for which partitions.
pub(crate) fn validate_offset_commit(
    group: &ConsumerGroup,
    committer: &Committer<'_>,
) -> Result<CommitPartitionValidator, ConsumerGroupError> {
    let Committer { member_id, instance_id, member_epoch, is_transactional, api_version } = *committer;
    if member_epoch < 0 && group.is_empty() {
        // An administrator, or a consumer that takes no part in groups.
        return Ok(CommitPartitionValidator::All);
    }
    let says_nothing = member_epoch == NO_EPOCH && member_id.is_empty() && instance_id.is_none();
    if is_transactional && says_nothing {
        // Producers need not say for whom they commit.
        return Ok(CommitPartitionValidator::All);
    }
    let member = group.known_member(member_id)?;
    if !is_transactional
        && !member.uses_classic_protocol()
        && api_version < OFFSET_COMMIT_STALE_MEMBER_EPOCH_MIN_VERSION
    {
        return Err(ConsumerGroupError::UnsupportedVersion);
    }
    if member_epoch == member.member_epoch {
        Ok(CommitPartitionValidator::All)
    } else if member_epoch > member.member_epoch {
        Err(wrong_epoch(member, member_epoch))
    } else {
        Ok(CommitPartitionValidator::AssignedBy { member: Arc::clone(member), member_epoch })
    }
}

/// Whether somebody may fetch offsets. To be asked of the committed state.
pub(crate) fn validate_offset_fetch(
    group: &ConsumerGroup,
    member_id: Option<&ByteString>,
    member_epoch: i32,
) -> Result<(), ConsumerGroupError> {
    if member_id.is_none() && member_epoch < 0 {
        // An administrator, or a client that does not say who it is.
        return Ok(());
    }
    let member = group.known_member(member_id.unwrap_or(&ByteString::new()))?;
    match member.member_epoch == member_epoch {
        true => Ok(()),
        false => Err(wrong_epoch(member, member_epoch)),
    }
}

/// Classic members know generations, which are epochs by another name.
fn wrong_epoch(member: &ConsumerGroupMember, received: i32) -> ConsumerGroupError {
    match member.uses_classic_protocol() {
        true => ConsumerGroupError::IllegalGeneration { received, known: member.member_epoch },
        false => ConsumerGroupError::StaleMemberEpoch(received),
    }
}

#[cfg(test)]
#[path = "consumer_group_offsets_test.rs"]
mod tests;
