use std::sync::Arc;

use bytestring::ByteString;
use ottla_protocol::records::group::ShareGroupStatePartitionMetadataValue;

use super::{ShareGroup, ShareGroupMember, ShareGroupRecord, StatePartitions};
use crate::group::modern::MemberAssignment;
use crate::group::owned;

/// What becomes of a group by a record: nothing is left of it after its tombstone. A tombstone of
/// something that is not there changes nothing; compaction leaves such behind.
pub fn replay(group: Option<Arc<ShareGroup>>, record: &ShareGroupRecord) -> Option<Arc<ShareGroup>> {
    if let ShareGroupRecord::Metadata { value: None, .. } = record {
        return None;
    }
    let mut group = match group {
        Some(group) => group,
        None if record.is_tombstone() => return None,
        None => Arc::new(ShareGroup::new(record.group_id())),
    };
    Arc::make_mut(&mut group).replay(record);
    Some(group)
}

impl ShareGroup {
    fn replay(&mut self, record: &ShareGroupRecord) {
        match record {
            ShareGroupRecord::Metadata { value, .. } => {
                if let Some(value) = value {
                    self.epoch = value.epoch;
                    self.metadata_hash = value.metadata_hash;
                }
            }
            ShareGroupRecord::MemberMetadata { key, value } => match value {
                Some(value) => self.change_member(&key.member_id, |member| member.replay_metadata(value)),
                None => self.remove_member(&key.member_id),
            },
            ShareGroupRecord::CurrentMemberAssignment { key, value } => match value {
                Some(value) => self.change_member(&key.member_id, |member| member.replay_assignment(value)),
                None if self.member(&key.member_id).is_none() => {}
                None => self.change_member(&key.member_id, ShareGroupMember::replay_assignment_tombstone),
            },
            ShareGroupRecord::TargetAssignmentMember { key, value } => match value {
                Some(value) => {
                    let topics = value.topic_partitions.iter();
                    let assignment: MemberAssignment = topics
                        .map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()))
                        .collect();
                    self.target.put(owned(&key.member_id), assignment);
                }
                None => self.target.remove(&key.member_id),
            },
            ShareGroupRecord::TargetAssignmentMetadata { value, .. } => match value {
                Some(value) => self.target.set_metadata(value.assignment_epoch, value.assignment_timestamp),
                None => self.target.set_metadata(DELETED_ASSIGNMENT_EPOCH, 0),
            },
            ShareGroupRecord::StatePartitionMetadata { value, .. } => {
                self.replay_state_partitions(value.as_ref());
            }
        }
    }

    fn change_member(&mut self, member_id: &ByteString, change: impl FnOnce(&mut ShareGroupMember)) {
        let mut member = match self.member(member_id) {
            Some(member) => member.clone(),
            None => ShareGroupMember::new(member_id),
        };
        change(&mut member);
        self.put_member(member);
    }

    fn replay_state_partitions(&mut self, value: Option<&ShareGroupStatePartitionMetadataValue>) {
        self.state_partitions = value.map(|value| Arc::new(StatePartitions::from_record(value)));
        // Whoever wrote the record asked the share coordinator about what is in it just then.
        self.is_initializing = self.state_partitions().is_some_and(|p| !p.initializing.is_empty());
    }
}

/// The epoch of a target assignment that was deleted.
const DELETED_ASSIGNMENT_EPOCH: i32 = -1;
