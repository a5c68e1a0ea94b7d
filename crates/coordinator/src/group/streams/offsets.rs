use bytestring::ByteString;

use super::error::StreamsGroupError;
use super::group::StreamsGroup;
use super::member::StreamsGroupMember;
use super::topology::StreamsTopology;

/// From this version of OffsetCommit on, an epoch means a member epoch.
const MEMBER_EPOCH_MIN_VERSION: i16 = 9;
/// What a producer without a group membership says of its generation.
const NO_GENERATION: i32 = -1;

/// Which partitions a commit may be about.
#[derive(Debug, Clone, Copy)]
pub enum StreamsCommitValidator<'a> {
    /// Any: the commit is the member's newest word, or from outside a group at rest.
    Any,
    /// Those of tasks that were the member's own already in the epoch that it commits in (KIP-1251).
    OwnTasks {
        /// Who commits.
        member: &'a StreamsGroupMember,
        /// Which topic is which task's.
        topology: &'a StreamsTopology,
        /// The epoch that it says it is in.
        member_epoch: i32,
    },
}

impl StreamsCommitValidator<'_> {
    /// Whether the commit may be about this partition. If not, the whole request is refused.
    pub fn validate(&self, topic: &str, partition: i32) -> Result<(), StreamsGroupError> {
        let Self::OwnTasks { member, topology, member_epoch } = self else { return Ok(()) };
        let stale = |reason: String| Err(StreamsGroupError::StaleMemberEpoch(reason));
        let Some(subtopology) = topology.reader_of(topic) else {
            return stale(format!("topic {topic} is not of the topology"));
        };
        let owned = [&member.assigned_tasks, &member.tasks_pending_revocation].into_iter();
        let mut epochs = owned.filter_map(|tasks| tasks.active.get(subtopology)?.get(&partition));
        match epochs.next() {
            None => stale(format!("task {subtopology}_{partition} is not the member's")),
            Some(since) if member_epoch < since => stale(format!(
                "task {subtopology}_{partition} is the member's since epoch {since}, not {member_epoch}"
            )),
            Some(_) => Ok(()),
        }
    }
}

/// Offsets that a streams group committed, or is about to.
impl StreamsGroup {
    /// Whether somebody may commit offsets. Errors: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH,
    /// UNSUPPORTED_VERSION.
    pub fn validate_offset_commit(
        &self,
        member_id: &ByteString,
        instance_id: Option<&ByteString>,
        member_epoch: i32,
        is_transactional: bool,
        api_version: i16,
    ) -> Result<StreamsCommitValidator<'_>, StreamsGroupError> {
        if member_epoch < 0 && self.is_empty() {
            return Ok(StreamsCommitValidator::Any);
        }
        // Producers of old say nothing of who they are: that the transaction is theirs must do.
        let is_anonymous = member_epoch == NO_GENERATION && member_id.is_empty() && instance_id.is_none();
        if is_transactional && is_anonymous {
            return Ok(StreamsCommitValidator::Any);
        }
        let member = self.member(member_id)?;
        if !is_transactional && api_version < MEMBER_EPOCH_MIN_VERSION {
            let reason = "members of streams groups commit with version 9 or later";
            return Err(StreamsGroupError::UnsupportedVersion(reason));
        }
        if member_epoch == member.member_epoch {
            return Ok(StreamsCommitValidator::Any);
        }
        if member_epoch > member.member_epoch {
            return Err(stale(member_epoch, member.member_epoch));
        }
        let no_topology = || StreamsGroupError::StaleMemberEpoch("the group has no topology".to_owned());
        let topology = self.topology().ok_or_else(no_topology)?;
        Ok(StreamsCommitValidator::OwnTasks { member, topology, member_epoch })
    }

    /// Whether somebody may be told what the group committed. Errors: UNKNOWN_MEMBER_ID,
    /// STALE_MEMBER_EPOCH.
    pub fn validate_offset_fetch(
        &self,
        member_id: Option<&ByteString>,
        member_epoch: i32,
    ) -> Result<(), StreamsGroupError> {
        let member_id = match member_id {
            None if member_epoch < 0 => return Ok(()),
            None => return Err(StreamsGroupError::UnknownMemberId(ByteString::new())),
            Some(member_id) => member_id,
        };
        let known = self.member(member_id)?.member_epoch;
        if member_epoch == known { Ok(()) } else { Err(stale(member_epoch, known)) }
    }

    /// Whether nothing keeps the group, once it has neither members nor offsets: a topology description
    /// that may still be stored must be deleted first (KIP-1331).
    pub fn should_expire(&self, topology_description_plugin_configured: bool) -> bool {
        let none = super::group::STORED_TOPOLOGY_EPOCH_NONE;
        self.is_empty()
            && (!topology_description_plugin_configured || self.stored_description_topology_epoch() == none)
    }
}

fn stale(received: i32, known: i32) -> StreamsGroupError {
    StreamsGroupError::StaleMemberEpoch(format!("member epoch {received} is not the member's, {known}"))
}

#[cfg(test)]
#[path = "offsets_test.rs"]
mod tests;
