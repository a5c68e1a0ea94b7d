//! DeleteGroups, as far as streams groups go; also how groups end that nobody uses any more, and how an
//! empty one makes room for a classic group.
//!
//! Errors: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. (That a topology description could not be deleted,
//! GROUP_DELETION_FAILED, is the caller's to tell.)

use bytestring::ByteString;

use crate::group::owned;
use crate::group::streams::soft_state::SoftChange;
use crate::group::streams::{
    StreamsDecision, StreamsGroup, StreamsGroupContext, StreamsGroupError, StreamsGroupRecord,
    StreamsGroupTimer,
};
use crate::runtime::TimerChange;

impl StreamsGroupContext<'_> {
    /// Deletes the group, which must have no members. Its offsets are the caller's, and go first.
    pub fn streams_group_delete(
        &self,
        group_id: &ByteString,
    ) -> Result<StreamsDecision<()>, StreamsGroupError> {
        let group = self.existing(group_id)?;
        if !group.is_empty() {
            return Err(StreamsGroupError::NonEmptyGroup);
        }
        let mut decision = StreamsDecision::with_records(group.tombstones(), ());
        let timer = StreamsGroupTimer::InitialRebalance { group_id: owned(group_id) };
        decision.timers.push(TimerChange::Cancel { key: timer });
        decision.changes.push(self.change(group_id, SoftChange::InitialRebalancePending(false)));
        Ok(decision)
    }
}

impl StreamsGroup {
    /// The records that delete the group, in the order in which they must be read.
    pub fn tombstones(&self) -> Vec<StreamsGroupRecord> {
        let group_id = self.group_id();
        let ids: Vec<_> = self.members().map(|member| &member.member_id).collect();
        let current = ids.iter().map(|id| StreamsGroupRecord::current_assignment_tombstone(group_id, id));
        let target = ids.iter().map(|id| StreamsGroupRecord::target_assignment_tombstone(group_id, id));
        let members = ids.iter().map(|id| StreamsGroupRecord::member_tombstone(group_id, id));
        let mut records: Vec<_> = current.chain(target).collect();
        let no_value = group_id.clone();
        records.push(StreamsGroupRecord::TargetAssignmentMetadata { group_id: no_value, value: None });
        records.extend(members);
        records.push(StreamsGroupRecord::GroupMetadata { group_id: group_id.clone(), value: None });
        records.push(StreamsGroupRecord::Topology { group_id: group_id.clone(), value: None });
        records
    }
}

#[cfg(test)]
#[path = "streams_group_delete_test.rs"]
mod tests;
