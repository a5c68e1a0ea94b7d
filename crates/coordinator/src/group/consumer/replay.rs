//! How records change a group.
//!
//! The log is the JVM's as much as ours, and compaction leaves holes in it: whatever order records
//! come in, replaying them is never an error.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_protocol::records::group::consumer_group_target_assignment_member_value::TopicPartition;
use ottla_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberValue,
};
use rpds::RedBlackTreeMapSync;

use super::{
    ConsumerGroup, ConsumerGroupChange, ConsumerGroupMember, ConsumerGroupRecord, PartitionEpochs,
    ResolvedRegularExpression,
};
use crate::group::modern::{LEAVE_GROUP_MEMBER_EPOCH, MemberAssignment};
use crate::group::owned;

impl ConsumerGroup {
    /// Takes in a record of this group; `false` when the group is no more. A record that is no
    /// tombstone brings the group into being: begin with [`ConsumerGroup::new`] then.
    pub fn replay(&mut self, record: &ConsumerGroupRecord) -> bool {
        match record {
            ConsumerGroupRecord::Metadata { value: None, .. } => return false,
            ConsumerGroupRecord::Metadata { value: Some(value), .. } => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            ConsumerGroupRecord::PartitionMetadata { value, .. } => {
                self.has_subscription_metadata_record = value.is_some();
            }
            ConsumerGroupRecord::MemberMetadata { key, value } => {
                self.replay_member(&key.member_id, value.as_ref());
            }
            ConsumerGroupRecord::TargetAssignmentMetadata { value, .. } => match value {
                Some(value) => {
                    self.target.set_metadata(value.assignment_epoch, value.assignment_timestamp);
                }
                None => self.target.set_metadata(LEAVE_GROUP_MEMBER_EPOCH, 0),
            },
            ConsumerGroupRecord::TargetAssignmentMember { key, value } => {
                self.replay_target(&key.member_id, value.as_ref());
            }
            ConsumerGroupRecord::CurrentMemberAssignment { key, value } => {
                self.replay_current(&key.member_id, value.as_ref());
            }
            ConsumerGroupRecord::RegularExpression { key, value } => {
                self.replay_regex(&key.regular_expression, value.as_ref());
            }
        }
        true
    }

    /// Takes in a change that is not in the log.
    pub fn apply(&mut self, change: &ConsumerGroupChange) {
        match change {
            ConsumerGroupChange::MetadataRefreshed(refresh) => self.metadata_refresh = *refresh,
            ConsumerGroupChange::AskedToJoin(member_id) => {
                if self.members.contains_key(member_id) {
                    self.asked_to_join.insert_mut(member_id.clone());
                }
            }
            ConsumerGroupChange::Joined(member_id) => {
                self.asked_to_join.remove_mut(member_id);
            }
        }
    }

    /// Adds a member, or replaces the one of the same id, and keeps every count.
    pub(super) fn put_member(&mut self, member: ConsumerGroupMember) {
        if let Some(old) = self.members.get(&member.member_id).cloned() {
            self.uncount(&old);
        }
        self.count(&member);
        self.members.insert_mut(member.member_id.clone(), Arc::new(member));
        self.check();
    }

    fn remove_member(&mut self, member_id: &ByteString) {
        let Some(old) = self.members.get(member_id).cloned() else { return };
        self.uncount(&old);
        self.members.remove_mut(member_id);
        self.asked_to_join.remove_mut(member_id);
        self.check();
    }

    fn replay_member(&mut self, member_id: &ByteString, value: Option<&ConsumerGroupMemberMetadataValue>) {
        match value {
            Some(value) => self.put_member(self.member_or_new(member_id).with_metadata(value)),
            None => self.remove_member(member_id),
        }
    }

    fn replay_current(
        &mut self,
        member_id: &ByteString,
        value: Option<&ConsumerGroupCurrentMemberAssignmentValue>,
    ) {
        match value {
            Some(value) => self.put_member(self.member_or_new(member_id).with_current(value)),
            None => {
                if let Some(member) = self.members.get(member_id).cloned() {
                    self.put_member(member.without_assignment());
                }
            }
        }
    }

    fn replay_target(
        &mut self,
        member_id: &ByteString,
        value: Option<&ConsumerGroupTargetAssignmentMemberValue>,
    ) {
        let of_topic = |topic: &TopicPartition| (topic.topic_id, topic.partitions.iter().copied().collect());
        match value {
            Some(value) => {
                let assignment: MemberAssignment = value.topic_partitions.iter().map(of_topic).collect();
                self.target.put(owned(member_id), assignment);
            }
            None => self.target.remove(member_id),
        }
    }

    fn replay_regex(&mut self, regex: &ByteString, value: Option<&ConsumerGroupRegularExpressionValue>) {
        if let Some(old) = self.resolved_regexes.get(regex).cloned() {
            self.subscribed_topics.remove_regex(&old.topics);
            self.resolved_regexes.remove_mut(regex);
        }
        if let Some(value) = value {
            let resolved = ResolvedRegularExpression {
                topics: value.topics.iter().map(owned).collect(),
                version: value.version,
                timestamp_ms: value.timestamp,
            };
            self.subscribed_topics.add_regex(&resolved.topics);
            self.resolved_regexes.insert_mut(owned(regex), Arc::new(resolved));
        }
    }

    fn member_or_new(&self, member_id: &ByteString) -> ConsumerGroupMember {
        match self.members.get(member_id) {
            Some(member) => ConsumerGroupMember::clone(member),
            None => ConsumerGroupMember::new(owned(member_id)),
        }
    }

    fn count(&mut self, member: &ConsumerGroupMember) {
        self.subscribed_topics.add_names(member.subscribed_topic_names.iter());
        if let Some(regex) = member.regex() {
            self.regex_members.add(regex);
        }
        if let Some(assignor) = &member.server_assignor {
            self.server_assignors.add(assignor);
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert_mut(instance_id.clone(), member.member_id.clone());
        }
        self.num_classic_members += usize::from(member.uses_classic_protocol());
        for protocol in member.classic_protocols() {
            self.classic_protocols.add(&protocol.name);
        }
        self.own(&member.assigned_partitions, member.member_epoch);
        self.own(&member.partitions_pending_revocation, member.member_epoch);
    }

    fn uncount(&mut self, member: &ConsumerGroupMember) {
        self.subscribed_topics.remove_names(member.subscribed_topic_names.iter());
        if let Some(regex) = member.regex() {
            self.regex_members.remove(regex);
        }
        if let Some(assignor) = &member.server_assignor {
            self.server_assignors.remove(assignor);
        }
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id) == Some(&member.member_id)
        {
            self.static_members.remove_mut(instance_id);
        }
        self.num_classic_members -= usize::from(member.uses_classic_protocol());
        for protocol in member.classic_protocols() {
            self.classic_protocols.remove(&protocol.name);
        }
        self.disown(&member.assigned_partitions, member.member_epoch);
        self.disown(&member.partitions_pending_revocation, member.member_epoch);
    }

    /// Notes that a member in this epoch has the partitions. Should the log say that somebody in a
    /// later epoch has them, that is the newer truth.
    fn own(&mut self, partitions: &PartitionEpochs, epoch: i32) {
        for (topic_id, of_topic) in partitions {
            let epochs = self.partition_epochs.get(topic_id).cloned();
            let mut epochs = epochs.unwrap_or_else(RedBlackTreeMapSync::new_sync);
            for partition in of_topic.keys() {
                if epochs.get(partition).is_none_or(|known| *known < epoch) {
                    epochs.insert_mut(*partition, epoch);
                }
            }
            if !epochs.is_empty() {
                self.partition_epochs.insert_mut(*topic_id, epochs);
            }
        }
    }

    /// Notes that a member in this epoch has the partitions no more. Who took them over in another
    /// epoch keeps them.
    fn disown(&mut self, partitions: &PartitionEpochs, epoch: i32) {
        for (topic_id, of_topic) in partitions {
            let Some(mut epochs) = self.partition_epochs.get(topic_id).cloned() else { continue };
            for partition in of_topic.keys() {
                if epochs.get(partition) == Some(&epoch) {
                    epochs.remove_mut(partition);
                }
            }
            match epochs.is_empty() {
                true => {
                    self.partition_epochs.remove_mut(topic_id);
                }
                false => self.partition_epochs.insert_mut(*topic_id, epochs),
            }
        }
    }

    fn check(&self) {
        let members = self.members.size();
        assert!(self.num_classic_members <= members, "CONSUMER-GROUP-COUNTS");
        assert!(self.static_members.size() <= members, "CONSUMER-GROUP-STATIC-MEMBERS");
        assert!(self.regex_members.len() <= members, "CONSUMER-GROUP-COUNTS");
        assert!(self.asked_to_join.size() <= members, "CONSUMER-GROUP-COUNTS");
    }
}

#[cfg(test)]
#[path = "replay_test.rs"]
mod tests;
