use std::collections::BTreeSet;

use bytestring::ByteString;
use ottla_protocol::messages::share_group_describe_response as describe;
use ottla_protocol::records::group::{ShareGroupCurrentMemberAssignmentValue, ShareGroupMemberMetadataValue};

use crate::group::modern::{LEAVE_GROUP_MEMBER_EPOCH, MemberAssignment, MemberState};
use crate::group::owned;
use crate::metadata::CoordinatorMetadata;

/// A member of a share group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupMember {
    /// Its id, which it made up itself.
    pub member_id: ByteString,
    /// The epoch of the target assignment that it has; 0 before it has any.
    pub member_epoch: i32,
    /// The epoch before, which is still good when the answer with the new one got lost.
    pub previous_member_epoch: i32,
    /// Where it runs.
    pub rack_id: Option<ByteString>,
    /// Its client's name for itself.
    pub client_id: ByteString,
    /// Where it connected from.
    pub client_host: ByteString,
    /// What it reads.
    pub subscribed_topic_names: BTreeSet<ByteString>,
    /// Always stable: a share group's members need not wait for one another.
    pub state: MemberState,
    /// What it was told to read.
    pub assigned_partitions: MemberAssignment,
}

impl ShareGroupMember {
    /// A member of which only the id is known.
    pub fn new(member_id: &ByteString) -> Self {
        Self {
            member_id: owned(member_id),
            member_epoch: 0,
            previous_member_epoch: -1,
            rack_id: None,
            client_id: ByteString::new(),
            client_host: ByteString::new(),
            subscribed_topic_names: BTreeSet::new(),
            state: MemberState::Stable,
            assigned_partitions: MemberAssignment::new(),
        }
    }

    pub(super) fn replay_metadata(&mut self, value: &ShareGroupMemberMetadataValue) {
        self.rack_id = value.rack_id.as_ref().map(owned);
        self.client_id = owned(&value.client_id);
        self.client_host = owned(&value.client_host);
        self.subscribed_topic_names = value.subscribed_topic_names.iter().map(owned).collect();
    }

    pub(super) fn replay_assignment(&mut self, value: &ShareGroupCurrentMemberAssignmentValue) {
        self.member_epoch = value.member_epoch;
        self.previous_member_epoch = value.previous_member_epoch;
        self.state = MemberState::from_value(value.state);
        let topics = value.assigned_partitions.iter();
        self.assigned_partitions =
            topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect();
    }

    /// The member is about to go.
    pub(super) fn replay_assignment_tombstone(&mut self) {
        self.member_epoch = LEAVE_GROUP_MEMBER_EPOCH;
        self.previous_member_epoch = LEAVE_GROUP_MEMBER_EPOCH;
        self.assigned_partitions = MemberAssignment::new();
    }

    /// Whether nothing is left to tell the member about the target assignment of this epoch.
    pub(in crate::group) fn is_reconciled_to(&self, target_assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.member_epoch == target_assignment_epoch
    }

    /// The member as ShareGroupDescribe shows it. Topics that are gone are left out.
    pub(in crate::group) fn described(&self, metadata: &dyn CoordinatorMetadata) -> describe::Member {
        let mut topic_partitions = Vec::with_capacity(self.assigned_partitions.len());
        for (topic_id, partitions) in &self.assigned_partitions {
            let Some(topic) = metadata.topic_by_id(*topic_id) else { continue };
            topic_partitions.push(describe::TopicPartitions {
                topic_id: *topic_id,
                topic_name: topic.name,
                partitions: partitions.iter().copied().collect(),
                ..Default::default()
            });
        }
        describe::Member {
            member_id: self.member_id.clone(),
            rack_id: self.rack_id.clone(),
            member_epoch: self.member_epoch,
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.subscribed_topic_names.iter().cloned().collect(),
            assignment: describe::Assignment { topic_partitions, ..Default::default() },
            ..Default::default()
        }
    }
}
